"""``python -m bench pipeline``: compares a whole crawl with its peers on the same pages, in turns, as ratios.

A server process on loopback simulates many hosts from memory. Elapsed time depends on what else the machine does, so
the processor time of each crawl is shown beside it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from bench.figures import Figure, ratios
from bench.site import ROBOTS, folder
from forbear.crawler.demo.demo_server import Reply, Web

GOALS = {"bare": 1.0, "obey": None, "usual": 4.0}
NAMES = {
    "bare": "bare Scrapy, default settings",
    "obey": "the same with ROBOTSTXT_OBEY",
    "usual": "Scrapy + LinkExtractor + trafilatura + warcio + an ORM row a page",
}


class Run(NamedTuple):
    """The kept pages, and the elapsed and processor time in seconds."""

    pages: int
    wall: float
    processor: float


def _play(path: Path, hosts: int, ready: Connection) -> None:
    pages = {f"/{file.relative_to(path)}": Reply(file.read_bytes()) for file in path.rglob("*.html")}
    pages["/robots.txt"] = Reply(ROBOTS, headers=(("Content-Type", "text/plain"),))
    with Web({f"docs{number}.example": pages for number in range(hosts)}, hits=_NoHits()) as web:
        ready.send(web.proxy)
        ready.recv()


class _NoHits(list):  # type: ignore[type-arg]
    """A list that stays empty: the server would remember every request otherwise."""

    def append(self, item: object) -> None:
        """Ignores the item."""


@contextmanager
def served(hosts: int) -> Iterator[str]:
    """Serves the site under this many host names, and yields the address of a proxy for them."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_play, args=(folder(), hosts, there), daemon=True)
    server.start()
    try:
        yield here.recv()
    finally:
        here.send(None)
        server.join()


def command(name: str, proxy: str, temporary: str, seeds: list[str]) -> list[str]:
    """Returns the command line of a peer or of ``forbear``."""
    if name != "forbear":
        return [sys.executable, "-m", "bench.peers", name, proxy, temporary, *seeds]
    options = f"--out {temporary}/out --db sqlite:///{temporary}/f.db --delay 0 --proxy {proxy} --json"
    contact = "https://example.org/bot"
    return [sys.executable, "-m", "forbear", "crawl", *options.split(), "--contact", contact, *seeds]


def timed(command: list[str]) -> Run:
    """Runs a crawl that prints the number of kept pages."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        kept = json.loads(process.stdout.read())["kept"]
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(kept, time.monotonic() - start, used.ru_utime + used.ru_stime)


def measure(rounds: int, hosts: int) -> list[Figure]:
    """Compares pages per second and processor time per page with each peer; a ratio above 1 means Forbear is faster."""
    seeds = [f"http://docs{number}.example/index.html" for number in range(hosts)]
    runs: dict[str, list[Run]] = {name: [] for name in ("forbear", *GOALS)}
    with served(hosts) as proxy:
        for number in range(1, rounds + 1):
            for name, of in runs.items():
                with tempfile.TemporaryDirectory() as temporary:
                    run = timed(command(name, proxy, temporary, seeds))
                of.append(run)
                rate, each = run.pages / run.wall, 1000 * run.processor / run.pages
                print(f"round {number}: {name:<8} {run.pages:6} pages {rate:7.1f}/s, {each:6.2f} ms of processor each")
    found = []
    for name, goal in GOALS.items():
        pairs = list(zip(runs["forbear"], runs[name], strict=True))
        wall = [(ours.pages / ours.wall) / (theirs.pages / theirs.wall) for ours, theirs in pairs]
        processor = [(theirs.processor / theirs.pages) / (ours.processor / ours.pages) for ours, theirs in pairs]
        found.append(ratios(f"full pipeline against {NAMES[name]}, pages a second", wall, goal))
        found.append(ratios(f"full pipeline against {NAMES[name]}, processor time", processor))
    return found
