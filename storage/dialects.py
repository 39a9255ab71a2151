"""What SQLite and PostgreSQL say differently: adding many rows, adding only what is new, and lists of any length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the words of this database."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 with it come drivers that SQLite's users do not need

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    return sqlite.insert(table)


def chunks(values: Sequence[T], size: int = 1000) -> Iterator[Sequence[T]]:
    """The values in slices: a statement takes 32,766 parameters in SQLite, 65,535 in PostgreSQL."""
    return (values[start : start + size] for start in range(0, len(values), size))


def add(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds rows that have the same columns, by COPY on PostgreSQL, which is the faster way there.

    Raises what SQLAlchemy raises.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, rows)
    else:
        connection.execute(table.insert(), rows)


def _copy(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    dialect, names = connection.dialect, list(rows[0])
    quote = dialect.identifier_preparer.quote
    statement = f"COPY {quote(table.name)} ({', '.join(map(quote, names))}) FROM STDIN"
    processors = [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    columns = list(zip(names, processors, strict=True))
    driver: Any = connection.connection.driver_connection
    failures = dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([process(row[name]) if process else row[name] for name, process in columns])
    except failures as error:  # as SQLAlchemy does: the writer tells what was refused from what may be tried again
        raise DBAPIError.instance(statement, None, error, failures, dialect=dialect) from error
