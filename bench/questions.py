"""``python -m bench questions``: measures the queries of legal teams and a replay on a large log.

    python -m bench questions [DECISIONS] [--db URL [--filled]] [--rounds N]

The log is that of bench/large.py. Queries about one domain use a different domain each time; p50 and p99 are over the
rounds. Queries about the whole log run three times. The whole command ``forbear lookup`` is timed in turns with an
interpreter that only loads SQLAlchemy; *cold* means that the system has dropped the database from its page cache,
which is only possible for a file (SQLite).
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select, text

from bench.large import A_HOST, FIRST, fill, name_of
from forbear.optout.model import Verdict
from forbear.storage.database import open_database
from forbear.storage.db import schema
from forbear.storage.reads import questions
from forbear.storage.reads.lookup import lookup
from forbear.storage.reads.queries import Filter, log
from forbear.storage.reads.replay import ReplayOptions, replay

ROOT = Path(__file__).parents[1]
REPLAYED = 20_000


def _of_a_domain(domain: str) -> dict[str, Callable[[Any], object]]:
    between = Filter(domain=domain, verdict=Verdict.EXCLUDED, since=FIRST, until=FIRST.replace(day=20))
    return {
        "lookup": lambda connection: lookup(connection, domain),
        "lookup of a URL": lambda connection: lookup(connection, f"https://www.{domain}/no/0"),
        "excluded between two dates": lambda connection: list(log(connection, between)),
        "measures": lambda connection: list(questions.measures(connection, Filter(domain=domain))),
        "before-optout": lambda connection: list(questions.before_optout(connection, domain)),
        "unreadable": lambda connection: list(questions.unreadable(connection, domain)),
        "disagreements": lambda connection: list(questions.disagreements(connection, Filter(domain=domain))),
    }


def _of_the_log(crawls: list[str]) -> dict[str, Callable[[Any], object]]:
    return {
        "measures": lambda connection: list(questions.measures(connection, Filter())),
        "measures of a crawl": lambda connection: list(questions.measures(connection, Filter(crawl=crawls[1]))),
        "changes, first row": lambda connection: next(questions.changes(connection, *crawls), None),
        "changes": lambda connection: list(questions.changes(connection, *crawls)),
        "before-optout": lambda connection: list(questions.before_optout(connection)),
        "unreadable": lambda connection: list(questions.unreadable(connection)),
        "disagreements, 1,000 rows": lambda connection: [
            row
            for row, _ in zip(questions.disagreements(connection, Filter(crawl=crawls[1])), range(1000), strict=False)
        ],
    }


def _timed(engine: Engine, question: Callable[[Any], object]) -> tuple[float, int]:
    """Returns milliseconds and the number of rows."""
    with engine.connect() as connection:
        start = time.perf_counter()
        found = question(connection)
        taken = 1000 * (time.perf_counter() - start)
    return taken, len(found) if isinstance(found, list) else int(found is not None)


def main(words: list[str]) -> None:
    """Prints milliseconds for each query, and the rows per second of a replay."""
    parser = argparse.ArgumentParser(prog="python -m bench questions", description=__doc__)
    parser.add_argument("decisions", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--db", help="an empty database; by default a new SQLite file")
    parser.add_argument("--filled", action="store_true", help="the database was filled before")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        db = arguments.db or f"sqlite:///{Path(folder) / 'bench.db'}"
        engine = open_database(db)
        start = time.monotonic()
        if not arguments.filled:
            fill(engine, arguments.decisions)
        with engine.connect() as connection:
            crawls = list(connection.scalars(select(schema.crawls.c.id).order_by(schema.crawls.c.started_at)))
            hosts = connection.scalar(select(func.count()).select_from(schema.hosts)) or 1
        seconds = time.monotonic() - start
        made = f"made in {seconds:.0f} s" if not arguments.filled else "existing"
        print(f"{engine.dialect.name}: {hosts * 2 * A_HOST:,} decisions {made}, ", end="")
        print(f"{_size(engine) / hosts / 2 / A_HOST:,.0f} bytes a decision")
        _ask(engine, crawls, hosts, arguments.rounds)
        _command(db, engine, hosts, max(1, arguments.rounds // 5))
        _replay(db, crawls[0])
        engine.dispose()


def _size(engine: Engine) -> int:
    """Returns the bytes of the database."""
    if engine.dialect.name == "sqlite":
        return Path(str(engine.url.database)).stat().st_size
    with engine.connect() as connection:
        return connection.scalar(text("SELECT pg_database_size(current_database())")) or 0


def _ask(engine: Engine, crawls: list[str], hosts: int, rounds: int) -> None:
    chosen = random.Random(1)
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, question in _of_a_domain(name_of(chosen.randrange(hosts))).items():
            times.setdefault(name, []).append(_timed(engine, question)[0])
    for name, found in times.items():
        print(f"a domain:  {name:<28} {_both(found)}")
    for name, question in _of_the_log(crawls).items():
        three = sorted(_timed(engine, question) for _ in range(3))
        print(f"whole log: {name:<28} p50 {three[1][0]:8.1f} ms  worst {three[2][0]:8.1f} ms  {three[1][1]:,} rows")


def _both(found: list[float]) -> str:
    p99 = statistics.quantiles(found, n=100, method="inclusive")[98] if len(found) > 1 else found[0]
    return f"p50 {statistics.median(found):8.1f} ms  p99   {p99:8.1f} ms"


def _command(db: str, engine: Engine, hosts: int, rounds: int) -> None:
    """Times the whole program, including its start."""
    chosen = random.Random(2)
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        command = [sys.executable, "-m", "forbear", "lookup", name_of(chosen.randrange(hosts)), "--db", db]
        runs = {
            "lookup cold": command,
            "lookup warm": command,
            "SQLAlchemy": [sys.executable, "-c", "import sqlalchemy"],
        }
        for name, words in runs.items():
            if name == "lookup cold" and not _drop_page_cache(engine):
                continue
            start, before = time.perf_counter(), _processor()
            subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
            times.setdefault(name, []).append((1000 * (time.perf_counter() - start), _processor() - before))
    for name, found in times.items():
        processor = statistics.median(spent for _, spent in found)
        print(f"command:   {name:<28} {_both([taken for taken, _ in found])}  processor {processor:.0f} ms")


def _processor() -> float:
    """Returns the processor time of the programs started so far, in milliseconds."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (spent.ru_utime + spent.ru_stime)


def _drop_page_cache(engine: Engine) -> bool:
    """Makes the system drop the database from its page cache; False for PostgreSQL, where it cannot."""
    if engine.dialect.name != "sqlite":
        return False
    engine.dispose()
    for file in Path(str(engine.url.database)).parent.glob(f"{Path(str(engine.url.database)).name}*"):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def _replay(db: str, crawl: str) -> None:
    start = time.monotonic()
    batches = list(
        replay(db, Filter(crawl=crawl, until=FIRST.replace(minute=REPLAYED // A_HOST // 60)), ReplayOptions())
    )
    seconds = time.monotonic() - start
    decided = sum(batch.decisions for batch in batches)
    different = sum(len(batch.differences) for batch in batches)
    print(f"replay: {decided:,} decisions, {different} different, {decided / seconds:,.0f} a second")
