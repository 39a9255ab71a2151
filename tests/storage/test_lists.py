"""Lists of infringing sites in the database: what an issue adds and ends, what waits, what crawls read."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Connection, Engine

from forbear.optout.protocols.infringing_list import capture_of
from forbear.storage.database import writing
from forbear.storage.log import lists
from forbear.storage.log.lists import AlreadyKnown, Issue, ListedSite

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def site(domain: str, held: str = "") -> ListedSite:
    return ListedSite(domain, "DK", "A court", "Section 413", None, held)


def issue(day: int, content: bytes, *, whole: bool = True) -> Issue:
    return Issue("denmark", f"{day}.csv", date(2026, 11, day), whole, content, [])


def domains(connection: Connection) -> dict[str, str]:
    body = lists.current(connection)
    assert body is not None
    capture_of(body)
    lines = [line.split(",") for line in body.decode().splitlines()[1:]]
    return {line[0]: line[6] for line in lines}


def test_without_an_import_there_is_no_list(engine: Engine) -> None:
    with engine.connect() as connection:
        assert lists.current(connection) is None


def test_a_whole_issue_ends_what_it_does_not_name_and_a_part_does_not(engine: Engine) -> None:
    with writing(engine) as connection:
        done = lists.import_list(connection, issue(1, b"1"), [site("a.example"), site("b.example")], NOW)
        assert (done.new, done.out, done.held) == (2, 0, 0)
        done = lists.import_list(connection, issue(2, b"2", whole=False), [site("c.example")], NOW)
        assert (done.new, done.out) == (1, 0)
        done = lists.import_list(connection, issue(3, b"3"), [site("b.example"), site("c.example")], NOW)
        assert (done.new, done.out) == (0, 1)
        assert domains(connection) == {"a.example": "2026-11-03", "b.example": "", "c.example": ""}


def test_a_site_that_comes_back_is_listed_again(engine: Engine) -> None:
    with writing(engine) as connection:
        for day, names in ((1, "ab"), (2, "b"), (3, "ab")):
            lists.import_list(connection, issue(day, b"%d" % day), [site(f"{name}.example") for name in names], NOW)
        assert [row["until"] for row in lists.entries(connection) if row["domain"] == "a.example"] == [
            date(2026, 11, 2),
            None,
        ]


def test_what_is_held_back_is_in_no_list_until_a_person_lets_it_in(engine: Engine) -> None:
    with writing(engine) as connection:
        lists.import_list(connection, issue(1, b"1"), [site("github.io", "shared hosting"), site("a.example")], NOW)
        assert set(domains(connection)) == {"a.example"}
        [state] = lists.publication_statuses(connection)
        assert (state.in_force, state.held) == (1, 1)
        assert lists.accept(connection, "a.example", by="x", why="y", at=NOW) == 0
        assert lists.accept(connection, "github.io", by="legal team", why="order 12", at=NOW) == 1
        assert set(domains(connection)) == {"a.example", "github.io"}
        body = lists.current(connection)
        assert body is not None
        assert b"legal team" not in body  # the list is evidence that is shown; who decided is in the database
        [row] = [row for row in lists.entries(connection) if row["domain"] == "github.io"]
        assert (row["accepted_by"], row["accepted_why"], row["accepted_at"]) == ("legal team", "order 12", NOW)


def test_the_same_file_twice_and_an_older_issue_change_nothing(engine: Engine) -> None:
    with writing(engine) as connection:
        lists.import_list(connection, issue(5, b"5"), [site("a.example")], NOW)
        before = lists.current(connection)
        with pytest.raises(AlreadyKnown, match="imported already; nothing was changed"):
            lists.import_list(connection, issue(5, b"5"), [site("b.example")], NOW)
        with pytest.raises(AlreadyKnown, match=r"A later issue, of .*; this one is of 2026-11-04"):
            lists.import_list(connection, issue(4, b"4"), [site("b.example")], NOW)
        assert lists.current(connection) == before
