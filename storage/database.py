"""Opens, creates and upgrades the database: SQLite (WAL) by default, PostgreSQL through psycopg 3 by URL."""

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
"""How long a process waits for another one's write to the same SQLite file."""

PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")
"""What is set for each connection to SQLite."""

_PREPARED = 512
"""Statements that a connection to SQLite keeps: those of a writer have several lengths each (dialects)."""


def open_database(url: str, *, create: bool = True, evidence: str | None = None, idle: float | None = None) -> Engine:
    """The engine of a database whose schema is the present one; with ``create``, a new one is made by migrations.

    ``evidence`` is the folder or bucket for the content of captures (contents.py), which is in the database otherwise.
    ``idle``: seconds after which PostgreSQL ends a transaction whose process says nothing, as one that is paused: it
    would keep all others waiting.

    Raises StorageError (unknown URL, unreachable, unwritable, not there, of an unknown schema) and OutOfDate.
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
    """Creates the database, or upgrades an older one; returns the revision it had, None if it was empty, and has now.

    Raises StorageError as ``open_database`` does.
    """
    engine = _engine(url, create=True)
    try:
        with translated(engine.url), writing(engine) as connection:
            before = _refuse_strangers(connection, engine.url)
            return before, _migrate(connection)
    finally:
        engine.dispose()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that means to write: committed at the end, rolled back on an error."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database throughout, whatever is written meanwhile."""
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def reading_only(engine: Engine) -> Iterator[Connection]:
    """A connection that can read and nothing else, whatever it is asked: the database itself refuses the rest."""
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
            connection.invalidate()  # it is not used again with such limits


def ping(connection: Connection) -> None:
    """Asks the database for an answer; raises what SQLAlchemy raises where none comes."""
    connection.execute(select(1))


def _only_reading(action: int, *_about: str | None) -> int:
    """SQLite's question about each step of a statement: no other file is attached, no setting changed."""
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
    """What the database libraries raised, as a sentence."""
    return StorageError(f"{_shown(url)} cannot be used: {_first_line(error)}.")


def _end_when_idle(milliseconds: int, connection: Any, _record: Any) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
    connection.commit()


def _engine(url: str, *, create: bool) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StorageError(
            f"{url!r} is no database URL: write sqlite:///forbear.db or postgresql+psycopg://user@host/name."
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
        raise StorageError(f"{path} cannot be made, since there is no directory {path.parent}: create it first.")
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
    """The revision of the database, none if it is empty; raises StorageError for one that is not ours to change."""
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
    """What Alembic has noted in its table; None if there is none, or nothing in it."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def hide_password(url: str) -> str:
    """A database URL as it may be printed: without its password."""
    return _shown(make_url(url))


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _first_line(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().partition("\n")[0].rstrip(".") or type(cause).__name__
