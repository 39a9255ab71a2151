"""Writes decisions in small groups on request, and prints their ids; runs as a process of its own."""

from __future__ import annotations

import sys

from forbear.storage.database import open_database
from forbear.storage.log.writer import Writer
from tests.storage.conftest import Maker


def main() -> None:
    url, crawl = sys.argv[1:]
    make, engine = Maker(crawl), open_database(url)
    writer = Writer(engine)
    writer.start()
    print("ready", flush=True)
    sys.stdin.readline()
    for group in range(40):
        jobs = [make.decided(f"https://a.example/{group}/{number}") for number in range(10)]
        for future in [writer.submit(job) for job in jobs]:
            future.result(60)
        print(*(job.decision.id for job in jobs), flush=True)
    writer.close()
    engine.dispose()


if __name__ == "__main__":
    main()
