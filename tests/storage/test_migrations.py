"""Every earlier form of the database, with data in it, comes to the present form and loses nothing."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, create_engine, insert, text
from sqlalchemy.exc import SQLAlchemyError

from forbear.storage.database import OutOfDate, open_database, reading, upgrade
from forbear.storage.db.hostnames import digest
from forbear.storage.log.evidence import load
from forbear.storage.migrations import migrate
from forbear.storage.proof.verify import Report, verify
from forbear.storage.reads.lookup import lookup

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CRAWL, CAPTURE, PAGE = (f"019ca967-b600-7000-8000-00000000000{n}" for n in (1, 2, 3))
DECISIONS = {
    "019ca967-b600-7000-8000-000000000010": ("request", "excluded"),
    "019ca967-b600-7000-8000-000000000011": ("page", "allowed"),
    "018cc251-f400-7000-8000-000000000012": ("request", "deferred"),  # of January 2024
    "not-of-this-kind": ("request", "allowed"),
}
CONFIGURATION_DIGEST = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of {}
BODY = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"  # of foo and a newline

MORE: dict[str, dict[str, Any]] = {
    "reasons": {"preference": "disallow", "measure": "1.3(1)(a)"},
    "statements": {"preference": "disallow", "uses": ["train-ai"], "force": "standing", "note": ""},
    "gaps": {"detail": "It failed.", "defers": []},
}
ROWS: list[tuple[str, list[dict[str, Any]]]] = [
    (
        "crawls",
        [
            dict.fromkeys(("engine", "agent", "user_agent", "contact", "use", "profile", "policy"), "x")
            | {"id": CRAWL, "started_at": AT, "state": "finished", "shadow": False, "configuration": {}}
            | {"configuration_digest": CONFIGURATION_DIGEST}
        ],
    ),
    (
        "hosts",
        [{"host": "a.example", "unicode": "a.example", "domain": "a.example", "first_seen": AT, "last_seen": AT}],
    ),
    ("bodies", [{"sha256": BODY, "content": zlib.compress(b"foo\n"), "size": 4}]),
    (
        "captures",
        [
            {"id": CAPTURE, "crawl": CRAWL, "url": "https://a.example/robots.txt", "fetched_at": AT, "status": 200}
            | {"url_key": digest("https://a.example/robots.txt"), "headers": [["A", "1"], ["A", "2"]]}
            | {"body_sha256": BODY, "body_bytes": 4, "body": BODY, "excerpts": None},
        ],
    ),
    (
        "decisions",
        [
            dict.fromkeys(("engine", "policy", "profile", "use", "agent"), "x")
            | {"id": id_, "at": AT, "crawl": CRAWL, "url": "https://a.example/p", "canonical": "https://a.example/p"}
            | {"host": "a.example", "domain": "a.example", "stage": stage, "verdict": verdict}
            for id_, (stage, verdict) in DECISIONS.items()
        ],
    ),
    ("decision_captures", [{"decision": id_, "position": 0, "capture": CAPTURE} for id_ in DECISIONS]),
    *(
        (
            table,
            [
                {"decision": id_, "position": 0, "protocol": "robots", "quote": "Disallow: /", "place": "line 2"}
                | {"source": "https://a.example/robots.txt", **more}
                for id_ in DECISIONS
            ],
        )
        for table, more in MORE.items()
    ),
    (
        "pages",
        [
            {"decision": "019ca967-b600-7000-8000-000000000011", "crawl": CRAWL, "url": "https://a.example/p"}
            | {"kept_at": AT, "warc_file": "1.warc.gz", "warc_offset": 0, "warc_length": 9, "sha256": "x"}
            | {"media_type": "text/html", "bytes": 9}
        ],
    ),
    ("queues", [{"id": 1, "crawl": CRAWL, "host": "a.example"}]),
    (
        "frontier",
        [
            {"id": 1, "queue": 1, "key": digest(CRAWL, "https://a.example/p"), "url": "https://a.example/p", "depth": 0}
            | {"redirects": 0, "state": "kept", "attempts": 0, "decision": "019ca967-b600-7000-8000-000000000011"}
        ],
    ),
    (
        "urls",
        [
            {"key": digest("https://a.example/p"), "url": "https://a.example/p", "host": "a.example", "at": AT}
            | {"verdict": "allowed", "decision": "019ca967-b600-7000-8000-000000000011", "first_at": AT, "kept_at": AT}
        ],
    ),
    (
        "host_outcomes",
        [{"host": "a.example", "outcome": "kept", "urls": 1, "first_at": AT, "last_at": AT}],
    ),
    (
        "complaints",
        [
            dict.fromkeys(("name", "email", "on_behalf", "works", "what"), "x")
            | {"id": id_, "number": id_, "link": id_, "received_at": AT, "state": state, "urls": ["a.example"]}
            | {"good_faith": True, "duplicate_of": earlier}
            for id_, state, earlier in (("one", "accepted", None), ("two", "duplicate", "one"))
        ],
    ),
    (
        "complaint_steps",
        [
            {"complaint": id_, "position": position, "at": AT, "by": "x", "state": state, "reason": "x"}
            for id_, *states in (("one", "in review", "accepted"), ("two", "duplicate"))
            for position, state in enumerate(states)
        ],
    ),
    (
        "complaint_files",
        [
            {"complaint": "one", "position": 0, "name": "x", "media_type": "text/plain", "size": 4, "sha256": BODY}
            | {"content": b"foo\n"}
        ],
    ),
    ("complaint_blocks", [{"complaint": "one", "match": "a.example", "at": AT, "by": "x"}]),
    (
        "list_sources",
        [
            {"sha256": BODY, "layout": "denmark", "name": "1.csv", "published": AT.date(), "at": AT, "whole": True}
            | {"named": 2, "unread": [], "content": zlib.compress(b"foo\n")}
        ],
    ),
    (
        "list_entries",
        [
            dict.fromkeys(("country", "authority", "basis"), "x")
            | {"id": id_, "layout": "denmark", "domain": f"{id_}.example", "since": AT.date(), "source": BODY, **more}
            for id_, more in (
                ("ended", {"held": "", "until": AT.date()}),
                ("held", {"held": "x", "accepted_at": AT, "accepted_by": "x", "accepted_why": "x"}),
            )
        ],
    ),
]
"""What a small crawl left, as far as the tables of a revision go."""


def revisions() -> list[str]:
    """All earlier revisions, the oldest first."""
    script = ScriptDirectory.from_config(migrate.config())
    return [revision.revision for revision in script.walk_revisions()][:0:-1]


def bring_to(url: str, revision: str) -> None:
    """Makes a database as the Forbear of that revision did."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = migrate.config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def fill(engine: Engine) -> dict[str, int]:
    """Puts the rows into the tables that there are; how many into each."""
    tables = MetaData()
    tables.reflect(engine)
    counts = {}
    with engine.begin() as connection:
        for name, rows in ROWS:
            if name in tables.tables:
                table = tables.tables[name]
                for row in rows:
                    connection.execute(insert(table), {key: _raw(connection, value) for key, value in row.items()})
                counts[name] = len(rows)
        if "complaint_steps" in counts and "blocks" in tables.tables["complaint_steps"].c:
            told = import_module("forbear.storage.migrations.versions.0017_complaints_and_lists")
            told._tell_steps(connection)  # what these revisions wrote in the first place
            told._tell_entries(connection)
    return counts


def _raw(connection: Connection, value: Any) -> Any:
    """As the column has it in the database: the tables are read from it, and know nothing of our types."""
    if isinstance(value, datetime) and connection.dialect.name == "sqlite":
        return value.isoformat(timespec="microseconds")
    return value


@pytest.fixture(params=revisions())
def older(request: pytest.FixtureRequest, new_database_url: str) -> tuple[str, dict[str, int]]:
    """The URL of a database of each earlier revision with rows in it, and how many."""
    bring_to(new_database_url, request.param)
    engine = create_engine(new_database_url)
    counts = fill(engine)
    engine.dispose()
    return new_database_url, counts


def test_an_older_database_comes_to_the_present_form_with_all_that_is_in_it(older: tuple[str, dict[str, int]]) -> None:
    url, counts = older
    with pytest.raises(OutOfDate, match="run `forbear db upgrade"):
        open_database(url)
    upgrade(url)
    engine = open_database(url)
    with reading(engine) as connection:
        for name, count in counts.items():
            assert connection.scalar(text(f"SELECT count(*) FROM {name}")) == count, name
        assert list(verify(connection, report := Report())) == []
        assert {kind: report.rows[kind] for kind in ("crawl", "capture", "decision", "page")} == {
            "crawl": 1,
            "capture": 1,
            "decision": 4,
            "page": 1,
        }
        assert load(connection, CAPTURE).body == b"foo\n"
        if "urls" in counts:
            known = lookup(connection, "https://a.example/p")
            assert known is not None
            assert known.urls == {"kept": 1, "allowed": 1}
    engine.dispose()


def test_what_points_to_a_decision_still_does(older: tuple[str, dict[str, int]]) -> None:
    url, counts = older
    upgrade(url)
    engine = open_database(url)
    with engine.connect() as connection:
        for name in counts.keys() & {"reasons", "statements", "gaps", "pages", "decision_captures", "urls", "frontier"}:
            with pytest.raises(SQLAlchemyError), connection.begin_nested():
                connection.execute(text(f"UPDATE {name} SET decision = 'none'"))
        with pytest.raises(SQLAlchemyError), connection.begin_nested():
            connection.execute(text("DELETE FROM decisions"))
    engine.dispose()
