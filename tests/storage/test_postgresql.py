"""What PostgreSQL alone has: parts of the decisions by month, and roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError

from forbear.optout.model import Verdict
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.database import open_database, reading, reading_only, writing
from forbear.storage.db import account_tables, partitions, roles, schema, views
from forbear.storage.db.dialects import insert_rows
from forbear.storage.db.errors import StorageError
from forbear.storage.db.records import new_id, now
from forbear.storage.log.writer import Writer
from forbear.storage.proof import checkpoints
from forbear.storage.proof.verify import Report, verify
from forbear.storage.reads.lookup import lookup

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
Write = Callable[..., list[int]]


def parts(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        asked = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'decisions'::regclass ORDER BY 1"
        return list(connection.scalars(text(asked)))


def test_there_is_a_part_for_this_month_and_two_years_more(engine: Engine) -> None:
    names = parts(engine)
    assert len(names) == 1 + partitions.AHEAD + 1
    assert names[0] == f"decisions_{now():%Y_%m}"
    assert names[-1] == "decisions_others"


def test_a_decision_goes_to_the_part_of_its_month(engine: Engine, make: Any, write: Write) -> None:
    job = make.decided("https://a.example/", at=now())
    write(job)
    with engine.connect() as connection:
        where = connection.execute(text("SELECT tableoid::regclass::text, id FROM decisions")).one()
    assert tuple(where) == (f"decisions_{now():%Y_%m}", job.decision.id)


def test_more_are_made_ahead_as_time_goes_by(engine: Engine) -> None:
    before = parts(engine)
    later = now() + timedelta(days=200)
    with writing(engine) as connection:
        made = partitions.make(connection, now(), later)
        assert partitions.make(connection, now(), later) == []
    assert 6 <= len(made) <= 7
    assert sorted([*before, *made]) == parts(engine)


def test_what_no_part_was_made_for_is_taken_all_the_same(engine: Engine, make: Any, write: Write) -> None:
    job = make.decided("https://a.example/")
    ids = [partitions.bound(datetime(2031, 5, 5, tzinfo=UTC))[:14] + "7000-8000-000000000000", "not-of-this-kind"]
    write(*(replace(job, decision=replace(job.decision, id=id_)) for id_ in ids))
    with writing(engine) as connection:
        made = partitions.make(connection, datetime(2031, 4, 1, tzinfo=UTC), datetime(2029, 6, 1, tzinfo=UTC))
        assert made == ["decisions_2031_04", "decisions_2031_06"]  # and not the month of what is there already
        where = connection.execute(text("SELECT tableoid::regclass::text FROM decisions")).scalars()
        assert set(where) == {"decisions_others"}


def test_ids_tell_their_month(engine: Engine) -> None:
    del engine
    first = datetime(2026, 11, 1, tzinfo=UTC)
    made = new_id()
    at = partitions.moment(made)
    assert at is not None
    assert abs(now() - at) < timedelta(minutes=1)
    assert partitions.moment(partitions.bound(first)) is None
    assert partitions.bound(at) <= made < partitions.bound(at + timedelta(milliseconds=1))


@pytest.fixture
def users(engine: Engine) -> Iterator[Callable[[str], Engine]]:
    """Opens the database as a role that may crawl, or as one that may read; both are made for this test alone."""
    with writing(engine) as connection:
        roles.grant(connection, "t_crawler", "t_legal")
        for role in ("t_crawler", "t_legal"):
            connection.execute(text(f"ALTER ROLE {role} LOGIN"))
    opened: list[Engine] = []

    def user(name: str) -> Engine:
        opened.append(create_engine(engine.url.set(username=name)))
        return opened[-1]

    yield user
    for one in opened:
        one.dispose()
    with writing(engine) as connection:
        for role in ("t_crawler", "t_legal"):
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_who_crawls_may_add_to_the_log(engine: Engine, make: Any, users: Callable[[str], Engine]) -> None:
    url = engine.url.set(username="t_crawler").render_as_string(hide_password=False)
    users("t_crawler")
    crawler = open_database(url)
    writer = Writer(crawler)
    writer.start()
    excluded, kept = (
        make.decided("https://a.example/no", Verdict.EXCLUDED, at=now()),
        make.decided("https://a.example/", at=now()),
    )
    futures = [writer.submit(job) for job in (excluded, kept, make.kept(kept, at=now()))]
    assert [future.result(30) for future in futures] == [0, 0, 0]
    writer.close()
    assert checkpoints.sign(crawler, SignerKey("log.example/x", Ed25519PrivateKey.generate())).new
    with reading(crawler) as connection:
        assert list(verify(connection, Report())) == []
    crawler.dispose()


def test_nobody_may_change_the_log(engine: Engine, make: Any, write: Write, users: Callable[[str], Engine]) -> None:
    job = make.decided("https://a.example/no", Verdict.EXCLUDED, at=now())
    write(job)
    for name in ("t_crawler", "t_legal"):
        user = users(name)
        for table in (*(table.name for table in roles.LOG), *parts(engine)):
            column = next(iter(schema.metadata.tables.get(table, schema.decisions).c)).name
            for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}", f"TRUNCATE {table}"):
                with (
                    pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
                    user.begin() as connection,
                ):
                    connection.execute(text(statement))


def test_who_asks_may_read_and_nothing_else(
    engine: Engine, make: Any, write: Write, users: Callable[[str], Engine]
) -> None:
    write(make.decided("https://a.example/no", Verdict.EXCLUDED, at=now()))
    legal = users("t_legal")
    with legal.connect() as connection:
        assert lookup(connection, "a.example") is not None
        assert list(verify(connection, Report())) == []
    for table in schema.metadata.sorted_tables:
        with pytest.raises(ProgrammingError, match="permission denied"), legal.begin() as connection:
            connection.execute(text(f"INSERT INTO {table.name} DEFAULT VALUES"))
        if table not in account_tables.SECRET:
            with legal.connect() as connection:
                connection.execute(select(table).limit(1))


def test_who_reads_the_log_reads_its_views_after_an_upgrade_too(
    engine: Engine, make: Any, write: Write, users: Callable[[str], Engine]
) -> None:
    write(make.decided("https://a.example/no", Verdict.EXCLUDED, at=now()))
    legal = users("t_legal")
    with writing(engine) as connection:
        views.create(connection)
    with reading_only(legal) as connection:
        answer = views.run_select(connection, "SELECT quote FROM log_reasons")
        assert list(map(tuple, answer.rows)) == [("Disallow: /no",)]
    with pytest.raises(StorageError, match="The query failed"), reading_only(legal) as connection:
        views.run_select(connection, "SELECT * FROM sessions")


def test_an_upgrade_gives_the_roles_the_same_rights_to_what_it_adds(
    engine: Engine, users: Callable[[str], Engine]
) -> None:
    crawler, legal = users("t_crawler"), users("t_legal")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE later (id integer)"))
        roles.grant_new_tables(connection)
    with crawler.begin() as connection:
        connection.execute(text("INSERT INTO later VALUES (1)"))
        connection.execute(text("DELETE FROM later"))
    with legal.begin() as connection:
        assert connection.execute(text("SELECT * FROM later")).all() == []
    for user, statement in (
        (legal, "INSERT INTO later VALUES (1)"),
        (crawler, "UPDATE decisions SET url = ''"),
        (crawler, "UPDATE alembic_version SET version_num = ''"),
        (crawler, "SELECT * FROM accounts"),
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), user.begin() as connection:
            connection.execute(text(statement))


def test_a_role_that_may_change_the_log_gets_nothing_from_an_upgrade(
    engine: Engine, users: Callable[[str], Engine]
) -> None:
    legal = users("t_legal")
    with writing(engine) as connection:
        connection.execute(text("GRANT UPDATE ON decisions TO t_legal"))
        connection.execute(text("CREATE TABLE later (id integer)"))
        roles.grant_new_tables(connection)
    with pytest.raises(ProgrammingError, match="permission denied"), legal.begin() as connection:
        connection.execute(text("SELECT * FROM later"))


def test_a_role_that_is_not_a_name_is_refused(engine: Engine) -> None:
    for names in (('a"b', "legal"), ("crawler", "A B")):
        with writing(engine) as connection, pytest.raises(StorageError, match="not a valid role name"):
            roles.grant(connection, *names)


def test_what_copy_refuses_is_reported_as_for_any_statement(engine: Engine, make: Any, write: Write) -> None:
    job = make.decided("https://a.example/", at=now())
    write(job)
    with engine.connect() as connection:
        row = connection.execute(select(schema.decisions)).one()
    with pytest.raises(IntegrityError, match="duplicate key"), writing(engine) as connection:
        insert_rows(connection, schema.decisions, [tuple(row)])
    with pytest.raises(DataError), writing(engine) as connection:
        insert_rows(connection, schema.decisions, [(new_id(), *row[1:5], "\0", *row[6:])])
    with writing(engine) as connection:
        insert_rows(connection, schema.decisions, [])
    assert count(engine) == 1


def test_a_connection_that_is_lost_while_it_copies(engine: Engine, make: Any, write: Write, postgresql: Any) -> None:
    job = make.decided("https://a.example/", at=now())
    write(job)
    with engine.connect() as connection:
        row = connection.execute(select(schema.decisions)).one()
    new = (new_id(), *row[1:])

    def cut_off() -> None:
        with writing(engine) as connection:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            postgresql.execute(f"SELECT pg_terminate_backend({pid})")
            insert_rows(connection, schema.decisions, [new])

    with pytest.raises(OperationalError):
        cut_off()
    with writing(engine) as connection:
        insert_rows(connection, schema.decisions, [new])
    assert count(engine) == 2


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.execute(select(schema.decisions.c.id)).all())
