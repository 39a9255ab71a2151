"""``python -m bench writer``: compares the log's writer with sqlite3's executemany of the same rows.

executemany has the rows ready, 500 of one table at a time, on a connection with the same settings, so it measures the
database alone. The writer makes the rows from the jobs of a crawl, adds them to the chain, looks up existing rows, and
updates the sums.
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
"""Jobs in flight that always give the writer a full batch."""


class Spent(NamedTuple):
    """Elapsed and processor time in seconds."""

    wall: float
    cpu: float


class Stopwatch:
    """Adds up the time spent in blocks."""

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
        """The time so far."""
        return Spent(self.wall, self.cpu)


def measure(quick: bool) -> list[Figure]:
    """Compares the writer, in turns, with sqlite3, which copies the rows that it wrote."""
    number, rounds = (2_000, 3) if quick else (10_000, 5)
    domain_of("www.example.org")  # reads the Public Suffix List, once per process
    found: list[Figure] = []
    for ahead in (FULL, AHEAD):
        ours, theirs = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                ours.append(write_log(folder, number, ahead))
                spent, rows, octets = _copy(folder)
                theirs.append(spent)
        found += _figures(ahead, ours, theirs, number)
    return [
        *found,
        Figure("rows of all tables per decision", f"{rows / number:.1f}"),
        Figure("bytes of the SQLite file per decision", f"{octets / number:,.0f}"),
    ]


def _figures(ahead: int, ours: list[Spent], theirs: list[Spent], number: int) -> list[Figure]:
    pairs = list(zip(ours, theirs, strict=True))
    name = f"log writer, {ahead} jobs in flight, against sqlite3 executemany of the same rows"
    return [
        ratios(f"{name}, processor time", [b.cpu / a.cpu for a, b in pairs], 0.8),
        ratios("the same, elapsed time", [b.wall / a.wall for a, b in pairs], 0.8),
        amounts("the writer's processor time per decision", [1e6 * a.cpu / number for a in ours], "µs"),
        amounts("executemany's", [1e6 * b.cpu / number for b in theirs], "µs"),
    ]


def write_log(folder: str, number: int, ahead: int) -> Spent:
    """Writes decisions to a new log, as a crawl does."""
    engine = open_database(f"sqlite:///{folder}/log.db")
    contact = "https://example.org/bot"
    settings = {"bench": "log"}
    record = CrawlRecord(
        __version__, AGENT, AGENT, contact, Use.TRAIN_AI, Profile.STANDARD, False, policy.load(), settings
    )
    with writing(engine) as connection:
        crawl = begin(connection, record, now()).id
    made = list(jobs(crawl, number))
    writer, watch = Writer(engine), Stopwatch()
    writer.start()
    gc.collect()
    gc.freeze()  # a crawl does not hold all jobs in memory, so collecting them would distort the result
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


def _copy(folder: str) -> tuple[Spent, int, int]:
    """Copies all rows of the log with sqlite3, 500 at a time; returns the time, the rows, and the bytes of the log."""
    open_database(f"sqlite:///{folder}/copy.db").dispose()
    source, target = (sqlite3.connect(f"{folder}/{name}.db", isolation_level=None) for name in ("log", "copy"))
    for pragma in PRAGMAS:
        target.execute(f"PRAGMA {pragma}")
    watch, number = Stopwatch(), 0
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
