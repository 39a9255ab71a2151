"""``python -m bench frontier [N]``: the cost of a crawl that knows N URLs (10 million), on SQLite and PostgreSQL.

Prints the seconds from the start of the program to its first request and from SIGTERM to its end, its peak memory
after the same work on frontiers of N / 100, N / 10 and N URLs, and the bytes of an idle host. SQL fills the frontier
with 100 URLs per host; the crawl is the real program, on hosts that answer nothing but 404.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine, text

from bench.servers import postgresql
from forbear.crawler.crawl.config import Config, Network, Store, Terms
from forbear.crawler.crawl.run import begin
from forbear.crawler.demo.demo_server import Web
from forbear.optout import policy
from forbear.storage.database import open_database, upgrade, writing
from forbear.storage.db.records import Link, now
from forbear.storage.db.schema import hosts, queues
from forbear.storage.frontier import frontier

A_HOST = 100
"""URLs per host."""

HITS = 400
"""Requests after which a crawl is stopped."""

CONTACT = "https://example.org/bot"
SEED = "http://first.example/"

_FILL = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
        INSERT INTO frontier (queue, key, url, depth, redirects, state, attempts, deaths)
        SELECT :queue + i / 100, CAST(printf('%016d', i) AS BLOB), 'http://h' || (i / 100) || '.example/' || i, 1, 0,
        'waiting', 0, 0 FROM n""",
    "postgresql": """
        INSERT INTO frontier (queue, key, url, depth, redirects, state, attempts, deaths)
        SELECT :queue + i / 100, decode(lpad(to_hex(i), 32, '0'), 'hex'),
        'http://h' || (i / 100) || '.example/' || i, 1, 0, 'waiting', 0, 0
        FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) i""",
}


class Start(NamedTuple):
    """Seconds to the first request and from the signal to the end; peak memory in MiB."""

    first: float
    end: float
    memory: float


def fill(engine: Engine, crawl: str, known: int, wanted: int) -> None:
    """Adds URLs to the frontier of a crawl until it knows as many as wanted."""
    at = now()
    with writing(engine) as connection:
        new = range(known // A_HOST, wanted // A_HOST)
        names = [f"h{number}.example" for number in new]
        common = {"domain": "h.example", "first_seen": at, "last_seen": at}
        connection.execute(hosts.insert(), [{"host": name, "unicode": name, **common} for name in names])
        connection.execute(queues.insert(), [{"crawl": crawl, "host": name, "ready_at": at} for name in names])
        first = connection.scalar(text("SELECT id FROM queues WHERE host = :host"), {"host": names[0]})
    with writing(engine) as connection:
        values = {"queue": first - known // A_HOST, "first": known, "last": wanted - 1}
        connection.execute(text(_FILL[engine.dialect.name]), values)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("ANALYZE"))


def bytes_per_host(engine: Engine, crawl: str, size: Callable[[], int], count: int = 20_000) -> float:
    """Returns the bytes of a row of ``hosts`` and one of ``queues``, with their indexes."""
    before, at = size(), now()
    with writing(engine) as connection:
        names = [f"idle{number}.example" for number in range(count)]
        common = {"domain": "idle.example", "first_seen": at, "last_seen": at}
        connection.execute(hosts.insert(), [{"host": name, "unicode": name, **common} for name in names])
        connection.execute(queues.insert(), [{"crawl": crawl, "host": name, "ready_at": None} for name in names])
    return (size() - before) / count


def start(url: str, folder: Path) -> Start:
    """Runs the program for HITS requests, and stops it."""
    hits: list[object] = []
    with Web({}, hits=hits) as web:  # type: ignore[arg-type]
        words = f"-m forbear crawl {SEED} --out {folder}/out --db {url} --delay 0 --proxy {web.proxy} --json"
        begun = time.monotonic()
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, *words.split(), "--contact", CONTACT], stdout=pipe) as process:
            while not hits:
                time.sleep(0.005)
            first = time.monotonic() - begun
            while len(hits) < HITS:
                time.sleep(0.01)
            memory = _most_memory(process.pid)
            process.send_signal(signal.SIGTERM)
            signalled = time.monotonic()
            assert process.stdout
            summary = json.loads(process.stdout.read())
            process.wait()
    if process.returncode or not summary["resumed"]:
        raise RuntimeError(f"the crawl was not resumed: {summary}")
    return Start(first, time.monotonic() - signalled, memory)


def _most_memory(pid: int) -> float:
    """Returns the peak resident set of a process in MiB; getrusage(2) would include its parent."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(name: str, url: str, folder: Path, sizes: list[int], size: Callable[[], int]) -> None:
    """Prints the cost of the crawl at each size."""
    engine = open_database(url)
    config = Config(Store(folder / "out", url), Terms(CONTACT), Network(delay=0.0), seeds=(SEED,))
    with writing(engine) as connection:
        crawl = begin(connection, config, policy.load()).id
        frontier.add(connection, crawl, [Link(SEED)])
    idle = bytes_per_host(engine, crawl, size)
    print(f"{name}: an idle host takes {idle:,.0f} bytes")
    known = 0
    for wanted in (A_HOST * 10, *(each for each in sizes if each > A_HOST * 10)):
        fill(engine, crawl, known, wanted)
        known = wanted
        engine.dispose()
        found = start(url, folder)
        print(
            f"{name}: {known:>12,} URLs known: first request after {found.first:.2f} s, end {found.end:.2f} s after"
            f" SIGTERM, {found.memory:.0f} MiB",
            flush=True,
        )
    engine.dispose()


@contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="forbear-bench-") as folder:
        yield Path(folder)


def main(words: list[str]) -> None:
    """Measures both databases."""
    number = int(words[0].replace("_", "")) if words else 10_000_000
    sizes = [number // 100, number // 10, number]
    with _temporary() as folder:
        path = folder / "forbear.db"
        upgrade(f"sqlite:///{path}")

        def octets() -> int:
            return sum(each.stat().st_size for each in folder.glob("forbear.db*"))

        measure("SQLite", f"sqlite:///{path}", folder, sizes, octets)
    with _temporary() as folder, postgresql() as server:
        name, url = server.create()
        query = f"SELECT pg_database_size('{name}')"
        measure("PostgreSQL", url, folder, sizes, lambda: int(server.ask(query)[0][0]))


if __name__ == "__main__":
    main(sys.argv[1:])
