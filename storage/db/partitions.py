"""Partitions ``decisions`` on PostgreSQL by month, by the time in their ids (UUIDv7).

Any process that opens the database, and owns the table, makes the partitions of the next months. ``decisions_others``
takes rows without a partition, such as those of a crawl that ran for two years while nobody opened the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, text

TABLE = "decisions"
OTHERS = f"{TABLE}_others"
AHEAD = 24
"""Months for which partitions exist in advance."""

NAME = re.compile(rf"{TABLE}_(?:[0-9]{{4}}_[0-9]{{2}}|others)")

_LOCK = 0x666F7270


def bound(moment: datetime) -> str:
    """Returns the lowest id of a moment (RFC 9562 5.7: milliseconds since 1970 in the first 48 bits)."""
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def moment(made: str) -> datetime | None:
    """Returns when an id was made; None if it is not a UUIDv7."""
    if not re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", made):
        return None
    return datetime.fromtimestamp(int(made[:8] + made[9:13], 16) / 1000, UTC)


def make(connection: Connection, since: datetime, until: datetime) -> list[str]:
    """Makes the missing partitions from the month of ``since`` to AHEAD months after ``until``; returns their names.

    Does nothing on SQLite, or for a role that does not own the table: then the owner's ``forbear db upgrade`` makes
    them.
    """
    if connection.dialect.name != "postgresql" or not _owns_table(connection):
        return []
    wanted = {name: (first, after) for name, first, after in _months(since, until)}
    known = _existing(connection)
    made: list[str] = []
    if wanted.keys() <= known:
        return made
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    for name in sorted(wanted.keys() - _existing(connection)):
        first, after = wanted[name]
        taken = connection.scalar(
            text(f"SELECT 1 FROM {OTHERS} WHERE id >= :first AND id < :after LIMIT 1"),  # noqa: S608 our own names
            {"first": first, "after": after},
        )
        if taken is None:  # rows of the month that are among the others stay there
            connection.execute(
                text(f"CREATE TABLE {name} PARTITION OF {TABLE} FOR VALUES FROM ('{first}') TO ('{after}')")
            )
            made.append(name)
    return made


def _owns_table(connection: Connection) -> bool:
    asked = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(:name) AND relkind = 'p'"
    return bool(connection.scalar(text(asked), {"name": TABLE}))


def _existing(connection: Connection) -> set[str]:
    asked = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:name)"
    return set(connection.scalars(text(asked), {"name": TABLE}))


def _months(since: datetime, until: datetime) -> Iterator[tuple[str, str, str]]:
    """Yields the name, first id and end (exclusive) of each month."""
    last = until.year * 12 + until.month - 1 + AHEAD
    for month in range(since.year * 12 + since.month - 1, last + 1):
        first, after = (datetime(m // 12, m % 12 + 1, 1, tzinfo=UTC) for m in (month, month + 1))
        yield f"{TABLE}_{first:%Y_%m}", bound(first), bound(after)
