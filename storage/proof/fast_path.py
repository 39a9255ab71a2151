"""Checks rows of the chain quickly: finds those that are, beyond doubt, as they were written.

Decisions, captures and pages are hashed as they are in the database, as the writer hashes them on their way in. Rows
that do not pass (JSON in another form, an erasure, a change) are not findings: ``verify`` reads them with care.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Connection, Row, Table
from sqlalchemy.types import Integer

from forbear.storage.chain import leaves
from forbear.storage.chain.leaves import CHILDREN, NewLeaf
from forbear.storage.chain.merkle import leaf_hash
from forbear.storage.db.canonical_json import canonical
from forbear.storage.db.dialects import select_in
from forbear.storage.db.schema import captures, decision_captures, decisions, pages
from forbear.storage.db.types import iso_utc

Stored = tuple[Any, ...]

_AT = list(decisions.c.keys()).index("at")


def unchanged(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, str]:
    """Returns the positions of rows as they were written; for decisions with the time they state, else empty."""
    passed: dict[int, str] = {}
    for kind, entries in _READ.items():
        mine = {row.ref: row for row in rows if row.kind == kind and row.salt is not None and row.payload is not None}
        for entry, at in entries(connection, list(mine)):
            row = mine[entry.ref]
            record = leaves.record(kind, row.at, row.payload, row.position, entry.row)
            with suppress(TypeError, UnicodeEncodeError):
                if leaf_hash(record.encode()) == row.leaf and _committed(row, entry.payload):
                    passed[row.position] = at
    return passed


def _committed(row: Row[Any], payload: str | None) -> bool:
    return payload is not None and leaves.commitment(row.salt, payload) == row.payload


def _decisions(connection: Connection, refs: Sequence[str]) -> Iterator[tuple[NewLeaf, str]]:
    children = [_children(connection, table, refs) for table in CHILDREN.values()]
    rests = _children(connection, decision_captures, refs)
    for row in _stored(connection, decisions, "id", refs):
        of = [some.get(row[0], []) for some in children]
        with suppress(TypeError, ValueError):
            if all(map(_hashable, CHILDREN.values(), of)) and _hashable(decisions, [row]):
                yield leaves.decision_leaf(row, [rest[2] for rest in rests.get(row[0], [])], *of), row[_AT]


def _reader(table: Table, key: str, entry: Callable[[Stored], NewLeaf]) -> Any:
    def entries(connection: Connection, refs: Sequence[str]) -> Iterator[tuple[NewLeaf, str]]:
        for row in _stored(connection, table, key, refs):
            with suppress(TypeError, ValueError):
                if _hashable(table, [row]):
                    yield entry(row), ""

    return entries


_READ: Mapping[str, Callable[[Connection, Sequence[str]], Iterator[tuple[NewLeaf, str]]]] = {
    "decision": _decisions,
    "capture": _reader(captures, "id", leaves.capture_leaf),
    "page": _reader(pages, "decision", leaves.page_leaf),
}


def _children(connection: Connection, table: Table, refs: Sequence[str]) -> dict[str, list[Stored]]:
    found: dict[str, list[Stored]] = {}
    for row in _stored(connection, table, "decision", refs, " ORDER BY decision, position"):
        found.setdefault(row[0], []).append(row)
    return found


def _stored(
    connection: Connection, table: Table, key: str, refs: Sequence[str], ending: str = ""
) -> Iterator[tuple[Any, ...]]:
    """Yields rows in the database's form: times in ISO 8601, JSON as text."""
    wanted = f"SELECT {_columns(table, connection.dialect.name)} FROM {table.name} WHERE {key}"  # noqa: S608 our own names
    found = select_in(connection, wanted, refs, ending)
    if connection.dialect.name == "sqlite":
        return found
    return (tuple(iso_utc(part) if isinstance(part, datetime) else part for part in row) for row in found)


@functools.cache
def _columns(table: Table, dialect: str) -> str:
    as_text = "::text" if dialect == "postgresql" else ""
    return ", ".join(f'"{column.name}"{as_text if isinstance(column.type, JSON) else ""}' for column in table.c)


@functools.cache
def _types(table: Table) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the positions of number columns, and of JSON columns."""
    types = [column.type for column in table.c]
    numbers = tuple(place for place, kind in enumerate(types) if isinstance(kind, Integer))
    return numbers, tuple(place for place, kind in enumerate(types) if isinstance(kind, JSON))


def _hashable(table: Table, rows: Sequence[Stored]) -> bool:
    """Checks that numbers are numbers and JSON is canonical: only then can rows be hashed as they are."""
    numbers, texts = _types(table)
    for row in rows:
        if not all(row[place] is None or type(row[place]) is int for place in numbers):
            return False
        if not all(_canonical(row[place]) for place in texts):
            return False
    return True


@functools.lru_cache(maxsize=1024)
def _canonical(text: str) -> bool:
    return canonical(json.loads(text)) == text
