"""What is hashed of each row of the log: its record, as canonical JSON (RFC 8785), with a commitment to its words.

The *record* is ``{"kind", "logged", "payload", "position", "row"}``. ``row`` holds what stays for ever: the columns
that name nobody, and the same of a decision's reasons, statements and gaps; columns that are empty are left out, so
that a column added later changes no older record. What may have to be erased, since it can name a person (URLs, hosts,
headers, quotations), is the *payload*; the record has SHA-256(salt ‖ canonical payload) of it, with a salt of 16
octets of its own. Once salt and payload are gone, the record still hashes to the same leaf, and nobody can find out by
trying which payload it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Column, Table

from storage import schema
from storage.types import Shown, shown

SALT = 16
"""Octets of a salt."""

WORDS = frozenset({"quote", "source", "place", "note", "detail"})
"""The columns of reasons, statements and gaps that are payload."""

Row = Mapping[str, Any]


class Form(NamedTuple):
    """How rows of a kind are hashed: their table, its key, and which columns are payload or left out."""

    table: Table
    key: str
    erasable: frozenset[str] = frozenset()
    changing: frozenset[str] = frozenset()


FORMS: dict[str, Form] = {
    "crawl": Form(
        schema.crawls,
        "id",
        changing=frozenset(column.name for column in schema.crawls.c) - {"id", "started_at", "configuration_digest"},
    ),
    "capture": Form(
        schema.captures, "id", frozenset({"url", "headers", "excerpts"}), changing=frozenset({"url_key", "body"})
    ),
    "decision": Form(schema.decisions, "id", frozenset({"url", "canonical", "host"})),
    # Where a page stands changes when others leave the file before it.
    "page": Form(
        schema.pages, "decision", frozenset({"url"}), changing=frozenset({"warc_file", "warc_offset", "warc_length"})
    ),
    "removal": Form(schema.removals, "page", changing=frozenset({"erased_at"})),
    "checkpoint": Form(schema.checkpoints, "id"),
    "event": Form(schema.events, "id"),
}
"""Every kind of row in the chain."""

CHILDREN = {"reasons": schema.reasons, "statements": schema.statements, "gaps": schema.gaps}
"""What belongs to a decision, beside the captures it rests on."""


class Entry(NamedTuple):
    """A row on its way into the chain: ``row`` as canonical JSON, ``payload`` too, or None if the kind has none."""

    kind: str
    ref: str
    row: str
    payload: str | None


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False).encode


def canonical(value: Any) -> str:
    """RFC 8785 of what the log holds: text, whole numbers, booleans, lists, and objects whose keys are ASCII.

    There, sorting by code points is sorting by UTF-16 code units (3.2.3), and Python escapes what 3.2.2.2 wants. Half a
    surrogate pair, which a header may hold and RFC 8785 forbids, stays the escape that JSON has for it.
    """
    text = _encode(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def commitment(salt: bytes, payload: str) -> str:
    """What the record says of a payload: SHA-256(salt ‖ payload), in hexadecimal."""
    return sha256(salt + payload.encode()).hexdigest()


def record(kind: str, logged: datetime, payload: str | None, position: int, row: str) -> str:
    """The record that is hashed, as canonical JSON; ``row`` is JSON already, ``payload`` a commitment."""
    committed = f'"payload":"{payload}",' if payload else ""
    return f'{{"kind":"{kind}","logged":"{written(logged)}",{committed}"position":{position},"row":{row}}}'


def blank(payload: str) -> bool:
    """Whether nothing is left in a payload but the names of its parts."""
    return not any(_texts(json.loads(payload)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    else:
        yield str(value)


def written(at: datetime) -> str:
    """A time as it stands in records: UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def entry(
    kind: str, row: Row, children: Mapping[str, Sequence[Row]] | None = None, captures: Sequence[str] = ()
) -> Entry:
    """The entry of a row, given as it is inserted or as it was read; a decision comes with all that belongs to it."""
    kept, erasable = _PARTS[kind]
    fixed = {name: _value(row[name]) for name in kept if row.get(name) is not None}
    payload = {
        name: shown(row[name]) if as_shown else row[name] for name, as_shown in erasable if row.get(name) is not None
    }
    if children is not None:
        fixed["captures"] = captures
        for name, rows in children.items():
            child_kept, child_words = _CHILD_PARTS[name]
            fixed[name] = [{column: child[column] for column in child_kept} for child in rows]
            payload[name] = [{column: shown(child[column]) for column in child_words} for child in rows]
    return Entry(kind, row[FORMS[kind].key], canonical(fixed), canonical(payload) if erasable else None)


def _value(value: Any) -> Any:
    return written(value) if isinstance(value, datetime) else value


def _parts(form: Form) -> tuple[tuple[str, ...], tuple[tuple[str, bool], ...]]:
    columns: Iterable[Column[Any]] = [column for column in form.table.c if column.name not in form.changing]
    return (
        tuple(column.name for column in columns if column.name not in form.erasable),
        tuple((column.name, isinstance(column.type, Shown)) for column in columns if column.name in form.erasable),
    )


_PARTS = {kind: _parts(form) for kind, form in FORMS.items()}
_CHILD_PARTS = {
    name: (
        tuple(column.name for column in table.c if column.name not in WORDS | {"decision", "position"}),
        tuple(column.name for column in table.c if column.name in WORDS),
    )
    for name, table in CHILDREN.items()
}
