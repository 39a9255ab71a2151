from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from forbear.optout.model import Capture, Failure, Verdict
from forbear.storage.db.records import CaptureRecord, Keep, new_id
from forbear.storage.db.schema import bodies, captures
from forbear.storage.log import evidence
from forbear.storage.reads import snapshots

Write = Callable[..., list[int]]

HEADERS = (("Set-Cookie", "a=1"), ("X-Odd", "\0 \udcff ü"), ("Set-Cookie", "b=2"))


@pytest.mark.parametrize(
    "capture",
    [
        Capture("https://a.example/robots.txt", 200, HEADERS, b"User-agent: *\n\x00\xff"),
        Capture("https://a.example/robots.txt", 404),
        Capture("https://a.example/robots.txt", error=Failure.TIMEOUT),
        Capture("https://a.example/robots.txt", 200, (), b"cut", Failure.TRUNCATED),
    ],
    ids=["octets", "nothing there", "no answer", "cut off"],
)
def test_a_capture_comes_back_as_it_was(engine: Engine, make: Any, write: Write, capture: Capture) -> None:
    job = make.decided("https://a.example/", captures=(make.robots("https://a.example/", capture=capture),))
    write(job)
    with engine.connect() as connection:
        stored = evidence.load(connection, job.captures[0].id)
    for name in ("url", "status", "headers", "body", "error"):
        assert getattr(stored, name) == getattr(capture, name)


def test_the_same_body_is_stored_once(engine: Engine, make: Any, write: Write) -> None:
    write(*(make.decided(f"https://{name}.example/") for name in "abcde"))
    with engine.connect() as connection:
        assert len(connection.execute(select(bodies.c.sha256)).all()) == 1
        assert len(connection.execute(select(captures.c.id)).all()) == 5


def test_a_capture_handed_over_twice_is_stored_once(engine: Engine, make: Any, write: Write) -> None:
    robots = (make.robots("https://a.example/"),)
    write(make.decided("https://a.example/1", captures=robots), make.decided("https://a.example/2", captures=robots))
    write(make.decided("https://a.example/3", captures=robots))
    with engine.connect() as connection:
        assert len(connection.execute(select(captures.c.id)).all()) == 1


def test_of_a_refused_page_only_the_words_stay(engine: Engine, make: Any, write: Write) -> None:
    page = Capture("https://a.example/page", 200, HEADERS, b"<meta name=robots content=noai>the secret text")
    record = make.robots("https://a.example/", capture=page, keep=Keep.QUOTED)
    quote = "<meta name=robots content=noai>"
    job = make.decided(page.url, Verdict.EXCLUDED, quote=quote, captures=(make.robots(page.url), record))
    write(job)
    with engine.connect() as connection:
        stored = evidence.load(connection, record.id)
        row = connection.execute(select(captures).where(captures.c.id == record.id)).one()
        whole = connection.execute(select(bodies.c.size)).scalars().all()
    assert (stored.body, stored.headers) == (quote.encode(), HEADERS)
    assert (row.excerpts, row.body, row.body_bytes) == ([quote], None, len(page.body))
    assert len(row.body_sha256) == 64
    assert whole == [len(job.captures[0].capture.body)]


def test_a_capture_that_is_not_there(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(KeyError):
        evidence.load(connection, "nothing")


def test_places_are_used_again_until_they_expire(engine: Engine, make: Any, write: Write) -> None:
    def robots(host: str, hours: float, body: bytes) -> CaptureRecord:
        record: CaptureRecord = make.robots(f"https://{host}/", body)
        at = record.fetched_at + timedelta(hours=hours)
        return replace(record, id=new_id(), fetched_at=at, expires_at=at + timedelta(hours=24))

    older, newer, expired = robots("a.example", 0, b"1"), robots("a.example", 5, b"2"), robots("b.example", -30, b"3")
    page = make.robots("https://c.example/")
    write(*(make.decided("https://a.example/", captures=(one,)) for one in (newer, older, expired, page)))
    now = page.fetched_at + timedelta(hours=6)
    asked = [f"https://{host}.example/robots.txt" for host in "abcd"]
    with engine.connect() as connection:
        found = evidence.fresh(connection, asked, now)
        later = evidence.fresh(connection, asked, now + timedelta(hours=24))
    assert [(one.id, one.capture.body, one.expires_at) for one in found] == [(newer.id, b"2", newer.expires_at)]
    assert later == []


def test_what_a_clock_dated_into_the_future_is_asked_for_again(engine: Engine, make: Any, write: Write) -> None:
    record: CaptureRecord = make.robots("https://a.example/", b"now")
    at, ahead = record.fetched_at, timedelta(days=400)
    record = replace(record, expires_at=at + timedelta(hours=24))
    future = replace(record, id=new_id(), fetched_at=at + ahead, expires_at=at + ahead + timedelta(hours=24))
    alone = make.robots("https://b.example/", b"then")
    alone = replace(alone, fetched_at=at + ahead, expires_at=at + ahead + timedelta(hours=24))
    write(*(make.decided("https://a.example/", captures=(one,)) for one in (record, future, alone)))
    asked = [f"https://{host}.example/robots.txt" for host in "ab"]
    with engine.connect() as connection:
        assert [one.id for one in evidence.fresh(connection, asked, at)] == [record.id]
        assert [one.id for one in evidence.fresh(connection, asked, at, expired=True)] == [record.id]
        assert len(evidence.fresh(connection, asked, at + ahead)) == 2
        assert [one.id for one in snapshots.answers(connection)] == [record.id]
