"""Crawls and decisions as the crawler hands them to the log."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from forbear.optout import policy
from forbear.optout.model import (
    AI_USES,
    ALWAYS,
    Capture,
    Decision,
    Gap,
    Preference,
    Profile,
    Reason,
    Stage,
    Statement,
    Use,
    Verdict,
)
from forbear.optout.readers.url import parse
from forbear.storage.database import writing
from forbear.storage.db.records import (
    CaptureRecord,
    DecisionRecord,
    Keep,
    PageRecord,
    RecordDecision,
    RecordPage,
    new_id,
)
from forbear.storage.log.crawls import CrawlRecord, begin
from forbear.storage.log.writer import Writer

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

CRAWL = CrawlRecord(
    engine="0.1.0",
    agent="ForbearBot",
    user_agent="ForbearBot/0.1.0 (+https://operator.example/)",
    contact="https://operator.example/",
    use=Use.TRAIN_AI,
    profile=Profile.STANDARD,
    shadow=False,
    policy=policy.load(),
    configuration={"seeds": ["https://a.example/"]},
)


@dataclass(frozen=True)
class Maker:
    """Makes what the crawler would: a decision that rests on the robots.txt of its host, a page that was kept."""

    crawl: str

    def robots(self, url: str, body: bytes = b"User-agent: *\nDisallow: /no\n", **changes: Any) -> CaptureRecord:
        capture = Capture(f"{parse(url).origin}/robots.txt", 200, (("Content-Type", "text/plain"),), body)
        record = CaptureRecord(new_id(), AT, None, capture, Keep.WHOLE)
        return replace(record, **changes)

    def decided(
        self,
        url: str,
        verdict: Verdict = Verdict.ALLOWED,
        *,
        at: datetime = AT,
        stage: Stage = Stage.REQUEST,
        protocol: str = "robots",
        measure: str = "1.3(1)(a)",
        quote: str = "Disallow: /no",
        where: str = "line 2",
        captures: tuple[CaptureRecord, ...] | None = None,
        **changes: Any,
    ) -> RecordDecision:
        captures = (self.robots(url),) if captures is None else captures
        source = captures[-1].capture.url if captures else url
        reason = Reason(protocol, Preference.DISALLOW, quote, source, where, measure)
        decision = Decision(
            verdict,
            stage,
            parse(url).href,
            () if verdict is Verdict.ALLOWED else (reason,),
            (Statement(protocol, Preference.DISALLOW, quote, source, where, AI_USES),),
            (Gap("tdmrep", "503", source, "status", "It answered 503.", ALWAYS),),
            dict.fromkeys(Profile, verdict),
        )
        ids = tuple(record.id for record in captures)
        record = DecisionRecord(new_id(), at, self.crawl, url, decision, captures=ids)
        return replace(RecordDecision(record, captures), **changes)

    def kept(self, decided: RecordDecision, *, at: datetime = AT, **changes: Any) -> RecordPage:
        record = decided.decision
        sha256 = hashlib.sha256(record.url.encode()).hexdigest()
        page = PageRecord(record.id, record.crawl, record.decision.url, at, "1.warc.gz", 0, 9, sha256, "text/html", 9)
        return replace(RecordPage(page), **changes)


@pytest.fixture
def make(engine: Engine) -> Maker:
    """Makes records for a crawl that has begun."""
    with writing(engine) as connection:
        return Maker(begin(connection, CRAWL, AT).id)


@pytest.fixture
def other_crawl(engine: Engine) -> str:
    """Another crawl in the same database."""
    with writing(engine) as connection:
        return begin(connection, replace(CRAWL, configuration={"seeds": ["https://b.example/"]}), AT).id


@pytest.fixture(scope="session")
def dead_process() -> str:
    """How a process signed that has ended."""
    asked = "from forbear.storage.frontier.process_id import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program of this folder in a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-m", f"tests.storage.{program}", *arguments]
        started.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    """A writer that is at work."""
    writer = Writer(engine)
    writer.start()
    yield writer
    writer.close()


@pytest.fixture
def write(writer: Writer) -> Callable[..., list[int]]:
    """Has jobs written and waits for it."""

    def write(*jobs: Any) -> list[int]:
        futures = [writer.submit(job) for job in jobs]
        return [future.result(60) for future in futures]

    return write
