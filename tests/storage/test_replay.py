"""Deciding again from what is stored, on both systems: the same comes out, and what was changed is found."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from forbear.crawler.corpus.warc import content
from forbear.crawler.corpus.writer import Corpus, WarcPage
from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question
from forbear.optout.protocols import operator
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
from forbear.storage.reads import replay as replaying
from forbear.storage.reads.queries import Filter
from forbear.storage.reads.replay import Replayed, ReplayOptions, replay

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HTML = (("Content-Type", "text/html"), ("X-Odd", "\0 ü"))
ROBOTS = b"User-agent: GPTBot\nDisallow: /\n\nUser-agent: *\nDisallow: /no\n"
LICENCE = b"effect,match,by,at,why,until,lifts\nallow,a.example,Legal,2026-01-01,licence 7,2026-06-01,robots-meta\n"
NOAI = b'<title>t</title><meta name="robots" content="noai">'

Write = Callable[..., list[int]]


class Site:
    """Decides as a crawler would: https://a.example has a robots.txt, and its other files answer 404."""

    def __init__(self, crawl: str, robots: bytes = ROBOTS, operators: bytes = b"") -> None:
        self.crawl = crawl
        self.files = [self.record(Capture("https://a.example/robots.txt", 200, (), robots))]
        self.files += [self.record(operator.capture_of(operators))] if operators else []

    @staticmethod
    def record(capture: Capture) -> CaptureRecord:
        return CaptureRecord(new_id(), AT, None, capture)

    def decided(self, path: str, body: bytes | None = None, status: int = 200) -> RecordDecision:
        url = f"https://a.example{path}"
        page = [CaptureRecord(new_id(), AT, None, Capture(url, status, HTML, body), Keep.QUOTED)] if body else []
        known = Captures(record.capture for record in (*self.files, *page))
        while not isinstance(decision := decide(Question(url, at=AT), known, policy.load()), Decision):
            for place in decision:
                self.files.append(self.record(Capture(place.url, 404)))
                known.add(self.files[-1].capture)
        records = [*self.files, *page]
        sha256, size = (hashlib.sha256(body).hexdigest(), len(body)) if body else (None, None)
        ids = tuple(record.id for record in records)
        row = DecisionRecord(new_id(), AT, self.crawl, url, decision, status if body else None, sha256, size, ids)
        return RecordDecision(row, tuple(records))


@pytest.fixture
def site(make: Any) -> Site:
    return Site(make.crawl)


def all_of(url: str, how: ReplayOptions | None = None, **filters: Any) -> Replayed:
    found = Replayed()
    for batch in replay(url, Filter(**filters), how or ReplayOptions(), jobs=1):
        found.decisions += batch.decisions
        found.as_read += batch.as_read
        found.unrecorded += batch.unrecorded
        found.differences += batch.differences
    return found


@pytest.fixture
def logged(site: Site, write: Write, database_url: str) -> str:
    """Four decisions: a file allows and forbids, a page is clean and has its own reservation."""
    write(
        site.decided("/yes"),
        site.decided("/no/1"),
        site.decided("/yes", b"<title>t</title>" + b"text " * 100),
        site.decided("/reserved", NOAI),
        site.decided("/gone", b"nothing", 404),
    )
    return database_url


def test_the_same_comes_out(logged: str) -> None:
    found = all_of(logged)
    assert (found.decisions, found.differences, found.as_read) == (5, [], 2)
    assert all_of(logged, url_prefix="https://a.example/no").decisions == 1


def test_a_stricter_profile_needs_no_network(logged: str) -> None:
    found = all_of(logged, ReplayOptions(profile=Profile.STRICT))
    assert {(one.url, one.stage, one.now) for one in found.differences} == {
        ("https://a.example/yes", "request", "excluded"),
        ("https://a.example/yes", "page", "excluded"),
        ("https://a.example/gone", "page", "excluded"),
        ("https://a.example/reserved", "page", "excluded"),
    }
    [request] = [one for one in found.differences if (one.url, one.stage) == ("https://a.example/yes", "request")]
    assert request.cause == "allowed, now excluded; now because of robots-intent"
    assert (request.reasons_then, request.reasons_now[0]["quote"]) == ([], "Disallow: /")
    [page] = [one for one in found.differences if one.url == "https://a.example/reserved"]
    assert page.cause == "excluded as before; now because of robots-intent"
    assert [reason["protocol"] for reason in page.reasons_then] == ["robots-meta"]


def test_another_policy(logged: str) -> None:
    own = '[protocols.robots-meta]\nreason = "we have it in writing"\nstandard = {excludes = []}\n'
    found = all_of(logged, ReplayOptions(policy=policy.load(own).content))
    assert [(one.url, one.was, one.now) for one in found.differences] == [
        ("https://a.example/reserved", "excluded", "allowed")
    ]
    assert found.differences[0].cause == "excluded, now allowed; no longer because of robots-meta"


def test_a_policy_that_is_not_on_record_is_reported(engine: Engine, logged: str) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE decisions SET policy = 'of old'"))
    found = all_of(logged)
    assert (found.unrecorded, found.differences) == ({"of old": 5}, [])


def test_a_policy_of_old_is_not_asked_about_what_came_later(engine: Engine, logged: str) -> None:
    known = json.loads(policy.load().content)
    del known["protocols"]["robots-meta"]
    assert {one.url: one.now for one in all_of(logged, ReplayOptions(policy=json.dumps(known))).differences} == {
        "https://a.example/reserved": "allowed"
    }


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("UPDATE decisions SET verdict = 'allowed' WHERE canonical LIKE '%/no/1'", "allowed, now excluded"),
        ("UPDATE reasons SET quote = 'No' WHERE protocol = 'robots'", "excluded as before; in other words robots"),
        ("UPDATE decisions SET canonical = 'https://b.example/' WHERE canonical LIKE '%/no/1'",
         "excluded, and now not decided: it is about https://a.example/no/1 at stage request"),
        ("DELETE FROM decision_captures WHERE decision IN (SELECT id FROM decisions WHERE canonical LIKE '%/no/1')",
         "excluded, and now not decided: a place that was not looked at then is wanted by robots"),
    ],
    ids=["verdict", "words", "URL", "evidence"],
)  # fmt: skip
def test_what_was_changed_comes_out_otherwise(engine: Engine, logged: str, change: str, cause: str) -> None:
    with writing(engine) as connection:
        connection.execute(text(change))
    assert [one.cause for one in all_of(logged).differences] == [cause]


def test_changed_evidence_decides_nothing(engine: Engine, logged: str) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE bodies SET content = :content"), {"content": zlib.compress(b"Allow: /")})
    problems = {one.problem for one in all_of(logged).differences}
    assert problems == {"stored content is not what was received"}


def test_a_licence_counts_while_it_holds(make: Any, write: Write, engine: Engine, database_url: str) -> None:
    job = Site(make.crawl, operators=LICENCE).decided("/reserved", NOAI)
    assert str(job.decision.decision.verdict) == "allowed"
    write(job)
    assert all_of(database_url).differences == []
    with writing(engine) as connection:
        connection.execute(text("UPDATE decisions SET at = :at"), {"at": datetime(2026, 7, 1, tzinfo=UTC).isoformat()})
    assert [one.now for one in all_of(database_url).differences] == ["excluded"]


@pytest.fixture
def kept(site: Site, write: Write, tmp_path: Path) -> Path:
    """The folder of a corpus with two pages of one content, whose decisions are in the log."""
    corpus = Corpus(tmp_path / "out", "w", software="test")
    for path in ("/1", "/2"):
        job = site.decided(path, b"<title>t</title>" + b"text " * 100)
        page = job.captures[-1].capture
        stored = corpus.write(WarcPage(job.decision.id, page.url, AT, page))
        row = PageRecord(
            job.decision.id, site.crawl, page.url, AT, stored.warc_file, stored.offset, stored.length, stored.sha256,
            "text/html", len(page.body),
        )  # fmt: skip
        write(job, RecordPage(row))
    corpus.close()
    return tmp_path / "out"


def test_a_kept_page_is_read_again(kept: Path, database_url: str) -> None:
    found = all_of(database_url, ReplayOptions(contents=partial(content, kept)))
    assert (found.decisions, found.as_read, found.differences) == (2, 0, [])


def test_a_page_of_another_content_is_reported(kept: Path, database_url: str) -> None:
    [warc] = (kept / "warc").iterdir()
    warc.write_bytes(gzip.compress(b"WARC/1.1\r\n\r\n") * 400)
    found = all_of(database_url, ReplayOptions(contents=partial(content, kept)))
    assert {one.problem for one in found.differences} == {"the page in the corpus is not what was decided about"}
    warc.unlink()
    assert all_of(database_url, ReplayOptions(contents=partial(content, kept))).as_read == 2


def test_in_several_processes_the_order_stays(
    site: Site, write: Write, engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*(site.decided(f"/no/{number}") for number in range(50)))
    with writing(engine) as connection:
        connection.execute(text("UPDATE decisions SET verdict = 'allowed'"))
    monkeypatch.setattr(replaying, "BATCH", 7)
    batches = list(replay(database_url, Filter(), ReplayOptions(), jobs=2))
    assert [batch.decisions for batch in batches] == [7] * 7 + [1]
    urls = [one.url for batch in batches for one in batch.differences]
    assert urls == [f"https://a.example/no/{number}" for number in range(50)]
