"""Column types that mean the same on SQLite and PostgreSQL, and hold any text that a site can send."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from forbear.optout.readers.text import readable

Count = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer; SQLite numbers rows by itself only where the type is called INTEGER."""


class Instant(TypeDecorator[datetime]):
    """A time in UTC: ``timestamptz`` on PostgreSQL, ISO 8601 text that sorts (``…T02:41:15.000000+00:00``) on SQLite.

    Takes only datetimes with an offset (ValueError otherwise); returns them in UTC.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Returns the type of the column in this database."""
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Converts a value on its way in."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no offset: times are stored in UTC, so say which zone it is in")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Converts a value on its way out."""
        if value is None:
            return None
        return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).astimezone(UTC)


class SafeText(TypeDecorator[str]):
    r"""Text from outside: control characters and lone surrogates, which PostgreSQL refuses, become ``\xNN``."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escapes a value on its way in."""
        return None if value is None else printable(value)


def printable(text: str) -> str:
    """Returns text as a column of type SafeText keeps it."""
    return text if text.isprintable() else readable(text.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=4096)
def iso_utc(at: datetime) -> str:
    """Formats a time as records have it: ISO 8601 in UTC, to the microsecond."""
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="microseconds")
