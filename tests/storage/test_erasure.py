from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from sqlalchemy import Connection, Engine, select, text

from forbear.optout.model import Capture, Stage, Verdict
from forbear.storage.chain import chain
from forbear.storage.chain.ranges import PositionSet, join
from forbear.storage.database import reading, writing
from forbear.storage.db import schema
from forbear.storage.db.records import AddLinks, EntryState, EntryUpdate, Keep, Link, now
from forbear.storage.proof import erasure
from forbear.storage.proof.verify import Report, verify
from forbear.storage.reads.lookup import lookup
from tests.storage.test_invariants import BROKEN

Write = Callable[..., list[int]]
SECRET = "https://a.example/jane-doe?mail=jane@doe.example"


def everything(connection: Connection) -> str:
    """All that the database holds, as text."""
    return "\n".join(
        str([str(value) for value in row])
        for table in schema.metadata.sorted_tables
        for row in connection.execute(select(table))
    )


def leaves_of(connection: Connection) -> dict[int, bytes]:
    return {row.position: row.leaf for row in connection.execute(select(schema.chain))}


def changed(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(verify(connection, Report()))


@pytest.fixture
def about_jane(engine: Engine, make: Any, write: Write) -> Any:
    """Two decisions about a page that name somebody, with its capture; one about another page of the same site."""
    write(AddLinks(make.crawl, (Link(SECRET), Link("https://a.example/other"))))
    with engine.connect() as connection:
        entry = connection.execute(select(schema.frontier.c.id).where(schema.frontier.c.url == SECRET)).scalar_one()
    robots = make.robots(SECRET)
    capture = Capture(SECRET, 200, (("Link", f"<{SECRET}>"),), b"<p>")
    page = make.robots(SECRET, capture=capture, keep=Keep.QUOTED)
    at = now() - timedelta(hours=2)
    asked = make.decided(SECRET, at=at, captures=(robots,))
    seen = make.decided(
        SECRET,
        Verdict.EXCLUDED,
        at=at,
        stage=Stage.PAGE,
        captures=(robots, page),
        quote="jane@doe.example says no",
        settle=EntryUpdate(entry, EntryState.EXCLUDED),
    )
    other = make.decided("https://a.example/other", Verdict.EXCLUDED, at=now(), captures=(robots,))
    write(asked, seen, other)
    return seen, robots, other


@pytest.mark.parametrize("by", ["age", "url"])
def test_what_is_erased_is_nowhere_and_the_chain_is_whole(engine: Engine, about_jane: Any, by: str) -> None:
    seen, robots, other = about_jane
    with engine.connect() as connection:
        before = leaves_of(connection)
        assert "jane" in everything(connection)
    if by == "age":
        rows = erasure.older_than(engine, now() - timedelta(hours=1), "kept for an hour")
    else:
        rows = erasure.by_url(engine, SECRET, "asked for on 1 March")
    assert sum(rows) == 3
    with engine.connect() as connection:
        assert "jane" not in everything(connection)
        assert connection.execute(text(BROKEN["a sum that is not the sum"])).all() == []
        after = leaves_of(connection)
        assert before == {position: leaf for position, leaf in after.items() if position in before}
        row = connection.execute(select(schema.decisions).where(schema.decisions.c.id == seen.decision.id)).one()
        assert (row.verdict, row.stage, row.domain, row.at) == ("excluded", "page", "a.example", seen.decision.at)
        assert connection.scalar(select(schema.captures.c.url).where(schema.captures.c.id == robots.id)) != ""
        [sealed] = chain.chain_rows(connection, "decision", [seen.decision.id])
        assert (sealed.salt, sealed.payload) == (None, None)
        assert json.loads(sealed.record)["row"]["reasons"][0]["protocol"] == "robots"
        [event] = connection.execute(select(schema.events)).all()
        assert event.event == "erasure"
        assert event.content["rows"] == 3
        assert event.content["reason"]
        [sealed] = chain.chain_rows(connection, "event", [event.id])
        assert rfc8785.dumps(json.loads(sealed.record)).decode() == sealed.record
        known = lookup(connection, "a.example")
        assert known is not None
        assert known.urls == {"excluded": 1}
        assert known.examples == {"excluded": ("https://a.example/other",)}
        assert lookup(connection, SECRET) is None
    assert changed(engine) == []
    assert other.decision.id


def test_nothing_is_erased_twice(engine: Engine, about_jane: Any) -> None:
    assert sum(erasure.by_url(engine, SECRET, "once")) == 3
    assert sum(erasure.by_url(engine, SECRET, "twice")) == 0
    assert sum(erasure.older_than(engine, now() - timedelta(hours=1), "age")) == 0
    with engine.connect() as connection:
        assert len(connection.execute(select(schema.events)).all()) == 1


def test_a_well_known_file_goes_when_it_is_named(engine: Engine, about_jane: Any) -> None:
    _, robots, _ = about_jane
    assert sum(erasure.by_url(engine, robots.capture.url, "theirs")) == 1
    with engine.connect() as connection:
        assert connection.execute(select(schema.bodies)).all() == []
    assert changed(engine) == []


def test_a_capture_that_later_decisions_rest_on_stays_as_long(engine: Engine, make: Any, write: Write) -> None:
    capture = Capture("https://a.example/p", 200, (), b"<p>")
    page = make.robots("https://a.example/p", capture=capture, keep=Keep.QUOTED)
    old = make.decided("https://a.example/p", at=now() - timedelta(hours=3), captures=(page,))
    new = make.decided("https://a.example/p", at=now(), captures=(page,))
    write(old, new)
    assert sum(erasure.older_than(engine, now() - timedelta(hours=1), "age")) == 1
    with engine.connect() as connection:
        assert connection.scalar(select(schema.captures.c.url)) == "https://a.example/p"
        assert connection.scalar(select(schema.urls.c.url)) == "https://a.example/p"
    assert sum(erasure.older_than(engine, now() + timedelta(hours=1), "age")) == 2
    with engine.connect() as connection:
        assert connection.scalar(select(schema.captures.c.url)) == ""
        assert connection.scalar(select(schema.urls.c.url)) is None
    assert changed(engine) == []


def test_what_is_put_in_the_place_of_erased_words_is_found(engine: Engine, about_jane: Any) -> None:
    seen, _, _ = about_jane
    assert sum(erasure.by_url(engine, SECRET, "asked for"))
    with writing(engine) as connection:
        mine = schema.decisions.c.id == seen.decision.id
        connection.execute(schema.decisions.update().where(mine).values(url="https://a.example/made-up"))
    [finding] = changed(engine)
    assert (finding.change, finding.kind, finding.ref) == ("inserted", "decision", seen.decision.id)


def test_an_erasure_that_is_made_to_name_more_is_found(engine: Engine, about_jane: Any) -> None:
    assert sum(erasure.by_url(engine, SECRET, "asked for"))
    with writing(engine) as connection:
        content = connection.execute(select(schema.events.c.content)).scalar_one()
        connection.execute(schema.events.update().values(content=content | {"positions": "0-1000"}))
    [finding] = changed(engine)
    assert (finding.change, finding.kind) == ("edited", "event")


def test_many_rows_are_erased_in_parts(
    engine: Engine, make: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "_BATCH", 7)
    write(*(make.decided(f"https://a.example/{n}", at=now()) for n in range(20)))
    assert list(erasure.older_than(engine, now() + timedelta(hours=1), "all")) == [7, 7, 6]
    assert changed(engine) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_is_left_in_the_file(engine: Engine, about_jane: Any, tmp_path: Path) -> None:
    assert sum(erasure.by_url(engine, SECRET, "asked for"))
    engine.dispose()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("forbear.db*"))
    assert b"jane" not in content


@pytest.mark.parametrize(
    ("positions", "shown"),
    [([], ""), ([7], "7"), ([3, 4, 5, 9], "3-5 9"), ([0, 2, 4], "0 2 4"), (range(10), "0-9")],
)
def test_positions_are_written_as_ranges(positions: Any, shown: str) -> None:
    assert join(positions) == shown
    found = PositionSet([shown, "20-21"])
    assert [position for position in range(30) if position in found] == [*positions, 20, 21]
