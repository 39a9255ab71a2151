"""Decides and keeps pages as a crawler does, as fast as it can, until somebody kills it (test_invariants.py)."""

import itertools
import sys
import threading
from concurrent.futures import Future
from typing import Any

from forbear.optout.model import Stage, Verdict
from forbear.storage.database import open_database, writing
from forbear.storage.db.records import EntryState, EntryUpdate, Link, now
from forbear.storage.frontier import frontier
from forbear.storage.log.crawls import begin
from forbear.storage.log.writer import Writer
from tests.storage.conftest import CRAWL, Maker


def crawl(writer: Writer, make: Maker, number: int) -> None:
    """One page after the other: add, decide, decide again, keep; every third is reserved."""
    host = f"h{number}.example"
    robots = (make.robots(f"https://{host}/"),)
    for page in itertools.count():
        url = f"https://{host}/{page}-{robots[0].id}"

        def add(connection: Any, url: str = url) -> int:
            frontier.add(connection, make.crawl, [Link(url)])
            return max(entry.id for entry in frontier.take(connection, make.crawl, host, 100_000, now()))

        entry = writer.call(add).result()
        if page % 3 == 0:
            writer.submit(
                make.decided(url, Verdict.EXCLUDED, captures=robots, settle=EntryUpdate(entry, EntryState.EXCLUDED))
            ).result()
            continue
        writer.submit(make.decided(url, captures=robots, settle=EntryUpdate(entry, EntryState.ALLOWED))).result()
        decided = make.decided(url, stage=Stage.PAGE, captures=robots)
        writer.submit(decided).result()
        kept: Future[int] = writer.submit(make.kept(decided, settle=EntryUpdate(entry, EntryState.KEPT)))
        kept.result()
        sys.stdout.write(f"{decided.decision.id}\n")  # at once, or lines of two threads would run into each other


def main() -> None:
    """Eight hosts at once."""
    engine = open_database(sys.argv[1])
    with writing(engine) as connection:
        make = Maker(begin(connection, CRAWL, now()).id)
    writer = Writer(engine)
    writer.start()
    for number in range(8):
        threading.Thread(target=crawl, args=(writer, make, number)).start()


if __name__ == "__main__":
    main()
