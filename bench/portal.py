"""``python -m bench portal``: measures each page of the portal on a large log, at a fixed rate of requests.

    python -m bench portal [DECISIONS] [--db URL] [--rate 50] [--seconds 40]

The log is that of ``questions`` unless a database is given. ``forbear serve`` runs the portal; its pages are requested
in turn, with new parameters each time, and every request is sent when it is due, even if earlier ones are unanswered.
The time of a page is from the request to its last byte, over loopback; this program uses some of the same cores.
First, each page is requested alone, to measure its processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
from sqlalchemy import Connection, Engine, func, select

from bench import large
from forbear.storage.accounts import accounts, domain_verification, sessions
from forbear.storage.accounts.accounts import Role, Scope
from forbear.storage.database import open_database, writing
from forbear.storage.db.account_tables import accounts as staff
from forbear.storage.db.records import now
from forbear.storage.db.schema import decisions, reasons
from forbear.storage.log import complaints
from forbear.storage.log.complaints import Notice
from forbear.storage.reads import browse

PASSWORD = "a password for measuring only"
WARM = 3
"""Requests of each page before the measurement, which load what is loaded once."""

ALONE = 10
"""Requests of each page, one after the other, that measure its processor time."""

Paths = dict[str, Callable[[], str]]


@dataclass(slots=True)
class Page:
    """Milliseconds of each answer, and of processor time for one."""

    took: list[float]
    processor: float = 0.0

    @property
    def p95(self) -> float:
        """The 95th percentile of the answers."""
        return statistics.quantiles(self.took, n=20, method="inclusive")[18]


Times = dict[str, Page]


class Server(NamedTuple):
    """A running portal."""

    url: str
    pid: int

    def processor(self) -> float:
        """Returns the processor time of its threads, in milliseconds."""
        files = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in files) / 1e6


def _paths(engine: Engine, chosen: random.Random) -> Paths:
    """Returns a function for every page that makes its path, with new parameters on each call."""
    with writing(engine) as connection:
        hosts = _sample(connection)
        secrets = {}
        for host, _, _ in hosts[:20]:
            secret, control = domain_verification.request_proof(connection, host, now())
            domain_verification.record_result(connection, control, "a file", now())
            secrets[host] = secret
        notice = Notice("Ada", "ada@a.example", "", "A work", (f"https://{hosts[0][0]}/",), "It was kept.", True)
        made = [complaints.receive(connection, notice, now()) for _ in range(20)]
        protocols = connection.scalars(select(reasons.c.protocol).distinct()).all()
        crawls = [one["id"] for one in browse.newest_crawls(connection)]

    def host() -> str:
        return chosen.choice(hosts)[0]

    paths: Paths = {
        "/lookup": lambda: f"/lookup?name={host()}",
        "/lookup, never seen": lambda: f"/lookup?name=nobody{chosen.random()}.example",
        "/api/lookup": lambda: f"/api/lookup?name={host()}",
        "/badge": lambda: f"/badge/{host()}.svg",
        "/control/…/kept": lambda: f"/control/{chosen.choice(list(secrets.values()))}/excluded",
        "/complaints/…": lambda: f"/complaints/{chosen.choice(made)[0]}",
        "/dashboard/log, a domain": lambda: f"/dashboard/log?domain={host()}",
        "/dashboard/log, a crawl, excluded": lambda: f"/dashboard/log?verdict=excluded&crawl={chosen.choice(crawls)}",
        "/dashboard/log, a domain and protocol": lambda: f"/dashboard/log?protocol=robots&domain={host()}",
        "/dashboard/log, far back": lambda: f"/dashboard/log?after={chosen.choice(hosts)[2]}",
        "/dashboard/log, a rare pair": lambda: "/dashboard/log?stage=page&strict=deferred&standard=allowed",
        "/dashboard/decisions/…": lambda: f"/dashboard/decisions/{chosen.choice(hosts)[1]}",
        "/dashboard/complaints/…": lambda: f"/dashboard/complaints/{chosen.choice(made)[1].number}",
        "/api/v1/decisions": lambda: f"/api/v1/decisions?domain={host()}",
        "/api/v1/decisions/…": lambda: f"/api/v1/decisions/{chosen.choice(hosts)[1]}",
    }
    queries = ("verdict=excluded", "verdict=deferred", "measure=1.3(1)(b)", "strict=excluded&standard=allowed")
    for query in (*queries, *(f"protocol={protocol}" for protocol in sorted(protocols))):
        paths[f"/dashboard/log, {query}"] = partial(str, f"/dashboard/log?{query}")
    plain = (
        "/", "/check", "/control", "/crawlers", "/crawlers/card.json", "/crawlers/feed.atom", "/crawlers/changes",
        "/policy", "/complaints", "/health", "/dashboard", "/dashboard/log", "/dashboard/figures",
        "/dashboard/complaints", "/dashboard/access-log", "/api/v1/figures", "/api/v1/complaints",
        "/api/v1/access-log",
    )  # fmt: skip
    return {path: partial(str, path) for path in plain} | paths


def _sample(connection: Connection) -> list[tuple[str, str, str]]:
    """Returns hosts from all parts of the log, each with the id of a decision and a cursor."""
    of = decisions.c
    first, last = connection.execute(select(func.min(of.at), func.max(of.at))).one()
    found = []
    for number in range(1000):
        wanted = select(of.host, of.id, of.at).where(of.at >= first + (last - first) * number / 1000)
        row = connection.execute(wanted.order_by(of.at).limit(1)).one()
        found.append((row.host, row.id, str(browse.Cursor(row.at, row.id)).replace("+", "%2B")))
    return found


def _signed_in(engine: Engine) -> dict[str, str]:
    """Creates an administrator, and returns the header fields of their session and of an API token."""
    with writing(engine) as connection:
        account = accounts.find(connection, "bench") or accounts.add(connection, "bench", Role.ADMIN, PASSWORD, now())
        connection.execute(staff.update().where(staff.c.id == account.id).values(enrolled_at=now()))
        secret = sessions.begin(connection, account, now(), full=True)
        token = sessions.issue(connection, "bench", "bench", tuple(Scope), timedelta(days=1), now())
    return {"Cookie": f"session={secret}", "Authorization": f"Bearer {token}"}


@contextmanager
def _served(db: str) -> Iterator[Server]:
    """Runs ``forbear serve`` during the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = ["serve", "--db", db, "--contact", "https://operator.example/bot", "--port", str(port)]
    words += ["--trust-proxy", "127.0.0.1"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, sys.path)])}
        server = subprocess.Popen([sys.executable, "-m", "forbear", *words], cwd=folder, env=environment)
        try:
            _await(port)
            yield Server(f"http://127.0.0.1:{port}", server.pid)
        finally:
            server.terminate()
            server.wait()


def _await(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health")
        except httpx.ConnectError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


async def _measure(server: Server, paths: Paths, headers: dict[str, str], rate: float, seconds: float) -> Times:
    """Measures the answers by page; each request has its own client address, because of the rate limits."""
    times: Times = {name: Page([]) for name in paths}
    numbers = itertools.count()

    async def ask(name: str, *, counts: bool = True) -> None:
        number = next(numbers)
        client_of = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        path, start = paths[name](), time.perf_counter()
        answer = await client.get(path, headers=headers | client_of)
        took = 1000 * (time.perf_counter() - start)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        if counts:
            times[name].took.append(took)

    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        for name in paths:
            for _ in range(WARM):
                await ask(name, counts=False)
            before = server.processor()
            for _ in range(ALONE):
                await ask(name, counts=False)
            times[name].processor = (server.processor() - before) / ALONE
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(itertools.islice(itertools.cycle(paths), int(rate * seconds))):
                await asyncio.sleep(begun + number / rate - time.perf_counter())
                group.create_task(ask(name))
    return times


def main(words: list[str]) -> None:
    """Prints a table: p50 and p95 of each page, in milliseconds."""
    parser = argparse.ArgumentParser(prog="python -m bench portal", description=__doc__)
    parser.add_argument("decisions", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--db", help="a filled database; by default a new SQLite file")
    parser.add_argument("--rate", type=float, default=50, help="requests per second")
    parser.add_argument("--seconds", type=float, default=60, help="duration")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        db = arguments.db or f"sqlite:///{Path(folder) / 'bench.db'}"
        engine = open_database(db)
        if not arguments.db:
            large.fill(engine, arguments.decisions)
        headers, paths = _signed_in(engine), _paths(engine, random.Random(1))
        with _served(db) as server:
            times = asyncio.run(_measure(server, paths, headers, arguments.rate, arguments.seconds))
        with engine.connect() as connection:
            size = connection.scalar(select(func.count()).select_from(decisions))
        engine.dispose()
    print(f"{size:,} decisions, {arguments.rate:g} requests a second for {arguments.seconds:g} s\n")
    print("| page | answers | p50 ms | p95 ms | worst ms | processor ms |\n| --- | --- | --- | --- | --- | --- |")
    for name, page in sorted(times.items(), key=lambda item: -item[1].p95):
        middle, worst = statistics.median(page.took), max(page.took)
        print(f"| {name} | {len(page.took)} | {middle:.1f} | {page.p95:.1f} | {worst:.1f} | {page.processor:.1f} |")
