from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.exc import IntegrityError

from forbear.optout import policy
from forbear.optout.model import Verdict
from forbear.storage.database import StorageError, open_database, writing
from forbear.storage.db import schema
from forbear.storage.db.records import AddLinks, EntryState, EntryUpdate, Link, UpdateEntry
from forbear.storage.frontier.process_id import this_process
from forbear.storage.log.log import Superseded
from forbear.storage.log.writer import Writer

Write = Callable[..., list[int]]


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_decision_is_written_with_all_that_belongs_to_it(engine: Engine, make: Any, write: Write) -> None:
    job = make.decided("https://Bücher.example/no", Verdict.EXCLUDED)
    assert write(job) == [0]
    with engine.connect() as connection:
        row = connection.execute(select(schema.decisions)).one()
        assert row.url == "https://Bücher.example/no"
        assert row.canonical == "https://xn--bcher-kva.example/no"
        assert (row.host, row.domain) == ("xn--bcher-kva.example", "xn--bcher-kva.example")
        assert (row.verdict, row.stage, row.at) == ("excluded", "request", job.decision.at)
        identity = (row.engine, row.policy, row.profile, row.use, row.agent)
        assert identity == ("0.1.0", policy.load().digest, "standard", "train-ai", "ForbearBot")
        source = "https://xn--bcher-kva.example/robots.txt"
        stored = (row.id, 0, "robots", "Disallow: /no", source, "line 2", "disallow")
        assert connection.execute(select(schema.reasons)).one() == (*stored, "1.3(1)(a)")
        assert connection.execute(select(schema.statements)).one() == (*stored, ["ai-use", "train-ai"], "standing", "")
        gap = (row.id, 0, "tdmrep", "503", source, "status", "It answered 503.", ["standard", "strict"])
        assert connection.execute(select(schema.gaps)).one() == gap
        assert connection.execute(select(schema.decision_captures)).one() == (row.id, 0, job.captures[0].id)
        assert connection.execute(select(schema.hosts.c.unicode)).scalar_one() == "bücher.example"


ODD = [
    ("long", "https://a.example/" + "x" * 8192, "https://a.example/" + "x" * 8192),
    ("NUL", "https://a.example/\0x", "https://a.example/\\x00x"),
    ("lone surrogate", "https://a.example/\udc80", "https://a.example/\\xed\\xb2\\x80"),
    ("unicode", "https://a.example/日本語/ü", "https://a.example/日本語/ü"),
    ("host beyond DNS", f"https://{'a.' * 1500}example/", f"https://{'a.' * 1500}example/"),
]


@pytest.mark.parametrize(("url", "stored"), [row[1:] for row in ODD], ids=[row[0] for row in ODD])
def test_urls_of_any_kind_are_stored(engine: Engine, make: Any, write: Write, url: str, stored: str) -> None:
    decided = make.decided(url.replace("\udc80", "x").replace("\0", ""), links=(Link(url.replace("\udc80", "x")),))
    assert write(replace(decided, decision=replace(decided.decision, url=url)), make.kept(decided)) == [1, 0]
    with engine.connect() as connection:
        assert connection.execute(select(schema.decisions.c.url)).scalar_one() == stored


def test_a_refused_job_fails_alone(engine: Engine, make: Any, writer: Writer) -> None:
    jobs = [make.decided(f"https://a.example/{number}") for number in range(20)]
    twice = replace(jobs[0], settle=None)
    without_evidence = replace(jobs[1], decision=replace(jobs[1].decision, id="x", captures=("nothing",)))
    without_crawl = replace(jobs[2], decision=replace(jobs[2].decision, id="y", crawl="nothing"))
    without_decision = make.kept(replace(jobs[3], decision=replace(jobs[3].decision, id="z")))
    bad = (twice, without_evidence, without_crawl, without_decision)
    futures = [writer.submit(job) for job in (*jobs, *bad)]
    for future in futures[:20]:
        assert future.result(60) == 0
    for future in futures[20:]:
        with pytest.raises((StorageError, LookupError)):
            future.result(60)
    assert count(engine, schema.decisions) == 20
    assert count(engine, schema.pages) == 0


def test_what_is_queued_meanwhile_is_one_transaction(engine: Engine, make: Any, writer: Writer) -> None:
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)
    entered, gate = threading.Event(), threading.Event()

    def block(_connection: Connection) -> bool:
        entered.set()
        return gate.wait(60)

    first = writer.call(block)
    assert entered.wait(60)
    futures = [writer.submit(make.decided(f"https://a.example/{number}")) for number in range(400)]
    gate.set()
    assert first.result(60)
    assert [future.result(60) for future in futures] == [0] * 400
    assert len(commits) == 2


def test_a_lone_job_does_not_wait_for_company(engine: Engine, make: Any, writer: Writer) -> None:
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)
    for number in range(20):
        writer.submit(make.decided(f"https://a.example/{number}")).result(60)
    assert len(commits) == 20


def test_calls_and_jobs_happen_in_the_order_they_were_asked_for(make: Any, writer: Writer) -> None:
    def decisions(connection: Connection) -> int:
        return connection.execute(select(func.count()).select_from(schema.decisions)).scalar_one()

    futures: list[Any] = []
    for number in range(5):
        futures.append(writer.submit(make.decided(f"https://a.example/{number}")))
        futures.append(writer.call(decisions))
    assert [future.result(60) for future in futures] == [0, 1, 0, 2, 0, 3, 0, 4, 0, 5]


def test_a_call_that_raises_says_so_and_changes_nothing(engine: Engine, make: Any, writer: Writer) -> None:
    def wrong(connection: Connection) -> None:
        connection.execute(schema.crawls.update().values(agent="changed"))
        raise ZeroDivisionError

    asked = writer.call(wrong)
    written = writer.submit(make.decided("https://a.example/"))
    with pytest.raises(ZeroDivisionError):
        asked.result(60)
    assert written.result(60) == 0
    with engine.connect() as connection:
        assert connection.execute(select(schema.crawls.c.agent)).scalar_one() == "ForbearBot"


def test_close_writes_what_is_queued_and_refuses_the_rest(engine: Engine, make: Any) -> None:
    writer = Writer(engine)
    writer.start()
    futures = [writer.submit(make.decided(f"https://a.example/{number}")) for number in range(700)]
    writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert count(engine, schema.decisions) == 700
    with pytest.raises(StorageError, match="closed"):
        writer.submit(make.decided("https://a.example/late"))
    writer.close()


def test_a_caller_that_gives_up_does_not_undo_what_it_asked_for(engine: Engine, make: Any, writer: Writer) -> None:
    future = writer.submit(make.decided("https://a.example/"))
    assert not future.cancel()
    assert future.result(60) == 0
    assert count(engine, schema.decisions) == 1


def test_a_job_goes_into_the_frontier_with_its_decision(engine: Engine, make: Any, write: Write) -> None:
    assert write(AddLinks(make.crawl, (Link("https://a.example/"), Link("https://a.example/404")))) == [2]
    with engine.connect() as connection:
        page, gone = connection.scalars(select(schema.frontier.c.id).order_by(schema.frontier.c.id)).all()
    decided = make.decided("https://a.example/", settle=EntryUpdate(page, EntryState.ALLOWED))
    write(decided, UpdateEntry(EntryUpdate(gone, EntryState.GONE)))
    links = tuple(Link(f"https://a.example/{name}", 1, page) for name in ("x", "y", "x", ""))
    assert write(make.kept(decided, settle=EntryUpdate(page, EntryState.KEPT), links=links)) == [2]
    columns = schema.frontier.c
    with engine.connect() as connection:
        rows = connection.execute(select(columns.url, columns.state, columns.found_on, columns.decision)).all()
    assert sorted(rows) == [
        ("https://a.example/", "kept", None, decided.decision.id),
        ("https://a.example/404", "gone", None, None),
        ("https://a.example/x", "waiting", page, None),
        ("https://a.example/y", "waiting", page, None),
    ]


def test_a_page_that_another_process_has_taken_over_or_ended_is_not_kept(
    engine: Engine, make: Any, write: Write
) -> None:
    write(AddLinks(make.crawl, (Link("https://a.example/"),)))
    decided = make.decided("https://a.example/", settle=EntryUpdate(1, EntryState.ALLOWED))
    write(decided)
    kept = make.kept(decided, settle=EntryUpdate(1, EntryState.KEPT))
    for change in (
        schema.hosts.update().values(lease_owner="elsewhere"),
        schema.frontier.update().values(state="gone"),
    ):
        with writing(engine) as connection:
            connection.execute(schema.hosts.update().values(lease_owner=this_process()))
            connection.execute(change)
        with pytest.raises(Superseded):
            write(kept, make.decided("https://a.example/other"))
    assert count(engine, schema.pages) == 0
    with writing(engine) as connection:
        connection.execute(schema.frontier.update().values(state="allowed"))
    assert write(kept) == [0]
    assert count(engine, schema.pages) == 1


def test_two_writers_share_a_database(database_url: str, engine: Engine, make: Any, writer: Writer) -> None:
    second = open_database(database_url)
    other = Writer(second)
    other.start()
    futures = [
        one.submit(make.decided(f"https://a.example/{number}", Verdict.EXCLUDED))
        for number in range(150)
        for one in (writer, other)
    ]
    assert [future.result(60) for future in futures] == [0] * 300
    other.close()
    second.dispose()
    with engine.connect() as connection:
        outcomes = connection.execute(select(schema.host_outcomes.c.outcome, schema.host_outcomes.c.urls)).all()
        stored = connection.execute(select(schema.host_reasons.c.decisions)).scalars().all()
    assert outcomes == [("excluded", 150)]
    assert stored == [300]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lost_connection_is_made_again(postgresql: Any, make: Any, engine: Engine, writer: Writer) -> None:
    writer.submit(make.decided("https://a.example/1")).result(60)
    postgresql.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{engine.url.database}'"
    )
    assert writer.submit(make.decided("https://a.example/2")).result(60) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_stays_away_is_reported(
    make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("forbear.storage.log.writer.PAUSES", (0.01,))
    engine = create_engine("postgresql+psycopg://127.0.0.1:1/nothing")
    writer = Writer(engine, patience=0.5)
    writer.start()
    futures = [writer.submit(make.decided("https://a.example/")) for _ in range(3)]
    for future in futures:
        with pytest.raises(StorageError, match="cannot be used"):
            future.result(60)
    writer.close()
    assert writer.failures > 1
    assert "cannot be used: connection" in caplog.messages[0]
    assert caplog.messages[0].endswith("It is waited for.")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_group_that_was_committed_before_its_connection_broke_is_not_written_twice(
    make: Any, engine: Engine, write: Write
) -> None:
    broken: list[Connection] = []

    def commit_and_break(connection: Connection) -> None:
        if not broken:
            broken.append(connection)
            raw: Any = connection.connection.driver_connection
            raw.commit()
            raw.close()

    event.listen(engine, "commit", commit_and_break)
    decided = make.decided("https://a.example/1", links=(Link("https://a.example/2"),))
    write(decided, make.kept(decided))
    assert broken
    event.remove(engine, "commit", commit_and_break)
    assert write(make.decided("https://a.example/3")) == [0]
    tables = (schema.decisions, schema.pages, schema.frontier)
    assert [count(engine, table) for table in tables] == [2, 1, 1]


def test_rows_that_make_no_sense_are_refused_by_the_database(engine: Engine, make: Any, write: Write) -> None:
    write(make.decided("https://a.example/"))
    for change in ("verdict = 'maybe'", "stage = 'later'", "crawl = 'none'", "host = NULL"):
        with pytest.raises(IntegrityError), writing(engine) as connection:
            connection.execute(text(f"UPDATE decisions SET {change}"))
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(text("DELETE FROM captures"))
