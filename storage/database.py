"""Opens, creates and upgrades the database: SQLite (WAL) by default, PostgreSQL (psycopg 3) by URL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from forbear.optout import __version__
from forbear.storage.db import partitions
from forbear.storage.db.errors import NoDatabase, OutOfDate, StorageError
from forbear.storage.migrations import revisions

__all__ = [  # Connection and Engine for annotations: SQLAlchemy itself is imported in storage alone
    "Connection",
    "Engine",
    "OutOfDate",
    "StorageError",
    "hide_password",
    "open_database",
    "ping",
    "reading",
    "reading_only",
    "translated",
    "upgrade",
    "writing",
]

BUSY_SECONDS = 30
"""How long a process waits while another one writes to the same SQLite file."""

PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")
"""Settings of each SQLite connection."""

_PREPARED = 512
"""Prepared statements kept per SQLite connection: the writer uses several lengths of each (dialects)."""


def open_database(url: str, *, create: bool = True, evidence: str | None = None, idle: float | None = None) -> Engine:
    """Opens a database that has the current schema; with ``create``, makes a missing one.

    ``evidence`` is the folder or bucket for the content of captures (blobs.py); without it, content is in the database.
    ``idle`` is how many seconds PostgreSQL waits before it ends the transaction of a process that sends nothing, such
    as a paused one, which would block all others.

    Raises StorageError (unknown URL, unreachable, unwritable, missing, unknown schema) and OutOfDate.
    """
    engine = _engine(url, create=create)
    if idle is not None and engine.dialect.name == "postgresql":
        event.listen(engine, "connect", partial(_end_when_idle, round(1000 * idle)))
    if evidence is not None:
        from forbear.storage.db.blobs import blob_store  # noqa: PLC0415 most commands need no content of captures, and no pyarrow

        engine = engine.execution_options(evidence=blob_store(evidence))
    try:
        with translated(engine.url), writing(engine) as connection:
            _check(connection, engine.url, create)
    except BaseException:
        engine.dispose()
        raise
    return engine


def upgrade(url: str) -> tuple[str | None, str]:
    """Creates the database, or upgrades an older one to the current schema; returns its revision."""
    engine = _engine(url, create=True)
    try:
        with translated(engine.url), writing(engine) as connection:
            before = _refuse_strangers(connection, engine.url)
            return before, _migrate(connection)
    finally:
        engine.dispose()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Opens a connection in a write transaction: committed at the end, rolled back on an error."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Opens a connection that sees one snapshot of the database, whatever is written meanwhile."""
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def reading_only(engine: Engine) -> Iterator[Connection]:
    """Opens a connection that can only read: the database itself refuses everything else."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        else:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            connection.exec_driver_sql("PRAGMA query_only = ON")
            raw.set_authorizer(_only_reading)
        try:
            yield connection
        finally:
            connection.invalidate()  # so restricted, it must not return to the pool


def ping(connection: Connection) -> None:
    """Asks the database for an answer; raises what SQLAlchemy raises if there is none."""
    connection.execute(select(1))


def _only_reading(action: int, *_about: str | None) -> int:
    """Lets SQLite's authorizer pass reads only: no other file is attached, no setting changed."""
    known = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
    return sqlite3.SQLITE_OK if action in known else sqlite3.SQLITE_DENY


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turns what the database libraries raise into a StorageError."""
    try:
        yield
    except SQLAlchemyError as error:
        raise storage_error(url, error) from error


def storage_error(url: URL, error: SQLAlchemyError) -> StorageError:
    """Puts what the database libraries raised into a sentence."""
    return StorageError(f"{_shown(url)} cannot be used: {_first_line(error)}.")


def _end_when_idle(milliseconds: int, connection: Any, _record: Any) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
    connection.commit()


def _engine(url: str, *, create: bool) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StorageError(
            f"{url!r} is not a database URL: write sqlite:///forbear.db or postgresql+psycopg://user@host/name."
        ) from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(parsed, create=create)
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(parsed, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    raise StorageError(f"{_shown(parsed)} is neither sqlite:///FILE nor postgresql+psycopg://…, and no other is known.")


def _sqlite(url: URL, *, create: bool) -> Engine:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StorageError("The database must be a file, since it is shared by threads: write sqlite:///forbear.db.")
    path = Path(url.database)
    if not path.parent.is_dir():
        raise StorageError(f"{path} cannot be made, because there is no directory {path.parent}: create it first.")
    if not create and not path.exists():
        raise NoDatabase(f"There is no database {path}: name the right one with --db, or crawl first.")
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "cached_statements": _PREPARED})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later would fail where another process wrote in between.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _migrate(connection: Connection) -> str:
    from forbear.storage.migrations import migrate  # noqa: PLC0415 Alembic takes longer to load than most commands to answer

    migrate.migrate(connection)
    _make_parts(connection)
    return _revision(connection) or ""


def _check(connection: Connection, url: URL, create: bool) -> None:
    revision = _refuse_strangers(connection, url)
    if revision is None:
        if not create:
            raise NoDatabase(f"{_shown(url)} is empty: name the right database with --db, or crawl first.")
        _migrate(connection)
    elif revision != revisions()[-1]:
        raise OutOfDate(f"{_shown(url)} was made by an older Forbear: run `forbear db upgrade --db {_shown(url)}`.")
    else:
        _make_parts(connection)


def _make_parts(connection: Connection) -> None:
    at = datetime.now(UTC)
    partitions.make(connection, at, at)


def _refuse_strangers(connection: Connection, url: URL) -> str | None:
    """Returns the database's revision, None if it is empty; raises StorageError for one that is not ours."""
    revision = _revision(connection)
    if revision is not None and revision not in revisions():
        raise StorageError(
            f"{_shown(url)} has schema {revision}, which Forbear {__version__} does not know: install the version that"
            " created it, or name another database with --db."
        )
    if revision is None and inspect(connection).get_table_names():
        raise StorageError(f"{_shown(url)} holds tables of another program: name a database of its own with --db.")
    return revision


def _revision(connection: Connection) -> str | None:
    """Reads Alembic's table; None if it is missing or empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def hide_password(url: str) -> str:
    """Returns a database URL without its password, for messages."""
    return _shown(make_url(url))


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _first_line(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().partition("\n")[0].rstrip(".") or type(cause).__name__
