"""What SQLite and PostgreSQL say differently: inserting only what is new, and lists of any length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the words of this database."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def chunks(values: Sequence[T], size: int = 1000) -> Iterator[Sequence[T]]:
    """The values in slices: a statement takes 32,766 parameters in SQLite, 65,535 in PostgreSQL."""
    return (values[start : start + size] for start in range(0, len(values), size))
