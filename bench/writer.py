"""``python -m bench writer``: the log's writer against sqlite3's executemany of the same rows, in turns.

The other has the rows ready, in groups of 500 of one table, on a connection with the same settings: what it does is
what the database does. The writer makes the rows from what a crawl hands to it, puts them into the chain, looks up what
is there already, and brings the sums up to date.
"""

from __future__ import annotations

import gc
import sqlite3
import tempfile
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from bench.chain import AHEAD, jobs
from bench.figures import Figure, amounts, ratios
from forbear.optout import __version__, policy
from forbear.optout.model import Profile, Use
from forbear.storage.database import PRAGMAS, open_database, writing
from forbear.storage.db.hostnames import domain_of
from forbear.storage.db.records import now
from forbear.storage.db.schema import metadata
from forbear.storage.log.crawls import CrawlRecord, begin
from forbear.storage.log.writer import BATCH, Writer

AGENT = "ForbearBot"


FULL = 2 * BATCH
"""Jobs in flight by which the writer always has a whole group to write next."""


class Spent(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


class Watch:
    """Adds up the time between ``go`` and ``stop``."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()

    @property
    def spent(self) -> Spent:
        """So far."""
        return Spent(self.wall, self.cpu)


def measure(quick: bool) -> list[Figure]:
    """The writer in turns with the plain module, which copies the rows that it wrote."""
    number, rounds = (2_000, 3) if quick else (10_000, 5)
    domain_of("www.example.org")  # the list of suffixes is read once in a process
    found: list[Figure] = []
    for ahead in (FULL, AHEAD):
        ours, theirs = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                ours.append(written(folder, number, ahead))
                spent, rows, octets = _copied(folder)
                theirs.append(spent)
        found += _figures(ahead, ours, theirs, number)
    return [
        *found,
        Figure("rows of all tables for each decision", f"{rows / number:.1f}"),
        Figure("octets of the SQLite file for each decision", f"{octets / number:,.0f}"),
    ]


def _figures(ahead: int, ours: list[Spent], theirs: list[Spent], number: int) -> list[Figure]:
    pairs = list(zip(ours, theirs, strict=True))
    name = f"log writer, {ahead} jobs in flight, against sqlite3 executemany of the same rows"
    return [
        ratios(f"{name}, by the processor's time", [b.cpu / a.cpu for a, b in pairs], 0.8),
        ratios("the same by the clock", [b.wall / a.wall for a, b in pairs], 0.8),
        amounts("the writer's time for each decision, of the processor", [1e6 * a.cpu / number for a in ours], "µs"),
        amounts("executemany's", [1e6 * b.cpu / number for b in theirs], "µs"),
    ]


def written(folder: str, number: int, ahead: int) -> Spent:
    """Has decisions written into a new log, handed in as a crawl does."""
    engine = open_database(f"sqlite:///{folder}/log.db")
    contact = "https://example.org/bot"
    settings = {"bench": "log"}
    record = CrawlRecord(
        __version__, AGENT, AGENT, contact, Use.TRAIN_AI, Profile.STANDARD, False, policy.load(), settings
    )
    with writing(engine) as connection:
        crawl = begin(connection, record, now()).id
    made = list(jobs(crawl, number))
    writer, watch = Writer(engine), Watch()
    writer.start()
    gc.collect()
    gc.freeze()  # what a crawl hands in is not all in memory at once, to be looked through again and again
    with watch:
        waiting: deque[Future[int]] = deque()
        for job in made:
            waiting.append(writer.submit(job))
            if len(waiting) == ahead:
                waiting.popleft().result()
        for future in waiting:
            future.result()
    gc.unfreeze()
    writer.close()
    engine.dispose()
    return watch.spent


def _copied(folder: str) -> tuple[Spent, int, int]:
    """What the plain module takes for every row of the log, in groups of 500; how many; the file's octets."""
    open_database(f"sqlite:///{folder}/copy.db").dispose()
    source, target = (sqlite3.connect(f"{folder}/{name}.db", isolation_level=None) for name in ("log", "copy"))
    for pragma in PRAGMAS:
        target.execute(f"PRAGMA {pragma}")
    watch, number = Watch(), 0
    for table in metadata.sorted_tables:
        rows = source.execute(f"SELECT * FROM {table.name}").fetchall()
        if not rows:
            continue
        number += len(rows)
        statement = f"INSERT OR IGNORE INTO {table.name} VALUES ({', '.join('?' * len(rows[0]))})"
        with watch:
            for first in range(0, len(rows), 500):
                target.execute("BEGIN IMMEDIATE")
                target.executemany(statement, rows[first : first + 500])
                target.execute("COMMIT")
    source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    source.close()
    target.close()
    return watch.spent, number, Path(folder, "log.db").stat().st_size
