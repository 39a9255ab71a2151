"""Adds a column to a table with its explanation, which SQLite keeps nowhere but in the text of the statement."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def add_column(table: str, column: sa.Column[object]) -> None:
    """As ``op.add_column``; the column has a comment."""
    dialect = op.get_bind().dialect
    if dialect.name == "sqlite":
        kind = column.type.compile(dialect)
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column.name} {kind} /* {column.comment} */")
    else:
        op.add_column(table, column)
