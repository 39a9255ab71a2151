"""``python -m bench workers``: compares one to eight worker processes on one PostgreSQL, over many hosts.

Prints total pages per second and requests per host, as ratios to one worker, in one run, and what the database does
for a page by its own statistics: active time, transactions, rows, bytes. Statements are counted in a separate run,
because PostgreSQL has to log them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench.figures import Figure
from bench.servers import PostgreSQL, postgresql
from forbear.crawler.demo.demo_server import Reply, Web

WORDS = "The boats left the harbour before sunrise and came back with herring, cod and a tale of the weather. " * 60
ROBOTS = Reply(b"User-agent: *\nDisallow: /private/\n", headers=(("Content-Type", "text/plain"),))
HTML = (("Content-Type", "text/html; charset=utf-8"),)


class Run(NamedTuple):
    """The result of a crawl by several workers: pages, longest time in seconds, requests, the work of the database."""

    workers: int
    pages: int
    seconds: float
    requests: int
    database: dict[str, float]

    @property
    def rate(self) -> float:
        """Pages per second."""
        return self.pages / self.seconds


class _Counted(list):  # type: ignore[type-arg]
    """Counts requests without storing them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def append(self, item: object) -> None:
        """Counts one more."""
        self.count += 1


def site(number: int, pages: int) -> dict[str, Reply]:
    """Makes a host whose pages have about 6 kB of unique text and 20 links each."""

    def page(at: int) -> Reply:
        links = "".join(f'<a href="/{(at * 7 + step) % pages}">on</a> ' for step in range(20))
        body = f"<!doctype html><title>{at}</title><p>Host {number}, page {at}. {WORDS}</p>{links}"
        return Reply(body.encode(), headers=HTML)

    return {"/robots.txt": ROBOTS, "/": page(0)} | {f"/{at}": page(at) for at in range(pages)}


def _serve(hosts: int, pages: int, ready: Connection) -> None:
    hits = _Counted()
    with Web({f"h{number}.example": site(number, pages) for number in range(hosts)}, hits=hits) as web:
        ready.send(web.proxy)
        while ready.recv():
            ready.send(hits.count)


@contextmanager
def served(hosts: int, pages: int) -> Iterator[tuple[str, Connection]]:
    """Serves the hosts; yields the address of their proxy, and a connection that returns the number of requests."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(hosts, pages, there), daemon=True)
    server.start()
    try:
        yield here.recv(), here
    finally:
        here.send(None)
        server.join()


def _statistics(server: PostgreSQL, name: str) -> dict[str, float]:
    time.sleep(1.5)  # PostgreSQL publishes its statistics once a second
    [row] = server.ask(
        "SELECT xact_commit AS transactions, tup_inserted + tup_updated + tup_deleted AS rows,"
        f" active_time AS milliseconds, idle_in_transaction_time AS idle, pg_database_size(datname) AS octets"
        f" FROM pg_stat_database WHERE datname = '{name}'"
    )
    return {key: float(value) for key, value in row._mapping.items()}


def crawl(server: PostgreSQL, proxy: str, hits: Connection, hosts: int, workers: int) -> Run:
    """Runs a crawl with this many workers into a new database."""
    name, url = server.create()
    seeds = "\n".join(f"http://h{number}.example/" for number in range(hosts))
    with tempfile.TemporaryDirectory() as folder:
        options = f"--seeds - --out {folder}/out --db {url} --delay 0 --proxy {proxy} --json"
        contact = "https://example.org/bot"
        words = [sys.executable, "-m", "forbear", "crawl", *options.split(), "--contact", contact]
        before = _statistics(server, name)
        hits.send(True)
        before_crawl = hits.recv()
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started = [subprocess.Popen(words, **pipes) for _ in range(workers)]
        for process in started:
            process.stdin.write(seeds)
            process.stdin.close()
        summaries = [json.loads(process.stdout.read()) for process in started]
        if any(process.wait() for process in started):
            raise RuntimeError("a worker failed")
        hits.send(True)
        requests = hits.recv() - before_crawl
        after = _statistics(server, name)
    server.ask(f"DROP DATABASE {name} WITH (FORCE)")
    pages = sum(each["kept"] for each in summaries)
    work = {key: after[key] - before[key] for key in after}
    return Run(workers, pages, max(each["seconds"] for each in summaries), requests, work)


def statements(server: PostgreSQL, proxy: str, hits: Connection, hosts: int) -> tuple[float, Counter[str], float]:
    """Returns statements per page of one worker, counts by the first words, and statements per second."""
    server.ask("ALTER SYSTEM SET log_statement = 'all'")
    server.ask("SELECT pg_reload_conf()")
    time.sleep(0.5)
    start = server.log.stat().st_size
    run = crawl(server, proxy, hits, hosts, 1)
    server.ask("ALTER SYSTEM RESET log_statement")
    server.ask("SELECT pg_reload_conf()")
    found: Counter[str] = Counter()
    with server.log.open("rb") as log:
        log.seek(start)
        for line in log:
            _, marker, message = line.decode("utf-8", "replace").partition("LOG:  ")
            if marker and message.startswith(("statement: ", "execute ")):
                words = message.partition(": ")[2].split() or ["(begins"]  # the statement is on the next line
                if words[0] in ("ALTER", "COMMENT", "CREATE"):  # the schema is created
                    continue
                found[" ".join(words[: 3 if words[0] in ("INSERT", "DELETE") else 2])] += 1
    return found.total() / run.pages, found, found.total() / run.seconds


def main(words: list[str]) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench workers", description=__doc__)
    parser.add_argument("--hosts", type=int, default=48, help="number of hosts")
    parser.add_argument("--pages", type=int, default=25, help="pages per host")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8], help="numbers of workers to compare")
    arguments = parser.parse_args(words)
    with served(arguments.hosts, arguments.pages) as (proxy, hits), postgresql() as server:
        runs = [crawl(server, proxy, hits, arguments.hosts, workers) for workers in arguments.workers]
        each, kinds, a_second = statements(server, proxy, hits, arguments.hosts)
    one = runs[0]
    heads = (
        "workers | pages | pages/s | to one | requests a host | to one | database ms a page | rows | bytes | commits"
    )
    print(f"| {heads} |")
    print("| --- " * 10 + "|")
    for run in runs:
        work = {key: value / run.pages for key, value in run.database.items()}
        print(
            f"| {run.workers} | {run.pages} | {run.rate:.1f} | {run.rate / one.rate:.2f} | "
            f"{run.requests / arguments.hosts:.2f} | {run.requests / one.requests:.3f} | {work['milliseconds']:.2f} | "
            f"{work['rows']:.1f} | {work['octets']:,.0f} | {work['transactions']:.2f} |"
        )
    print(Figure("statements a page, one worker", f"{each:.1f}", f"{a_second:.0f} a second"))
    for kind, count in kinds.most_common(25):
        print(f"  {count / one.pages:6.2f} a page  {kind}")


if __name__ == "__main__":
    main(sys.argv[1:])
