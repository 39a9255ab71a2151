"""``python -m bench chain``: the cost of the chain to the writer, the size of a decision, the speed of verifying.

    python -m bench chain [DECISIONS] [--db URL]

The writer gets decisions as from a crawl: two for each page, at the stages request and page, on hosts of 50 pages;
each rests on six files at well-known places, most of them missing, and the second also on the page. Every kept page
has 20 links, one of them new. The shares are of the writer's time, in one run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from sqlalchemy import Engine, text

from forbear.optout import policy
from forbear.optout.model import (
    AI_USES,
    Capture,
    Decision,
    Preference,
    Profile,
    Reason,
    Stage,
    Statement,
    Use,
    Verdict,
)
from forbear.storage.chain import chain, leaves
from forbear.storage.database import open_database, reading, writing
from forbear.storage.db.hostnames import domain_of
from forbear.storage.db.records import (
    AddLinks,
    CaptureRecord,
    DecisionRecord,
    Keep,
    Link,
    PageRecord,
    RecordDecision,
    RecordPage,
    new_id,
    now,
)
from forbear.storage.db.schema import metadata
from forbear.storage.log import evidence
from forbear.storage.log.crawls import CrawlRecord, begin
from forbear.storage.log.writer import Writer
from forbear.storage.proof.verify import Report, verify

if TYPE_CHECKING:
    import psycopg

PAGES = 50
PLACES = ("robots.txt", ".well-known/tdmrep.json", "ai.txt", "trust.txt", "license.xml", ".well-known/rsl.xml")
HEADERS = tuple((f"X-Header-{number}", f"a value of usual length, number {number}") for number in range(12))
AHEAD = 48
"""Jobs in flight, as with 16 requests at a time and their links."""


def jobs(crawl: str, decisions: int) -> Iterator[Any]:
    """Yields the jobs that a crawl gives to the writer."""
    for number in range(decisions // 2):
        host, page = divmod(number, PAGES)
        if page == 0:
            files = _files(host)
        url = f"https://host{host}.example/section/{page}/an-article-of-usual-length?id={number}"
        verdict = Verdict.EXCLUDED if number % 5 == 4 else Verdict.ALLOWED
        yield _decision(crawl, url, Stage.REQUEST, Verdict.ALLOWED, files)
        capture = CaptureRecord(new_id(), now(), None, Capture(url, 200, HEADERS, b"<p>" * 9), Keep.QUOTED)
        seen = _decision(crawl, url, Stage.PAGE, verdict, (*files, capture))
        yield seen
        if verdict is Verdict.ALLOWED:
            links = tuple(Link(f"https://host{host}.example/section/{(page + n) % PAGES}") for n in range(20))
            record = seen.decision
            page_record = PageRecord(record.id, crawl, url, now(), "1.warc.gz", number, 9, "0" * 64, "text/html", 9)
            yield RecordPage(page_record, links=links)


def _files(host: int) -> tuple[CaptureRecord, ...]:
    records = []
    for place in PLACES:
        there = place == "robots.txt"
        body = f"User-agent: *\nDisallow: /private/{host}\nCrawl-delay: 1\n".encode() * 9 if there else b"Not found"
        capture = Capture(f"https://host{host}.example/{place}", 200 if there else 404, HEADERS, body)
        records.append(CaptureRecord(new_id(), now(), now(), capture))
    return tuple(records)


def _decision(
    crawl: str, url: str, stage: Stage, verdict: Verdict, captures: tuple[CaptureRecord, ...]
) -> RecordDecision:
    words = (Preference.DISALLOW, "<meta name='robots' content='noai, noimageai'>", url, "/html/head/meta[3]")
    statements = (
        Statement("robots", Preference.ALLOW, "Disallow: /private", captures[0].capture.url, "line 2", AI_USES),
        Statement("robots-meta", *words, AI_USES),
    )
    reasons = () if verdict is Verdict.ALLOWED else (Reason("robots-meta", *words, "1.3(1)(b)"),)
    verdicts = dict.fromkeys(Profile, verdict)
    decision = Decision(verdict, stage, url, reasons, statements, (), verdicts)
    ids = tuple(record.id for record in captures)
    return RecordDecision(DecisionRecord(new_id(), now(), crawl, url, decision, 200, "0" * 64, 9, ids), captures)


class Clock:
    """Adds up the time that functions take."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.cpu: Counter[str] = Counter()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function, with its time added under a name."""

        def call(*arguments: Any, **named: Any) -> Any:
            began, busy = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[name] += time.perf_counter() - began  # type: ignore[assignment]
                self.cpu[name] += time.thread_time() - busy  # type: ignore[assignment]

        return call

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Times the writer and its parts during the block."""
        with (
            patch.object(chain, "append", self.timed("chain", chain.append)),
            patch.object(leaves, "decision_leaf", self.timed("chain", leaves.decision_leaf)),
            patch.object(leaves, "capture_leaf", self.timed("chain", leaves.capture_leaf)),
            patch.object(leaves, "page_leaf", self.timed("chain", leaves.page_leaf)),
            patch.object(evidence, "store", self.timed("evidence", evidence.store)),
            patch.object(Writer, "_transaction", self.timed("writer", Writer._transaction)),
        ):
            yield


def write(engine: Engine, decisions: int) -> float:
    """Writes the decisions, and returns the seconds it took."""
    record = CrawlRecord(
        "bench", "ForbearBot", "ForbearBot", "https://example.org/", Use.TRAIN_AI, Profile.STANDARD, False,
        policy.load(), {"bench": new_id()},
    )  # fmt: skip
    with writing(engine) as connection:
        crawl = begin(connection, record, now()).id
    writer = Writer(engine)
    writer.start()
    waiting = deque([writer.submit(AddLinks(crawl, (Link("https://host0.example/"),)))])
    began = time.perf_counter()
    for job in jobs(crawl, decisions):
        waiting.append(writer.submit(job))
        if len(waiting) == AHEAD:
            waiting.popleft().result()
    writer.close()
    for future in waiting:
        future.result()
    return time.perf_counter() - began


def sizes(engine: Engine) -> dict[str, int]:
    """Returns the bytes of each table with its indexes; partitions in PostgreSQL count for their table."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            asked = "SELECT coalesce(inhparent, c.oid)::regclass::text, sum(pg_total_relation_size(c.oid)) "
            asked += "FROM pg_class c LEFT JOIN pg_inherits i ON inhrelid = c.oid "
            asked += "WHERE c.relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY 1"
        else:
            asked = "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_schema m ON m.name = s.name "
            asked += "WHERE s.aggregate = TRUE GROUP BY 1"
        return {name: int(octets) for name, octets in connection.execute(text(asked))}


def copy_time(engine: Engine) -> float:
    """Returns the seconds that COPY takes for all rows of the log, 500 at a time, into tables without foreign keys."""
    spent = 0.0
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
        for table in metadata.sorted_tables:
            with driver.cursor() as cursor:
                with cursor.copy(f"COPY (SELECT * FROM {table.name}) TO STDOUT") as rows:  # type: ignore[arg-type]
                    lines = [bytes(row) for row in rows]
                copy = f"copy_of_{table.name}"
                cursor.execute(f"CREATE TABLE {copy} (LIKE {table.name} INCLUDING ALL)")  # type: ignore[arg-type]
                start = time.perf_counter()
                for first in range(0, len(lines), 500):
                    with cursor.copy(f"COPY {copy} FROM STDIN") as taken:  # type: ignore[arg-type]
                        taken.write(b"".join(lines[first : first + 500]))
                spent += time.perf_counter() - start
                cursor.execute(f"DROP TABLE {copy}")  # type: ignore[arg-type]
    return spent


def main(words: list[str]) -> None:
    """Prints shares, sizes and rates."""
    parser = argparse.ArgumentParser(prog="python -m bench chain")
    parser.add_argument("decisions", nargs="?", type=int, default=20_000)
    parser.add_argument("--db", help="an empty database; by default SQLite in a temporary folder")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as temporary:
        engine = open_database(arguments.db or f"sqlite:///{temporary}/forbear.db")
        domain_of("www.example.org")  # reads the Public Suffix List, once per process
        empty, clock = sizes(engine), Clock()
        with clock.watching():
            seconds = write(engine, arguments.decisions)
        total = clock.seconds["writer"]
        print(f"{engine.dialect.name}: {arguments.decisions:,} decisions written in {seconds:.1f} s")
        for name in ("chain", "evidence"):
            each, share = 1e6 * clock.cpu[name] / arguments.decisions, clock.cpu[name] / clock.cpu["writer"]
            print(f"{name:<9} {clock.seconds[name] / total:6.1%} of the writer's elapsed time", end=", ")
            print(f"{share:.1%} of its processor time, {each:,.0f} µs a decision")
        if engine.dialect.name == "postgresql":
            peer = copy_time(engine)
            each = 1e6 * peer / arguments.decisions
            print(f"{peer / total:.2f}x of COPY of the same rows, {each:,.0f} µs a decision")
        grown = {name: octets - empty.get(name, 0) for name, octets in sizes(engine).items()}
        each = sum(grown.values()) / arguments.decisions
        print(f"{each:,.0f} bytes a decision, all tables with their indexes, most of them in")
        for name, octets in sorted(grown.items(), key=lambda of: -of[1])[:8]:
            print(f"    {name:<18} {octets / arguments.decisions:>6,.0f}")
        report, began = Report(), time.perf_counter()
        with reading(engine) as connection:
            findings = list(verify(connection, report))
        rows, seconds = sum(report.rows.values()), time.perf_counter() - began
        print(f"verified {rows:,} rows in {seconds:.1f} s, {rows / seconds:,.0f} a second; {len(findings)} findings")
        engine.dispose()
