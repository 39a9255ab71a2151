"""``python -m bench pipeline``: the whole crawl against its peers on the same pages, in turns, as ratios.

A server on loopback plays many hosts from memory, in a process of its own. The wall clock counts what others do on the
machine too, so the processor's time of each crawl stands beside it.
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
    """Pages kept; seconds by the wall clock, and of the processor."""

    pages: int
    wall: float
    processor: float


def _play(path: Path, hosts: int, ready: Connection) -> None:
    pages = {f"/{file.relative_to(path)}": Reply(file.read_bytes()) for file in path.rglob("*.html")}
    pages["/robots.txt"] = Reply(ROBOTS, headers=(("Content-Type", "text/plain"),))
    with Web({f"docs{number}.example": pages for number in range(hosts)}, hits=_Forgetful()) as web:
        ready.send(web.proxy)
        ready.recv()


class _Forgetful(list):  # type: ignore[type-arg]
    """No memory of a hundred thousand requests."""

    def append(self, item: object) -> None:
        """Nothing."""


@contextmanager
def served(hosts: int) -> Iterator[str]:
    """The site under so many names, as a proxy's address."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_play, args=(folder(), hosts, there), daemon=True)
    server.start()
    try:
        yield here.recv()
    finally:
        here.send(None)
        server.join()


def command(name: str, proxy: str, temporary: str, seeds: list[str]) -> list[str]:
    """What a peer, or ``forbear``, is called by."""
    if name != "forbear":
        return [sys.executable, "-m", "bench.peers", name, proxy, temporary, *seeds]
    options = f"--out {temporary}/out --db sqlite:///{temporary}/f.db --delay 0 --proxy {proxy} --json"
    contact = "https://example.org/bot"
    return [sys.executable, "-m", "forbear", "crawl", *options.split(), "--contact", contact, *seeds]


def timed(command: list[str]) -> Run:
    """Runs a crawl that prints how many pages it kept."""
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
    """The crawl against each peer: pages a second, and processor time a page, as ratios above 1 where it is faster."""
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
