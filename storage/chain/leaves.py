"""Defines what is hashed of each row of the log: a record in canonical JSON, with a commitment to erasable words.

A log that proves its past cannot drop a word, and a log with personal data must be able to. So each row is split in
two. The *record* is hashed, and holds what stays for ever: columns that name nobody. The *payload* is what may have to
be erased, since it can name a person: URLs, hosts, headers, quotations. The record holds only a commitment to it,
SHA-256(salt ‖ canonical payload), with 16 random bytes of salt for each row.

A kept page, for example, becomes

    payload  {"url":"https://a.example/ada"}
    salt     5f1c…
    record   {"kind":"page","logged":"2026-03-01T02:41:15.000000+00:00","payload":"9b2e…","position":7,
              "row":{"bytes":512,"crawl":"0195…","decision":"0195…","kept_at":"…","media_type":"text/html","sha256":"…"}}
    leaf     SHA-256(0x00 ‖ record)

where ``9b2e…`` is SHA-256(salt ‖ payload). To erase the page, delete its payload and salt: the record is unchanged, so
it still has its leaf and the tree its root. Without the salt nobody can find the payload by trying likely URLs.

A record leaves out empty columns, so a column that is added later changes no older record; it also leaves out columns
whose value may change (``LeafFormat.changing``). A decision's record and payload include its reasons, statements and
gaps, which have no leaves of their own.

``new_leaf`` builds a leaf from a row of any kind. ``decision_leaf``, ``capture_leaf`` and ``page_leaf`` build the same
JSON by hand from a tuple of column values, for the rows that a crawl writes by the thousand; tests compare the two.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from json.encoder import encode_basestring as _quoted
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Date, Table, Text, cast

from forbear.storage.db import portal_tables, schema
from forbear.storage.db.canonical_json import canonical
from forbear.storage.db.types import Instant, SafeText, iso_utc, printable

SALT = 16
"""Bytes of a salt."""

WORDS = frozenset({"quote", "source", "place", "note", "detail"})
"""Columns of reasons, statements and gaps that are payload."""

NOTHING = "null"
"""How the database stores JSON of no value."""

Row = Mapping[str, Any]
Tuple = tuple[Any, ...]
Tuples = Sequence[tuple[Any, ...]]


class LeafFormat(NamedTuple):
    """How rows of a kind are hashed: their table, its key, and which columns are payload or left out.

    If the key has several columns, the id of a row is their values joined by slashes.
    """

    table: Table
    key: str | tuple[str, ...]
    erasable: frozenset[str] = frozenset()
    changing: frozenset[str] = frozenset()

    @property
    def ref(self) -> ColumnElement[str]:
        """Returns the id of a row, as an SQL expression."""
        if isinstance(self.key, str):
            return self.table.c[self.key]
        first, *others = (cast(self.table.c[name], Text) for name in self.key)
        return functools.reduce(lambda left, right: left + "/" + right, others, first)

    def ref_of(self, row: Row) -> str:
        """Returns the id of a row."""
        return str(row[self.key]) if isinstance(self.key, str) else "/".join(str(row[name]) for name in self.key)


FORMS: dict[str, LeafFormat] = {
    "crawl": LeafFormat(
        schema.crawls,
        "id",
        changing=frozenset(column.name for column in schema.crawls.c) - {"id", "started_at", "configuration_digest"},
    ),
    "capture": LeafFormat(
        schema.captures, "id", frozenset({"url", "headers", "excerpts"}), changing=frozenset({"url_key", "body"})
    ),
    "decision": LeafFormat(schema.decisions, "id", frozenset({"url", "canonical", "host"})),
    # A page moves within its file when pages before it leave.
    "page": LeafFormat(
        schema.pages, "decision", frozenset({"url"}), changing=frozenset({"warc_file", "warc_offset", "warc_length"})
    ),
    "removal": LeafFormat(schema.removals, "page", changing=frozenset({"erased_at"})),
    "checkpoint": LeafFormat(schema.checkpoints, "id"),
    "event": LeafFormat(schema.events, "id"),
    # The state of a complaint is that of its last step (forbear.storage.chain.mutable_state).
    "complaint": LeafFormat(
        portal_tables.complaints,
        "id",
        frozenset({"name", "email", "on_behalf", "works", "urls", "what"}),
        changing=frozenset({"state", "due_at", "duplicate_of"}),
    ),
    "step": LeafFormat(portal_tables.complaint_steps, ("complaint", "position"), frozenset({"by", "reason", "blocks"})),
    "attachment": LeafFormat(
        portal_tables.complaint_files,
        ("complaint", "position"),
        frozenset({"name", "sha256"}),
        changing=frozenset({"content"}),
    ),
    "list": LeafFormat(schema.list_sources, "sha256", changing=frozenset({"content"})),
    # That an entry ended, and who accepted it, are events.
    "listing": LeafFormat(
        schema.list_entries, "id", changing=frozenset({"until", "accepted_at", "accepted_by", "accepted_why"})
    ),
}
"""Every kind of row in the chain."""

CHILDREN = {"reasons": schema.reasons, "statements": schema.statements, "gaps": schema.gaps}
"""What belongs to a decision, besides the captures it rests on."""


class NewLeaf(NamedTuple):
    """A row to be appended: ``row`` and ``payload`` as canonical JSON; ``payload`` is None if the kind has none."""

    kind: str
    ref: str
    row: str
    payload: str | None


def commitment(salt: bytes, payload: str) -> str:
    """Returns the record's commitment to a payload: SHA-256(salt ‖ payload), in hexadecimal."""
    return sha256(salt + payload.encode()).hexdigest()


def record(kind: str, logged: datetime | str, payload: str | None, position: int, row: str) -> str:
    """Returns the record to be hashed, as canonical JSON; ``row`` is JSON already, ``payload`` a commitment."""
    committed = f'"payload":"{payload}",' if payload else ""
    at = logged if isinstance(logged, str) else iso_utc(logged)
    return f'{{"kind":"{kind}","logged":"{at}",{committed}"position":{position},"row":{row}}}'


def blank(payload: str) -> bool:
    """Checks that nothing is left in a payload but its keys."""
    return not any(_texts(json.loads(payload)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    else:
        yield str(value)


def new_leaf(
    kind: str, row: Row, children: Mapping[str, Sequence[Row]] | None = None, captures: Sequence[str] = ()
) -> NewLeaf:
    """Builds the leaf of a row, as inserted or as read; a decision comes with all that belongs to it."""
    parts = _PARTS[kind]
    fixed = {**row, **{name: _as_text(row[name]) for name in parts.as_text if row.get(name) is not None}}
    payload = {**row, **{name: printable(row[name]) for name in parts.shown}}
    if children is not None:
        fixed["captures"] = captures
        for name, rows in children.items():
            kept, words = _CHILD_PARTS[name]
            fixed[name] = [{column: child[column] for column in kept} for child in rows]
            payload[name] = [{column: printable(child[column]) for column in words} for child in rows]
    text = _json_of(fixed, parts.kept)
    return NewLeaf(kind, FORMS[kind].ref_of(row), text, _json_of(payload, parts.words) if parts.words else None)


def _as_text(value: datetime | date | str) -> str:
    """Converts times, days and text from outside to the database's form."""
    if isinstance(value, str):
        return printable(value)
    return iso_utc(value) if isinstance(value, datetime) else value.isoformat()


def _json_of(row: Row, names: Sequence[str]) -> str:
    """Returns canonical JSON of these columns, without the empty ones."""
    return canonical({name: row[name] for name in names if row.get(name) is not None})


def decision_leaf(row: Tuple, captures: Sequence[str], reasons: Tuples, statements: Tuples, gaps: Tuples) -> NewLeaf:
    """Builds the leaf of a decision from tuples of column values in the database's form.

    A fraction of the cost of ``new_leaf``: the JSON is put together from the values as they are.
    """
    (
        id_, at, crawl, url, canonical_url, host, domain, verdict, stage, status, content, size, engine, policy,
        profile, use, agent, standard, strict,
    ) = row  # fmt: skip
    fixed = (
        f'{{"agent":{_quoted(agent)},"at":"{at}",{_number("bytes", size)}"captures":[{_list(captures)}],'
        f'{_text("content_sha256", content)}"crawl":{_quoted(crawl)},"domain":{_quoted(domain)},'
        f'"engine":{_quoted(engine)},"gaps":[{",".join([_gap(gap[2], gap[7]) for gap in gaps])}],"id":{_quoted(id_)},'
        f'"policy":{_quoted(policy)},"profile":{_quoted(profile)},'
        f'"reasons":[{",".join([_reason(reason[2], *reason[6:]) for reason in reasons])}],"stage":{_quoted(stage)},'
        f'"statements":[{",".join([_statement(words[2], *words[6:9]) for words in statements])}],'
        f'{_number("status", status)}"use":{_quoted(use)},"verdict":{_quoted(verdict)},'
        f'"verdict_standard":{_quoted(standard)},"verdict_strict":{_quoted(strict)}}}'
    )
    payload = (
        f'{{"canonical":{_quoted(canonical_url)},'
        f'"gaps":[{",".join([_words("detail", gap[6], gap) for gap in gaps])}],"host":{_quoted(host)},'
        f'"reasons":[{",".join([_words("", "", reason) for reason in reasons])}],'
        f'"statements":[{",".join([_words("note", words[9], words) for words in statements])}],"url":{_quoted(url)}}}'
    )
    return NewLeaf("decision", id_, fixed, payload)


def capture_leaf(row: Tuple) -> NewLeaf:
    """Like ``decision_leaf``, for a capture; its headers and excerpts are canonical JSON already."""
    id_, crawl, url, _, fetched_at, expires_at, status, error, headers, content, size, _, excerpts = row
    fixed = (
        f'{{"body_bytes":{size},"body_sha256":{_quoted(content)},"crawl":{_quoted(crawl)},{_text("error", error)}'
        f'{_text("expires_at", expires_at)}"fetched_at":"{fetched_at}","id":{_quoted(id_)}{_last("status", status)}}}'
    )
    words = "" if excerpts == NOTHING else f'"excerpts":{excerpts},'
    return NewLeaf("capture", id_, fixed, f'{{{words}"headers":{headers},"url":{_quoted(url)}}}')


def page_leaf(row: Tuple) -> NewLeaf:
    """Like ``decision_leaf``, for a page."""
    decision, crawl, url, kept_at, _, _, _, content, media_type, size = row
    fixed = (
        f'{{"bytes":{size},"crawl":{_quoted(crawl)},"decision":{_quoted(decision)},"kept_at":"{kept_at}",'
        f'"media_type":{_quoted(media_type)},"sha256":{_quoted(content)}}}'
    )
    return NewLeaf("page", decision, fixed, f'{{"url":{_quoted(url)}}}')


def _text(name: str, value: str | None) -> str:
    return "" if value is None else f'"{name}":{_quoted(value)},'


def _number(name: str, value: int | None) -> str:
    return "" if value is None else f'"{name}":{value},'


def _last(name: str, value: int | None) -> str:
    return "" if value is None else f',"{name}":{value}'


def _list(texts: Sequence[str]) -> str:
    return ",".join(map(_quoted, texts))


@functools.lru_cache(maxsize=4096)
def _reason(protocol: str, preference: str, measure: str) -> str:
    return f'{{"measure":{_quoted(measure)},"preference":{_quoted(preference)},"protocol":{_quoted(protocol)}}}'


@functools.lru_cache(maxsize=4096)
def _statement(protocol: str, preference: str, uses: str, force: str) -> str:
    words = f'"preference":{_quoted(preference)},"protocol":{_quoted(protocol)}'
    return f'{{"force":{_quoted(force)},{words},"uses":{uses}}}'


@functools.lru_cache(maxsize=4096)
def _gap(protocol: str, defers: str) -> str:
    return f'{{"defers":{defers},"protocol":{_quoted(protocol)}}}'


def _words(name: str, more: str, words: Tuple) -> str:
    """Builds the payload of a reason, statement or gap; ``name`` must sort before the names that all have."""
    first = f'"{name}":{_quoted(more)},' if name else ""
    return f'{{{first}"place":{_quoted(words[5])},"quote":{_quoted(words[3])},"source":{_quoted(words[4])}}}'


class _Parts(NamedTuple):
    """Sorted column names: ``kept``, ``words`` (payload), and those of each that are converted before hashing."""

    kept: tuple[str, ...]
    words: tuple[str, ...]
    shown: tuple[str, ...]
    as_text: tuple[str, ...]


def _parts(kind: str, form: LeafFormat) -> _Parts:
    columns = {str(column.name): column.type for column in form.table.c if column.name not in form.changing}
    kept = columns.keys() - form.erasable
    belongs = set(CHILDREN) if kind == "decision" else set()
    return _Parts(
        _names(kept | belongs | ({"captures"} if belongs else set())),
        _names(form.erasable | belongs),
        _names(name for name in form.erasable if isinstance(columns[name], SafeText)),
        _names(name for name in kept if isinstance(columns[name], Instant | Date | SafeText)),
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    """Sorts names, as plain str: SQLAlchemy's own string type is slow to write."""
    return tuple(sorted(map(str, names)))


_PARTS = {kind: _parts(kind, form) for kind, form in FORMS.items()}
_CHILD_PARTS = {
    name: (_names(set(table.c.keys()) - WORDS - {"decision", "position"}), _names(set(table.c.keys()) & WORDS))
    for name, table in CHILDREN.items()
}
