from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, select, text

from forbear.optout.model import Capture, Stage, Verdict
from forbear.storage.chain import chain, leaves, merkle
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.database import reading, writing
from forbear.storage.db import schema
from forbear.storage.db.records import Keep, new_id, now
from forbear.storage.proof.checkpoints import sign
from forbear.storage.proof.fast_path import unchanged
from forbear.storage.proof.verify import Finding, KnownCheckpoint, Report, verify

Write = Callable[..., list[int]]
KEY = SignerKey("log.example/forbear", Ed25519PrivateKey.generate())


class Log(NamedTuple):
    """Ids of rows in the log that is tampered with."""

    crawl: str
    robots: str
    page: str
    excluded: str
    kept: str
    last: str
    checkpoint: str
    note: str

    def fill(self, statement: str) -> str:
        return statement.format(**self._asdict())


@pytest.fixture
def written(engine: Engine, make: Any, write: Write) -> Log:
    """302 decisions and what belongs to them, 306 rows in all; a checkpoint; three more."""
    robots = make.robots("https://a.example/")
    capture = Capture("https://a.example/p", 200, (("A", "1"), ("B", "2")), b"<p>")
    page = make.robots("https://a.example/p", capture=capture, keep=Keep.QUOTED)
    excluded = make.decided("https://a.example/no", Verdict.EXCLUDED, at=now(), captures=(robots,))
    kept = make.decided("https://a.example/p", at=now(), stage=Stage.PAGE, captures=(robots, page))
    write(excluded, kept)
    write(make.kept(kept, at=now()))
    write(*(make.decided(f"https://a.example/{n}", at=now(), captures=(robots,)) for n in range(300)))
    signed = sign(engine, KEY)
    with writing(engine) as connection:
        policy = {"digest": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "content": "foo"}
        connection.execute(schema.policies.insert(), {"first_at": now(), "overrides": [], **policy})
    last = make.decided("https://a.example/last", at=now(), captures=(robots,))
    write(last, *(make.decided(f"https://b.example/{n}", at=now(), captures=(robots,)) for n in range(2)))
    ids = (excluded.decision.id, kept.decision.id, last.decision.id)
    return Log(make.crawl, robots.id, page.id, *ids, signed.id, signed.note)


def found(engine: Engine, **more: Any) -> list[Finding]:
    with reading(engine) as connection:
        return list(verify(connection, Report(), keys=[KEY.verifier], **more))


def tamper(engine: Engine, statements: Sequence[str]) -> None:
    """By raw SQL, as somebody with the operator's rights would: foreign keys do not stop them."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SET session_replication_role = replica"))
        for statement in statements:
            connection.execute(text(statement.replace(":", r"\:")))
        connection.commit()
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        else:
            connection.execute(text("SET session_replication_role = origin"))
            connection.commit()


def test_a_log_that_is_unchanged_verifies(engine: Engine, written: Log) -> None:
    report = Report()
    with reading(engine) as connection:
        outside = [KnownCheckpoint("old.txt", written.note)]
        assert list(verify(connection, report, keys=[KEY.verifier], outside=outside)) == []
    assert report.rows == {"crawl": 1, "capture": 2, "decision": 305, "page": 1, "checkpoint": 1}
    assert report.size == sum(report.rows.values())
    assert report.bodies == 1
    assert len(report.checkpoints) == 2


def test_what_is_unchanged_passes_at_a_look_and_json_that_is_written_otherwise_with_care(
    engine: Engine, written: Log
) -> None:
    positions = select(schema.chain).where(schema.chain.c.kind.in_(["decision", "capture", "page"]))
    with reading(engine) as connection:
        rows = connection.execute(positions).all()
        assert set(unchanged(connection, rows)) == {row.position for row in rows}
    tamper(
        engine, ["UPDATE statements SET uses = replace(CAST(uses AS text), ',', ' , ')" + AS_JSON[engine.dialect.name]]
    )
    with reading(engine) as connection:
        assert {row.kind for row in rows if row.position not in unchanged(connection, rows)} == {"decision"}
    assert found(engine) == []


AS_JSON = {"sqlite": "", "postgresql": "::json"}
COPY = "INSERT INTO decisions SELECT 'forged', at, crawl, url, canonical, host, domain, verdict, stage, status, "
COPY += "content_sha256, bytes, engine, policy, profile, use, agent, verdict_standard, verdict_strict "
COPY += "FROM decisions WHERE id = '{excluded}'"

EDITED = "It, or what belongs to it, is not what was written."
TAMPERINGS: list[tuple[str, list[str], str, str, str, str]] = [
    # what is done, in SQL; what is found: change, kind, which row, and words of the sentence
    (
        "a verdict",
        ["UPDATE decisions SET verdict = 'allowed' WHERE id = '{excluded}'"],
        "edited", "decision", "{excluded}", "Its verdict was excluded, and is now allowed.",
    ),
    (
        "a status",
        ["UPDATE captures SET status = 404 WHERE id = '{robots}'"],
        "edited", "capture", "{robots}", "Its status was 200, and is now 404.",
    ),
    (
        "the time of a decision",
        ["UPDATE decisions SET at = '2026-01-01T00:00:00.000000+00:00' WHERE id = '{excluded}'"],
        "edited", "decision", "{excluded}", EDITED,
    ),
    (
        "a URL",
        ["UPDATE decisions SET url = 'https://a.example/yes' WHERE id = '{excluded}'"],
        "edited", "decision", "{excluded}", "Its words are not those that were written",
    ),
    (
        "a quotation",
        ["UPDATE reasons SET quote = 'Allow: /' WHERE decision = '{excluded}'"],
        "edited", "decision", "{excluded}", "Its words are not those that were written",
    ),
    (
        "its state",
        ["UPDATE statements SET place = 'line 9' WHERE decision = '{excluded}'"],
        "edited", "decision", "{excluded}", "Its words are not those that were written",
    ),
    (
        "the measure of a reason",
        ["UPDATE reasons SET measure = '1.2(1)(a)' WHERE decision = '{excluded}'"],
        "edited", "decision", "{excluded}", EDITED,
    ),
    ("a reason taken away", ["DELETE FROM reasons"], "edited", "decision", "{excluded}", EDITED),
    (
        "a reason added",
        ["INSERT INTO reasons SELECT decision, 1, 'tdmrep', quote, source, place, preference, measure FROM reasons"],
        "edited", "decision", "{excluded}", EDITED,
    ),
    (
        "the force of a statement",
        ["UPDATE statements SET force = 'superseded' WHERE decision = '{kept}'"],
        "edited", "decision", "{kept}", EDITED,
    ),
    (
        "a gap taken away",
        ["DELETE FROM gaps WHERE decision = '{kept}'"],
        "edited", "decision", "{kept}", EDITED,
    ),
    (
        "evidence exchanged",
        ["UPDATE decision_captures SET capture = '{page}' WHERE decision = '{excluded}'"],
        "edited", "decision", "{excluded}", EDITED,
    ),
    (
        "the order of headers",
        ["""UPDATE captures SET headers = '[["B", "2"], ["A", "1"]]' WHERE id = '{page}'"""],
        "edited", "capture", "{page}", "headers",
    ),
    (
        "an excerpt",
        ["""UPDATE captures SET excerpts = '["made up"]' WHERE id = '{page}'"""],
        "edited", "capture", "{page}", "excerpts",
    ),
    (
        "the digest of a page",
        ["UPDATE captures SET body_sha256 = 'abc' WHERE id = '{page}'"],
        "edited", "capture", "{page}", EDITED,
    ),
    (
        "the position of a page in the corpus",
        ["UPDATE pages SET bytes = 7"],
        "edited", "page", "{kept}", EDITED,
    ),
    (
        "a decision deleted",
        [f"DELETE FROM {table} WHERE decision = '{{excluded}}'" for table in ("reasons", "statements", "gaps", "urls")]
        + ["DELETE FROM decisions WHERE id = '{excluded}'"],
        "deleted", "decision", "{excluded}", "is gone, or cannot be read",
    ),
    ("a capture deleted", ["DELETE FROM captures WHERE id = '{page}'"], "deleted", "capture", "{page}", "is gone"),
    ("a page deleted", ["DELETE FROM pages"], "deleted", "page", "{kept}", "is gone"),
    ("a checkpoint deleted", ["DELETE FROM checkpoints"], "deleted", "checkpoint", "{checkpoint}", "is gone"),
    ("a body deleted", ["DELETE FROM bodies"], "deleted", "capture", "{robots}", "Its body is not there any more."),
    (
        "a body forgotten",
        ["UPDATE captures SET body = NULL WHERE id = '{robots}'"],
        "deleted", "capture", "{robots}", "Its body is not there any more.",
    ),
    ("a decision inserted", [COPY], "inserted", "decision", "forged", "The decision is not in the chain"),
    (
        "a row of the chain deleted",
        ["DELETE FROM chain WHERE position = 100"],
        "deleted", "chain", "100", "The chain's position 100 is missing.",
    ),
    (
        "rows of the chain deleted",
        ["DELETE FROM chain WHERE position BETWEEN 100 AND 102"],
        "deleted", "chain", "100", "The chain's positions 100 to 102 are missing.",
    ),
    (
        "rows that change places",
        [
            "UPDATE chain SET position = -1 WHERE position = 150",
            "UPDATE chain SET position = 150 WHERE position = 200",
            "UPDATE chain SET position = 200 WHERE position = -1",
        ],
        "reordered", "decision", "150", "It is at position 150, and was written at 200.",
    ),
    (
        "a gap that is closed",
        ["DELETE FROM chain WHERE position = 100"]
        + [f"UPDATE chain SET position = {n - 1} WHERE position = {n}" for n in range(101, 310)],
        "reordered", "decision", "220", "It is at position 220, and was written at 221.",
    ),
    (
        "when a row was written",
        ["UPDATE chain SET at = '2026-01-01T00:00:00.000000+00:00' WHERE position = 220"],
        "back-dated", "decision", "220", "before the row before it",
    ),
    (
        "the same, later than it was",
        ["UPDATE chain SET at = '2999-01-01T00:00:00.000000+00:00' WHERE position = 309"],
        "back-dated", "decision", "309", "It was not written at",
    ),
    (
        "a commitment",
        ["UPDATE chain SET payload = 'abc' WHERE ref = '{excluded}'"],
        "edited", "decision", "{excluded}", "The commitment to its words",
    ),
    (
        "a salt",
        ["UPDATE chain SET salt = leaf WHERE ref = '{excluded}'"],
        "edited", "decision", "{excluded}", "or their salt is not",
    ),
    (
        "an erasure that nobody recorded",
        [
            "UPDATE chain SET salt = NULL WHERE ref = '{excluded}'",
            "UPDATE decisions SET url = '', canonical = '', host = '' WHERE id = '{excluded}'",
            *(f"UPDATE {table} SET quote = '', source = '', place = ''" for table in ("reasons", "statements", "gaps")),
        ],
        "erased", "decision", "{excluded}", "no erasure on record names it",
    ),
    (
        "the end cut off",
        ["DELETE FROM chain WHERE position > 260"],
        "truncated", "chain", "261", "covers 306",
    ),
    (
        "more than the last inner node cut off",
        ["DELETE FROM checkpoints", "DELETE FROM chain WHERE position > 200"],
        "truncated", "chain", "201", "once had 256 or more",
    ),
    (
        "an inner node",
        ["UPDATE subtrees SET hash = (SELECT leaf FROM chain WHERE position = 0) WHERE number = 0"],
        "edited", "chain", "0", "A leaf from 0 to 255 is not the one",
    ),
    (
        "a checkpoint",
        ["UPDATE checkpoints SET note = replace(note, '306', '305')"],
        "unsigned", "checkpoint", "{checkpoint}", "is wrong",
    ),
    (
        "no checkpoint any more",
        ["UPDATE checkpoints SET note = 'nothing'"],
        "unsigned", "checkpoint", "{checkpoint}", "This is not a signed checkpoint",
    ),
    ("a policy", ["UPDATE policies SET content = 'bar' WHERE content = 'foo'"], "edited", "policy", "2c26", "digest"),
    (
        "the settings of a crawl",
        ["""UPDATE crawls SET configuration = '{{"a": 1}}'"""],
        "edited", "crawl", "{crawl}", "settings",
    ),
    (
        "settings and their digest",
        ["UPDATE crawls SET configuration_digest = 'abc'"],
        "edited", "crawl", "{crawl}", EDITED,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "change", "kind", "which", "sentence"),
    [row[1:] for row in TAMPERINGS],
    ids=[row[0] for row in TAMPERINGS],
)
def test_what_was_changed_is_named(
    engine: Engine, written: Log, statements: list[str], change: str, kind: str, which: str, sentence: str
) -> None:
    tamper(engine, [written.fill(statement) for statement in statements])
    findings = found(engine)
    assert any(
        (finding.change, finding.kind) == (change, kind)
        and (finding.ref.startswith(written.fill(which)) or str(finding.position) == which)
        and sentence in finding.detail
        for finding in findings
    ), findings


def test_the_body_of_a_capture(engine: Engine, written: Log) -> None:
    other = zlib.compress(b"User-agent: *\nAllow: /\n")
    for content in (other, b"no zlib at all"):
        with writing(engine) as connection:
            sha256 = connection.scalar(select(schema.bodies.c.sha256))
            connection.execute(schema.bodies.update().values(content=content))
        [finding] = found(engine)
        assert (finding.change, finding.kind, finding.ref) == ("edited", "body", sha256)


def test_another_body_for_a_capture(engine: Engine, written: Log) -> None:
    with writing(engine) as connection:
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        content = zlib.compress(b"")
        row = {"sha256": empty, "content": content, "size": 0, "packed": len(content)}
        connection.execute(schema.bodies.insert(), row)
        connection.execute(schema.captures.update().where(schema.captures.c.id == written.robots).values(body=empty))
    [finding] = found(engine)
    assert (finding.change, finding.kind, finding.ref) == ("edited", "capture", written.robots)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE decisions SET at = 'yesterday' WHERE id = '{excluded}'", "decision"),
        ("UPDATE statements SET uses = 'all' WHERE decision = '{excluded}'", "decision"),
        ("UPDATE chain SET at = 7 WHERE position = 3", "chain"),
        ("UPDATE chain SET leaf = 'abc' WHERE position = 3", "chain"),
    ],
)
def test_what_is_not_even_of_its_type(engine: Engine, written: Log, statement: str, kind: str) -> None:
    tamper(engine, [written.fill(statement)])
    assert ("deleted", kind) in [(finding.change, finding.kind) for finding in found(engine)]


def forge(connection: Connection, log: Log) -> None:
    """Edits a row as somebody who knows this program would: its leaf, and every inner node above, are right again."""
    connection.execute(text(f"UPDATE decisions SET verdict = 'allowed' WHERE id = '{log.excluded}'"))
    [row] = connection.execute(select(schema.chain).where(schema.chain.c.ref == log.excluded)).all()
    entry = chain.read(connection, "decision", [row.ref])[row.ref]
    leaf = merkle.leaf_hash(leaves.record(row.kind, row.at, row.payload, row.position, entry.row).encode())
    connection.execute(schema.chain.update().where(schema.chain.c.ref == row.ref).values(leaf=leaf))
    all_leaves = connection.scalars(select(schema.chain.c.leaf).order_by(schema.chain.c.position)).all()
    connection.execute(schema.subtrees.delete())
    inner = [
        {"level": level, "number": number, "hash": h} for level, number, h in merkle.full_subtrees(_none, 0, all_leaves)
    ]
    connection.execute(schema.subtrees.insert(), inner)


def _none(_level: int, _first: int, _count: int) -> list[bytes]:
    return []


def test_who_makes_every_hash_right_again_is_found_by_the_checkpoint(engine: Engine, written: Log) -> None:
    with writing(engine) as connection:
        forge(connection, written)
    [finding] = found(engine)
    assert (finding.change, finding.kind, finding.position) == ("edited", "chain", 0)
    assert "from position 0 to 305" in finding.detail


def test_who_signs_again_is_found_by_a_checkpoint_outside(engine: Engine, written: Log) -> None:
    with writing(engine) as connection:
        forge(connection, written)
        tree = chain.tree(connection, 306)
        note = KEY.sign(f"log.example/forbear\n306\n{base64.b64encode(tree.root()).decode()}\n")
        changed = {"note": note, "root": tree.root().hex()}
        connection.execute(schema.checkpoints.update().values(changed))
        row = connection.execute(select(schema.chain).where(schema.chain.c.kind == "checkpoint")).one()
        entry = chain.read(connection, "checkpoint", [row.ref])[row.ref]
        leaf = merkle.leaf_hash(leaves.record(row.kind, row.at, None, row.position, entry.row).encode())
        connection.execute(schema.chain.update().where(schema.chain.c.ref == row.ref).values(leaf=leaf))
    assert found(engine) == []
    [finding] = found(engine, outside=[KnownCheckpoint("old.txt", written.note)])
    assert finding.change == "edited"
    assert "not those of old.txt" in finding.detail


def test_a_change_between_two_checkpoints_is_narrowed_down(
    engine: Engine, make: Any, write: Write, written: Log
) -> None:
    sign(engine, KEY)
    with writing(engine) as connection:
        row = connection.execute(select(schema.chain).where(schema.chain.c.ref == written.last)).one()
        leaf = merkle.leaf_hash(b"x")
        connection.execute(schema.chain.update().where(schema.chain.c.position == row.position).values(leaf=leaf))
    details = [finding.detail for finding in found(engine) if finding.kind == "chain"]
    assert len(details) == 1
    assert f"from position 306 to {row.position + 2}" in details[0]


def test_a_decision_made_up_afterwards_is_back_dated(engine: Engine, make: Any, write: Write, written: Log) -> None:
    job = make.decided("https://a.example/", captures=(make.robots("https://a.example/"),))
    write(replace(job, decision=replace(job.decision, id=new_id())))
    assert [(finding.change, finding.kind) for finding in found(engine)] == [("back-dated", "decision")]


def test_a_key_of_somebody_else_proves_nothing(engine: Engine, written: Log) -> None:
    other = SignerKey(KEY.name, Ed25519PrivateKey.generate()).verifier
    with reading(engine) as connection:
        [finding] = verify(connection, Report(), keys=[other])
        assert (finding.change, finding.kind) == ("unsigned", "checkpoint")
        assert list(verify(connection, Report(), keys=[other, KEY.verifier])) == []
        assert list(verify(connection, Report())) == []
