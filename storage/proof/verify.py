"""Finds what was changed in the log since it was written, in one pass over the chain and all rows it covers.

Somebody who knows this program can change rows, hashes and all. A checkpoint made before that shows it, if they could
not change the checkpoint too: because it is signed, or because a copy is kept elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cryptography.x509 import Certificate
from sqlalchemy import Connection, Row, Text, cast, select

from forbear.storage.chain import chain as chains
from forbear.storage.chain import leaves, merkle, signed_note
from forbear.storage.chain.leaves import FORMS, NewLeaf
from forbear.storage.chain.mutable_state import differences
from forbear.storage.chain.ranges import PositionSet
from forbear.storage.chain.signed_note import BadNote, VerifierKey
from forbear.storage.db import schema
from forbear.storage.db.types import iso_utc
from forbear.storage.log import evidence
from forbear.storage.proof.erasure import erased_positions
from forbear.storage.proof.fast_path import unchanged
from forbear.storage.proof.mismatch import Suspect, explain
from forbear.storage.proof.timestamps import BadTimestamp, check

_BATCH = 500
LATE = timedelta(days=1)
"""A decision written later than this after it was made looks backdated."""

_EARLY = timedelta(minutes=10)
"""How far the clocks of several machines may differ."""


_UNREADABLE = (ValueError, TypeError, AttributeError)
"""Errors from reading a column whose value has the wrong type: not a time, not JSON, not bytes."""


class Finding(NamedTuple):
    """Something that is not as it was written.

    ``change`` is edited, deleted, inserted, reordered, back-dated, truncated, erased or unsigned; ``kind`` and ``ref``
    name the row, as in the chain or by its table; ``detail`` is a sentence.
    """

    change: str
    kind: str
    ref: str
    position: int | None
    detail: str


class KnownCheckpoint(NamedTuple):
    """A checkpoint to compare the chain with, from the database or from outside."""

    place: str
    note: str


@dataclass(slots=True)
class Report:
    """What was read: rows of each kind, bodies, matching checkpoints, and the current chain."""

    rows: dict[str, int] = field(default_factory=dict)
    bodies: int = 0
    checkpoints: list[str] = field(default_factory=list)
    timestamps: int = 0
    size: int = 0
    root: str = ""


def verify(
    connection: Connection,
    report: Report,
    *,
    keys: Sequence[VerifierKey] = (),
    outside: Sequence[KnownCheckpoint] = (),
    roots: Sequence[Certificate] = (),
) -> Iterator[Finding]:
    """Yields every change as it is found, and fills ``report`` on the way.

    The connection must see one snapshot of the database throughout (``database.reading``). Checkpoints count as signed
    if one of the keys signed them; without keys, signatures are not checked. ``roots`` certify the authorities whose
    timestamps the checkpoints have; without roots, any authority's timestamp counts.
    """
    states, wrong = _states(connection, keys, outside)
    yield from wrong
    yield from _timestamps(connection, report, roots)
    reading = _Reading(connection, report, states, erased_positions(connection))
    yield from reading.run()
    yield from _not_in_chain(connection)
    yield from _bodies(connection, report)
    yield from _digests(connection)
    yield from (Finding("edited", kind, ref, None, detail) for kind, ref, detail in differences(connection))


class _State(NamedTuple):
    size: int
    root: bytes
    place: str


def _states(
    connection: Connection, keys: Sequence[VerifierKey], outside: Sequence[KnownCheckpoint]
) -> tuple[list[_State], list[Finding]]:
    """Returns the checkpoints in order of size, and findings for those that no key signed."""
    states: list[_State] = []
    wrong: list[Finding] = []
    stored = connection.execute(select(schema.checkpoints).order_by(schema.checkpoints.c.size)).all()
    for place, ref, note in (
        *((f"the checkpoint of {iso_utc(row.at)}", row.id, row.note) for row in stored),
        *((known.place, known.place, known.note) for known in outside),
    ):
        try:
            checkpoint = _signed(note, keys)
        except BadNote as error:
            wrong.append(Finding("unsigned", "checkpoint", ref, None, str(error)))
        else:
            states.append(_State(checkpoint.size, checkpoint.root, place))
    return sorted(states), wrong


def _timestamps(connection: Connection, report: Report, roots: Sequence[Certificate]) -> Iterator[Finding]:
    columns = schema.checkpoints.c
    wanted = select(columns.id, columns.at, columns.note, columns.timestamp).where(columns.timestamp.is_not(None))
    for id_, at, note, timestamp in connection.execute(wanted.order_by(columns.size)):
        try:
            stamped = check(base64.b64decode(timestamp), note.encode(), roots)
        except (BadTimestamp, binascii.Error) as error:
            yield Finding("unsigned", "checkpoint", id_, None, str(error))
            continue
        report.timestamps += 1
        if at + _EARLY < stamped:
            detail = f"It says {iso_utc(at)}, and its timestamp {iso_utc(stamped)}."
            yield Finding("back-dated", "checkpoint", id_, None, detail)


def _signed(note: str, keys: Sequence[VerifierKey]) -> signed_note.Checkpoint:
    failures = []
    for key in keys:
        try:
            return signed_note.verify(note, key)
        except BadNote as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return signed_note.parse(note)


class _Reading:
    """One pass over the chain."""

    def __init__(self, connection: Connection, report: Report, states: list[_State], gone: PositionSet) -> None:
        self._connection = connection
        self._report = report
        self._states = states
        self._erased = gone
        self._tree = merkle.TreeBuilder()
        self._agreed = 0
        self._last: datetime | None = None
        self._subtrees = _Subtrees(connection)
        self._suspects: list[Suspect] = []

    def run(self) -> Iterator[Finding]:
        yield from self._states_at(0)
        expected = 0
        for rows in _batches(self._connection):
            passed = unchanged(self._connection, rows)
            entries = _entries(self._connection, [row for row in rows if row.position not in passed])
            for row in rows:
                if row.position != expected:
                    yield self._missing_rows(expected, row.position)
                yield from self._row(row, entries.get((row.kind, row.ref)), passed.get(row.position))
                yield from self._extend_tree(row)
                expected = row.position + 1
        yield from (Finding(*found) for found in explain(self._suspects))
        yield from self._check_end(expected)

    def _missing_rows(self, start: int, end: int) -> Finding:
        which = f"position {start} is" if end == start + 1 else f"positions {start} to {end - 1} are"
        for _ in range(start, end):  # so that the rows after it keep their positions
            self._tree.push(bytes(32))
        return Finding("deleted", "chain", "", start, f"The chain's {which} missing.")

    def _row(self, row: Row[Any], entry: NewLeaf | None, made: str | None) -> Iterator[Finding]:
        """Checks one row; ``made`` is when an unchanged decision states that it was made, else empty."""
        self._report.rows[row.kind] = self._report.rows.get(row.kind, 0) + 1
        at = (row.kind, row.ref, row.position)
        logged = iso_utc(row.at)
        if self._last is not None and row.at < self._last:
            yield Finding("back-dated", *at, f"It states that it was written at {logged}, before the row before it.")
        before, self._last = self._last, max(row.at, self._last or row.at)
        if made is not None:
            yield from self._check_delay(row, made)
            return
        if entry is None:
            yield Finding("deleted", *at, f"The {row.kind} that was written at {logged} is gone, or cannot be read.")
            return
        record = leaves.record(row.kind, row.at, row.payload, row.position, entry.row)
        if merkle.leaf_hash(record.encode()) != row.leaf:
            self._suspects.append(Suspect(row, entry, before))
        else:
            yield from self._check_delay(row, _made(entry))
        yield from self._payload(row, entry)

    def _check_delay(self, row: Row[Any], made: str) -> Iterator[Finding]:
        if made:
            when = datetime.fromisoformat(made)
            if not row.at - LATE <= when <= row.at + _EARLY:
                detail = f"It says {made}, and was written at {iso_utc(row.at)}."
                yield Finding("back-dated", row.kind, row.ref, row.position, detail)

    def _payload(self, row: Row[Any], entry: NewLeaf) -> Iterator[Finding]:
        at = (row.kind, row.ref, row.position)
        if entry.payload is None or row.payload is None:
            return  # the leaf covers its commitment
        if row.salt is not None:
            if leaves.commitment(row.salt, entry.payload) != row.payload:
                words = ", ".join(json.loads(entry.payload))
                yield Finding(
                    "edited", *at, f"Its words are not those that were written, or their salt is not: {words}."
                )
        elif row.position not in self._erased:
            yield Finding("erased", *at, "Its words were erased, though no erasure on record names it.")
        elif not leaves.blank(entry.payload):
            yield Finding("inserted", *at, "Its words were erased, and others were put in their place.")

    def _extend_tree(self, row: Row[Any]) -> Iterator[Finding]:
        for level, number, root in self._tree.push(row.leaf):
            if not self._subtrees.agrees(level, number, root):
                first = number * merkle.WIDTH**level
                last = first + merkle.WIDTH**level - 1
                yield Finding(
                    "edited", "chain", "", first, f"A leaf from {first} to {last} is not the one that was written."
                )
        yield from self._states_at(self._tree.size)

    def _states_at(self, size: int) -> Iterator[Finding]:
        while self._states and self._states[0].size <= size:
            state = self._states.pop(0)
            if state.size == size and state.root == self._tree.root():
                self._agreed = size
                self._report.checkpoints.append(state.place)
            else:
                yield Finding(
                    "edited",
                    "chain",
                    "",
                    self._agreed,
                    f"The first {state.size} rows are not those of {state.place}: something was changed, added or moved"
                    f" from position {self._agreed} to {state.size - 1}.",
                )

    def _check_end(self, size: int) -> Iterator[Finding]:
        self._report.size, self._report.root = size, self._tree.root().hex()
        for state in self._states:
            yield Finding(
                "truncated",
                "chain",
                "",
                size,
                f"The chain ends after {size} rows, and {state.place} covers {state.size}.",
            )
        if (beyond := self._subtrees.beyond(size)) is not None:
            yield Finding(
                "truncated", "chain", "", size, f"The chain ends after {size} rows, and once had {beyond} or more."
            )


def _made(entry: NewLeaf) -> str:
    """Returns when a decision states that it was made; empty for other kinds."""
    return str(json.loads(entry.row)["at"]) if entry.kind == "decision" else ""


class _Subtrees:
    """The stored inner nodes, read along with the leaves."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[int, int], bytes] = {}

    def agrees(self, level: int, number: int, root: bytes) -> bool:
        columns = schema.subtrees.c
        if (level, number) not in self._known:
            wanted = select(columns.number, columns.hash).where(
                columns.level == level, columns.number.between(number, number + _BATCH)
            )
            self._known = {key: value for key, value in self._known.items() if key[0] != level}
            self._known |= {(level, row.number): row.hash for row in self._connection.execute(wanted)}
        return self._known.get((level, number)) == root

    def beyond(self, size: int) -> int | None:
        """Returns how many leaves the inner nodes show the chain once had, if more than now."""
        columns = schema.subtrees.c
        last = self._connection.scalar(
            select(columns.number).where(columns.level == 1).order_by(columns.number.desc()).limit(1)
        )
        had = 0 if last is None else (last + 1) * merkle.WIDTH
        return had if had > size else None


def _batches(connection: Connection) -> Iterator[Sequence[Row[Any]]]:
    """Yields the chain in order; rows with values of the wrong type, which SQLite allows, count as deleted."""
    columns, after = schema.chain.c, -1
    while places := connection.scalars(
        select(columns.position).where(columns.position > after).order_by(columns.position).limit(_BATCH)
    ).all():
        wanted = select(schema.chain).order_by(columns.position)
        try:
            rows = list(connection.execute(wanted.where(columns.position.between(places[0], places[-1]))))
        except _UNREADABLE:
            rows = []
            for place in places:
                with suppress(*_UNREADABLE):
                    rows += connection.execute(wanted.where(columns.position == place)).all()
        yield [row for row in rows if isinstance(row.leaf, bytes) and isinstance(row.salt, bytes | None)]
        after = places[-1]


def _entries(connection: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[str, str], NewLeaf]:
    """Reads the log's rows; unreadable ones are left out, as if deleted."""
    found: dict[tuple[str, str], NewLeaf] = {}
    for kind in FORMS.keys() & {row.kind for row in rows}:
        refs = [row.ref for row in rows if row.kind == kind]
        try:
            read = chains.read(connection, kind, refs)
        except _UNREADABLE:
            read = {}
            for ref in refs:
                with suppress(*_UNREADABLE):
                    read |= chains.read(connection, kind, [ref])
        found.update(((kind, ref), entry) for ref, entry in read.items())
    return found


def _not_in_chain(connection: Connection) -> Iterator[Finding]:
    for kind, form in FORMS.items():
        key = form.ref
        leaf = (schema.chain.c.ref == key) & (schema.chain.c.kind == kind)
        wanted = select(key).outerjoin_from(form.table, schema.chain, leaf).where(schema.chain.c.ref.is_(None))
        for ref in connection.scalars(wanted.order_by(key)):
            yield Finding(
                "inserted", kind, ref, None, f"The {kind} is not in the chain: it was not written by Forbear."
            )


def _bodies(connection: Connection, report: Report) -> Iterator[Finding]:
    """Checks the contents of captures, and that each capture has the content it names."""
    bodies, captures = schema.bodies.c, schema.captures.c
    stored = select(bodies.sha256, bodies.content, bodies.place)
    for rows in connection.execute(stored, execution_options={"yield_per": 100}).partitions():
        found = evidence.unpacked(connection, rows)
        for row in rows:
            report.bodies += 1
            content = found.get(row.sha256)
            if content is None and row.place is not None:
                yield Finding("deleted", "body", row.sha256, None, f"The content is not whole in {row.place} any more.")
            elif content is None or hashlib.sha256(content).hexdigest() != row.sha256:
                why = "The content does not match the digest that names it."
                yield Finding("edited", "body", row.sha256, None, why)
    lost = select(captures.id, captures.body, bodies.sha256).outerjoin_from(schema.captures, schema.bodies)
    lost = lost.where(
        captures.body.is_not(None) & (bodies.sha256.is_(None) | (captures.body != captures.body_sha256))
        | (captures.body.is_(None) & (captures.excerpts.is_(None) | (cast(captures.excerpts, Text) == "null")))
    )
    for id_, body, sha256 in connection.execute(lost.order_by(captures.id)):
        if body is None or sha256 is None:
            yield Finding("deleted", "capture", id_, None, "Its body is not there any more.")
        else:
            yield Finding("edited", "capture", id_, None, "The body that it names is not the one that was received.")


def _digests(connection: Connection) -> Iterator[Finding]:
    """Checks what decisions and crawls refer to by digest: policies and settings."""
    for row in connection.execute(select(schema.policies.c.digest, schema.policies.c.content)):
        if hashlib.sha256(row.content.encode()).hexdigest() != row.digest:
            yield Finding("edited", "policy", row.digest, None, "The content does not match the digest that names it.")
    columns = schema.crawls.c
    wanted = select(columns.id, columns.configuration, columns.configuration_digest)
    for crawl, configuration, digest in connection.execute(wanted):
        settings = json.dumps(configuration, sort_keys=True).encode()
        if hashlib.sha256(settings).hexdigest() != digest:
            yield Finding("edited", "crawl", crawl, None, "Its settings do not match their digest.")
