"""``python -m bench``: the whole crawl against a bare Scrapy spider on the same pages, in turns, as ratios.

``python -m bench readers`` measures the readers instead, ``python -m bench chain`` the chain over the log, and
``python -m bench questions`` what is asked of it.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from bench import chain, questions, readers
from bench.site import folder
from crawler.web import Reply, Web

ROUNDS = 3
HOSTS = 2


def _play(path: Path, ready: Connection) -> None:
    """The site under HOSTS names, answered from memory, in a process of its own."""
    pages = {f"/{file.relative_to(path)}": file.read_bytes() for file in path.rglob("*.html")}

    def site(target: str) -> Reply:
        body = pages.get(target)
        return Reply(body) if body else Reply(b"", 404)

    with Web({f"docs{number}.example": site for number in range(HOSTS)}) as web:
        ready.send(web.proxy)
        ready.recv()


def _timed(command: list[str]) -> tuple[float, int]:
    start = time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return time.monotonic() - start, json.loads(done.stdout)["kept"]


def main() -> None:
    """Prints pages a second of both, round by round, and the median of their ratios."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_play, args=(folder(), there), daemon=True)
    server.start()
    proxy = here.recv()
    seeds = [f"http://docs{number}.example/index.html" for number in range(HOSTS)]

    def forbear(temporary: str) -> list[str]:
        settings = f"--out {temporary}/out --db sqlite:///{temporary}/f.db --delay 0 --proxy {proxy} --json"
        return [
            sys.executable,
            "-m",
            "scripts",
            "crawl",
            *settings.split(),
            "--contact",
            "https://example.org/",
            *seeds,
        ]

    def bare(temporary: str) -> list[str]:
        return [sys.executable, "-m", "bench.bare_spider", proxy, *seeds]

    peers: dict[str, Callable[[str], list[str]]] = {"forbear": forbear, "bare Scrapy": bare}
    ratios = []
    for number in range(1, ROUNDS + 1):
        rate = {}
        for name, command in peers.items():
            with tempfile.TemporaryDirectory() as temporary:
                seconds, pages = _timed(command(temporary))
            rate[name] = pages / seconds
            print(f"round {number}: {name:<12} {pages:6} pages {seconds:7.1f} s {rate[name]:7.1f} pages/s")
        ratios.append(rate["forbear"] / rate["bare Scrapy"])
    print(f"forbear / bare Scrapy, pages a second: {statistics.median(ratios):.2f} (median of {ROUNDS})")
    here.send(None)
    server.join()


if __name__ == "__main__":
    if sys.argv[1:] == ["readers"]:
        readers.main()
    elif sys.argv[1:2] == ["chain"]:
        chain.main(sys.argv[2:])
    elif sys.argv[1:2] == ["questions"]:
        questions.main(sys.argv[2:])
    else:
        main()
