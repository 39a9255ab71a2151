"""Complaints, lists and versions of the corpus are rows of the chain: what is changed in them is found by name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, Engine, select

from forbear.crawler.corpus.versions import Version, record_version
from forbear.storage.database import reading, writing
from forbear.storage.db import schema
from forbear.storage.db.portal_tables import complaint_files, complaint_steps, complaints
from forbear.storage.log import lists
from forbear.storage.log.complaints import Attachment, ComplaintState, Notice, advance, find, receive
from forbear.storage.log.lists import Issue, ListedSite
from forbear.storage.proof import erasure
from forbear.storage.proof.verify import Report, verify
from tests.storage.test_verify import found, tamper

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTICE = Notice(
    "Ada Jones", "ada@a.example", "", "The Lamp", ("https://a.example/lamp",), "Kept: a lamp.", True,
    (Attachment("ada-jones.txt", "text/plain", b"I am Ada Jones."),),
)  # fmt: skip


class Recorded(NamedTuple):
    """Ids of rows in the log."""

    complaint: str
    number: str
    repeated: str
    source: str
    listed: str
    held: str
    ended: str


def handled(connection: Connection, number: str, end: ComplaintState, **more: Any) -> None:
    for state in (ComplaintState.ACKNOWLEDGED, ComplaintState.IN_REVIEW, end):
        advance(connection, number, state, by="Grace", reason="As it is.", at=AT, **(more if state is end else {}))


def issue(day: int, content: bytes) -> Issue:
    return Issue("denmark", f"{day}.csv", date(2026, 3, day), True, content, ["a line"])


@pytest.fixture
def recorded(engine: Engine) -> Recorded:
    with writing(engine) as connection:
        first = receive(connection, NOTICE, AT)[1]
        handled(connection, first.number, ComplaintState.ACCEPTED, blocks=("a.example",))
        second = receive(connection, NOTICE, AT)[1]
        handled(connection, second.number, ComplaintState.DUPLICATE, duplicate_of=first.number)
        sites = [ListedSite(f"{name}.example", "DK", "A court", "Section 413", None, held) for name, held in
                 (("listed", ""), ("held", "It is large."), ("ended", ""))]  # fmt: skip
        lists.import_list(connection, issue(1, b"1"), sites, AT)
        lists.import_list(connection, issue(2, b"2"), sites[:2], AT)
        lists.accept(connection, "held.example", by="Grace", why="It is the site that was meant.", at=AT)
        record_version(connection, Version(1, "ab" * 32, {"crawl": "x", "counts": {"pages": 9}}))
        columns = schema.list_entries.c
        ids = {row.domain: row.id for row in connection.execute(select(columns.domain, columns.id))}
        source = connection.scalar(select(schema.list_sources.c.sha256).where(schema.list_sources.c.name == "1.csv"))
    names = (ids[f"{name}.example"] for name in ("listed", "held", "ended"))
    return Recorded(first.id, first.number, second.id, str(source), *names)


def test_what_is_unchanged_is_in_order(engine: Engine, recorded: Recorded) -> None:
    report = Report()
    with reading(engine) as connection:
        assert list(verify(connection, report)) == []
    assert report.rows == {"complaint": 2, "attachment": 2, "step": 8, "list": 2, "listing": 3, "event": 3}


def test_a_version_is_recorded_once(engine: Engine, recorded: Recorded) -> None:
    with writing(engine) as connection:
        record_version(connection, Version(1, "ab" * 32, {"crawl": "x", "counts": {"pages": 9}}))
        assert len(connection.execute(select(schema.events)).all()) == 3


ADDED = "INSERT INTO complaint_steps SELECT complaint, 9, at, by, state, reason, blocks, duplicate_of "
ADDED += "FROM complaint_steps WHERE position = 3"
TAMPERINGS = [
    # what is done, in SQL; what is found: change, kind, which row, and words of the sentence
    ("who complained", "UPDATE complaints SET name = 'Eve'", "edited", "complaint", "{complaint}", "Its words"),
    ("what about", "UPDATE complaints SET urls = '[]'", "edited", "complaint", "{complaint}", "Its words"),
    (
        "when it came", "UPDATE complaints SET received_at = '2026-02-01T12:00:00.000000+00:00'",
        "edited", "complaint", "{complaint}", "is not what was written",
    ),
    (
        "its state", "UPDATE complaints SET state = 'rejected' WHERE id = '{complaint}'",
        "edited", "complaint", "{complaint}", "It is rejected, and its last step left it accepted.",
    ),
    (
        "of which it is a duplicate", "UPDATE complaints SET duplicate_of = NULL",
        "edited", "complaint", "{repeated}", "does not repeat",
    ),
    ("what it blocks", "DELETE FROM complaint_blocks", "edited", "complaint", "{complaint}", "What it blocks"),
    (
        "more that it blocks",
        "UPDATE complaint_blocks SET match = 'b.example'",
        "edited", "complaint", "{complaint}", "What it blocks",
    ),
    ("a reason", "UPDATE complaint_steps SET reason = 'No.' WHERE position = 1", "edited", "step", "/1", "Its words"),
    ("a person", "UPDATE complaint_steps SET by = 'Eve'", "edited", "step", "/3", "Its words"),
    (
        "the day of a step", "UPDATE complaint_steps SET at = '2026-02-01T12:00:00.000000+00:00'",
        "edited", "step", "/2", "is not what was written",
    ),
    ("what a step blocks", "UPDATE complaint_steps SET blocks = '[\"b\"]'", "edited", "step", "/3", "Its words"),
    ("a step taken away", "DELETE FROM complaint_steps WHERE position = 2", "deleted", "step", "/2", "is gone"),
    (
        "a step added",
        ADDED,
        "inserted", "step", "/9", "not in the chain",
    ),
    ("a file", "UPDATE complaint_files SET content = reason", "edited", "attachment", "{complaint}/0", "digest"),
    ("its name", "UPDATE complaint_files SET name = 'x'", "edited", "attachment", "{complaint}/0", "Its words"),
    ("its type", "UPDATE complaint_files SET media_type = 'x'", "edited", "attachment", "{complaint}/0", "written"),
    ("a complaint taken away", "DELETE FROM complaints", "deleted", "complaint", "{complaint}", "is gone"),
    ("the day of an issue", "UPDATE list_sources SET published = '2026-01-01'", "edited", "list", "", "written"),
    ("an issue", "UPDATE list_sources SET content = reason", "edited", "list", "{source}", "digest"),
    ("an issue taken away", "DELETE FROM list_sources", "deleted", "list", "{source}", "is gone"),
    (
        "a site", "UPDATE list_entries SET domain = 'b.example' WHERE id = '{listed}'",
        "edited", "listing", "{listed}", "is not what was written",
    ),
    ("a site taken away", "DELETE FROM list_entries", "deleted", "listing", "{listed}", "is gone"),
    (
        "the end of an entry", "UPDATE list_entries SET until = '2026-03-01' WHERE id = '{listed}'",
        "edited", "listing", "{listed}", "It is listed until 2026-03-01, and by the record until None.",
    ),
    (
        "an entry that goes on", "UPDATE list_entries SET until = NULL",
        "edited", "listing", "{ended}", "It is listed until None, and by the record until 2026-03-02.",
    ),
    (
        "who let an entry in", "UPDATE list_entries SET accepted_by = 'Eve' WHERE id = '{held}'",
        "edited", "listing", "{held}", "Who let it in",
    ),
    (
        "a version of the corpus",
        "UPDATE events SET content = '{{\"sha256\": \"cd\"}}' WHERE event = 'corpus version'",
        "edited", "event", "", "is not what was written",
    ),
    (
        "a version taken away", "DELETE FROM events WHERE event = 'corpus version'", "deleted", "event", "", "is gone",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "change", "kind", "which", "sentence"),
    [row[1:] for row in TAMPERINGS],
    ids=[row[0] for row in TAMPERINGS],
)
def test_what_was_changed_is_named(
    engine: Engine, recorded: Recorded, statement: str, change: str, kind: str, which: str, sentence: str
) -> None:
    content = "'x'" if engine.dialect.name == "postgresql" else "X'78'"
    tamper(engine, [statement.format(**recorded._asdict()).replace("= reason", f"= {content}")])
    findings = found(engine)
    assert any(
        (finding.change, finding.kind) == (change, kind)
        and which.format(**recorded._asdict()) in finding.ref
        and sentence in finding.detail
        for finding in findings
    ), findings


def test_the_words_of_a_complaint_are_erased_and_how_it_was_handled_stays(engine: Engine, recorded: Recorded) -> None:
    assert list(erasure.by_complaint(engine, "2026-NOSUCH", "asked")) == []
    assert list(erasure.by_complaint(engine, recorded.number, "asked")) == [1 + 4 + 1]
    with reading(engine) as connection:
        assert list(verify(connection, Report())) == []
        complaint = find(connection, recorded.number)
        left = [
            str(row)
            for table, column in ((complaints, "id"), (complaint_steps, "complaint"), (complaint_files, "complaint"))
            for row in connection.execute(select(table).where(table.c[column] == recorded.complaint))
        ]
    assert complaint is not None
    assert [step.state for step in complaint.steps][-1] is ComplaintState.ACCEPTED
    assert complaint.blocks == ("a.example",)
    for word in ("Ada", "ada@", "lamp", "As it is."):
        assert word not in "".join(left)
