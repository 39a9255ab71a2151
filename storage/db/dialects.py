"""What SQLite and PostgreSQL do differently: bulk inserts, inserts of new rows only, lists of any length.

Rows that a crawl writes for every page go to the driver as plain tuples, with statements prepared once: converting each
value by its column type would take longer than all the rest of the writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
Tuples = Sequence[tuple[Any, ...]]

TOGETHER = (128, 32)
"""Rows in one INSERT: while the database works through them, other Python threads run.

Few different sizes mean few different prepared statements.
"""


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Returns an INSERT of this database's dialect, which knows ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 with it come drivers that SQLite's users do not need

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    return sqlite.insert(table)


def chunks(values: Sequence[T], size: int = 1000) -> Iterator[Sequence[T]]:
    """Slices values: a statement takes at most 32,766 parameters in SQLite, 65,535 in PostgreSQL."""
    return (values[start : start + size] for start in range(0, len(values), size))


def insert_rows(connection: Connection, table: Table, rows: Tuples, columns: Sequence[str] | None = None) -> None:
    """Adds rows, on PostgreSQL by COPY, which is faster there; ``columns`` defaults to all.

    Values are in the database's form: times in ISO 8601 with their offset, JSON as text. Raises what SQLAlchemy raises.
    """
    if not rows:
        return
    names = tuple(columns or table.c.keys())
    if connection.dialect.name == "postgresql":
        statement = f"COPY {table.name} ({_names(names)}) FROM STDIN"
        driver: Any = connection.connection.driver_connection
        try:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _failed(connection, statement, error) from error
        return
    start = 0
    for size in TOGETHER:
        while len(rows) - start >= size:
            execute(connection, _insert(table.name, names, size), chain.from_iterable(rows[start : start + size]))
            start += size
    execute_many(connection, _insert(table.name, names, 1), rows[start:])


def insert_new(connection: Connection, table: Table, rows: Tuples, columns: Sequence[str], key: str) -> set[Any]:
    """Adds the rows that do not exist yet; returns their values of column ``key``. Values as for ``insert_rows``."""
    made: set[Any] = set()
    tail = f" ON CONFLICT DO NOTHING RETURNING {key}"
    for some in chunks(rows, TOGETHER[0]):
        statement = _insert(table.name, tuple(columns), len(some), tail)
        made.update(row[0] for row in execute(connection, statement, chain.from_iterable(some)))
    return made


def upsert(connection: Connection, table: Table, rows: Tuples, sums: str) -> None:
    """Adds rows, or updates those whose primary key exists by ``sums`` (SET …, with ``excluded``)."""
    keys = ", ".join(column.name for column in table.primary_key)
    statement = _insert(table.name, tuple(table.c.keys()), 1, f" ON CONFLICT ({keys}) DO UPDATE SET {sums}")
    execute_many(connection, statement, rows)


def select_in(
    connection: Connection, wanted: str, values: Sequence[Any], ending: str = "", before: tuple[Any, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """Selects the rows whose last-named column has one of the values; ``ending`` is appended to the statement.

    ``before`` are the values of each ``?`` in it. Everything is read from the database at once.
    """
    if connection.dialect.name == "postgresql":
        parts = [(f"{wanted} = ANY(?){ending}", (*before, list(values)))] if values else []
    else:
        parts = [
            (f"{wanted} IN ({_marks(len(some))}){ending}", (*before, *some))
            for some in map(_padded, chunks(values, 512))
        ]
    return chain.from_iterable([execute(connection, *part) for part in parts])


def execute(connection: Connection, statement: str, values: Any) -> list[tuple[Any, ...]]:
    """Runs a statement with ``?`` for each value, in the connection's transaction; returns its rows, if any."""
    driver: Any = connection.connection.driver_connection
    try:
        if connection.dialect.name == "postgresql":
            cursor = driver.execute(_pyformat(statement), tuple(values))
            return cursor.fetchall() if cursor.description else []
        return driver.execute(statement, tuple(values)).fetchall()  # type: ignore[no-any-return]
    except connection.dialect.loaded_dbapi.Error as error:
        raise _failed(connection, statement, error) from error


def execute_many(connection: Connection, statement: str, rows: Tuples) -> None:
    """Runs a statement that returns no rows, once for each tuple of values."""
    if not rows:
        return
    driver: Any = connection.connection.driver_connection
    try:
        if connection.dialect.name == "postgresql":
            with driver.cursor() as cursor:
                cursor.executemany(_pyformat(statement), rows)
        else:
            driver.executemany(statement, rows)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _failed(connection, statement, error) from error


@lru_cache(maxsize=1024)
def _insert(table: str, names: tuple[str, ...], count: int, tail: str = "") -> str:
    row = f"({_marks(len(names))})"
    return f"INSERT INTO {table} ({_names(names)}) VALUES {', '.join([row] * count)}{tail}"  # noqa: S608 our own names


def _names(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@lru_cache(maxsize=1024)
def _marks(count: int) -> str:
    return ", ".join("?" * count)


@lru_cache(maxsize=1024)
def _pyformat(statement: str) -> str:
    return statement.replace("?", "%s")


def _padded(values: Sequence[T]) -> list[T]:
    """Repeats the last value up to a power of two, so that few different statements are prepared."""
    return [*values, *([values[-1]] * ((1 << (len(values) - 1).bit_length()) - len(values)))]


def _failed(connection: Connection, statement: str, error: BaseException) -> BaseException:
    """Wraps a driver's error as SQLAlchemy does: so that the writer can distinguish refused rows from failures."""
    dialect, driver = connection.dialect, connection.connection.driver_connection
    if dialect.is_disconnect(error, driver, None):  # type: ignore[arg-type]
        connection.invalidate(error)
    return DBAPIError.instance(statement, None, error, dialect.loaded_dbapi.Error, dialect=dialect)
