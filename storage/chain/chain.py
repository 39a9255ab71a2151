"""The chain: every row of the log is a leaf of one Merkle tree, appended in the transaction that writes the row.

Positions have no gaps: on SQLite one transaction writes at a time; on PostgreSQL writers take turns at their end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, func, select

from forbear.storage.chain import leaves, merkle
from forbear.storage.chain.leaves import CHILDREN, FORMS, NewLeaf, record
from forbear.storage.chain.merkle import leaf_hash
from forbear.storage.db.dialects import chunks, execute, insert_rows
from forbear.storage.db.errors import StorageError
from forbear.storage.db.records import new_id, now
from forbear.storage.db.schema import chain, decision_captures, events, subtrees
from forbear.storage.db.types import iso_utc

_LOCK = 0x666F7263
"""PostgreSQL's advisory lock for appending, held until the transaction ends, so it is taken as late as possible."""


class ChainDamaged(StorageError):
    """The chain itself is damaged; the message is one sentence."""


class ChainRow(NamedTuple):
    """A row of the log as it is hashed; ``salt`` (hexadecimal) and ``payload`` are None if it never had any, or erased.

    ``record`` and ``payload`` are canonical JSON; SHA-256 of 0x00 and ``record`` is ``leaf``.
    """

    position: int
    kind: str
    ref: str
    leaf: bytes
    record: str
    salt: str | None
    payload: str | None


def append(connection: Connection, entries: Sequence[NewLeaf]) -> None:
    """Appends rows to the chain, in order; call it last in the transaction that writes them."""
    if not entries:
        return
    chance = os.urandom(leaves.SALT * len(entries))
    starts = range(0, len(chance), leaves.SALT)
    salts = [
        chance[start : start + leaves.SALT] if entry.payload is not None else None
        for start, entry in zip(starts, entries, strict=True)
    ]
    payloads = [
        leaves.commitment(salt, entry.payload) if salt is not None and entry.payload is not None else None
        for salt, entry in zip(salts, entries, strict=True)
    ]
    first, at = _next_position(connection)
    logged = iso_utc(at)
    rows = [
        (position, kind, ref, logged, leaf_hash(record(kind, logged, payload, position, row).encode()), salt, payload)
        for position, ((kind, ref, row, _), salt, payload) in enumerate(
            zip(entries, salts, payloads, strict=True), start=first
        )
    ]
    insert_rows(connection, chain, rows)
    insert_rows(connection, subtrees, list(merkle.full_subtrees(_fetch(connection), first, [row[4] for row in rows])))


def append_event(connection: Connection, event: str, content: Mapping[str, Any], at: datetime) -> None:
    """Records an action as an event; call it last in the transaction of that action."""
    row = {"id": new_id(), "at": at, "event": event, "content": dict(content)}
    connection.execute(events.insert(), row)
    append(connection, [leaves.new_leaf("event", row)])


def event_contents(connection: Connection, event: str) -> Iterator[Any]:
    """Yields the contents of all events of one kind, in no particular order."""
    yield from connection.scalars(select(events.c.content).where(events.c.event == event))


def _next_position(connection: Connection) -> tuple[int, datetime]:
    """Returns the next position and its time, which no other transaction gets before this one ends."""
    if connection.dialect.name == "postgresql":
        execute(connection, "SELECT pg_advisory_xact_lock(?)", (_LOCK,))
    for position, at in execute(connection, "SELECT position, at FROM chain ORDER BY position DESC LIMIT 1", ()):
        return position + 1, max(now(), datetime.fromisoformat(at) if isinstance(at, str) else at)
    return 0, now()


def size(connection: Connection) -> int:
    """Returns the number of leaves."""
    last = connection.scalar(select(func.max(chain.c.position)))
    return 0 if last is None else last + 1


def tree(connection: Connection, leaves: int) -> merkle.Tree:
    """Returns the Merkle tree of the first so many leaves; reading it raises ChainDamaged where some are missing."""
    return merkle.Tree(leaves, _fetch(connection))


def _fetch(connection: Connection) -> merkle.Fetch:
    def fetch(level: int, first: int, count: int) -> Sequence[bytes]:
        number, column = (chain.c.position, chain.c.leaf) if level == 0 else (subtrees.c.number, subtrees.c.hash)
        wanted = select(column).where(number.between(first, first + count - 1)).order_by(number)
        found = connection.scalars(wanted if level == 0 else wanted.where(subtrees.c.level == level)).all()
        if len(found) != count:
            raise ChainDamaged(
                f"The chain has lost rows near position {first * merkle.WIDTH**level}: run `forbear verify`."
            )
        return found

    return fetch


def chain_rows(connection: Connection, kind: str, refs: Sequence[str]) -> list[ChainRow]:
    """Returns rows of a kind by their ids, as they are hashed, in the order of the chain; skips unknown ids.

    The record is computed from the row as it is now: that it still matches the leaf is for ``verify`` to check.
    """
    found: list[ChainRow] = []
    for some in chunks(refs):
        known = connection.execute(select(chain).where(chain.c.kind == kind, chain.c.ref.in_(some))).all()
        entries = read(connection, kind, [row.ref for row in known])
        found += [chain_row(row, entries[row.ref]) for row in known if row.ref in entries]
    return sorted(found)


def chain_row(row: Row[Any], entry: NewLeaf) -> ChainRow:
    """Joins a row of the chain with the row of the log; of an erased payload only the commitment is left."""
    sealed = record(row.kind, row.at, row.payload, row.position, entry.row)
    salt = row.salt.hex() if row.salt is not None else None
    return ChainRow(row.position, row.kind, row.ref, row.leaf, sealed, salt, entry.payload if salt else None)


def read(connection: Connection, kind: str, refs: Sequence[str]) -> dict[str, NewLeaf]:
    """Reads rows of a kind by id, as they would be hashed now; skips ids without a row. At most 1,000."""
    form = FORMS[kind]
    found = connection.execute(select(form.table).where(form.ref.in_(refs)))
    rows = [row._asdict() for row in found]
    if kind != "decision":
        return {form.ref_of(row): leaves.new_leaf(kind, row) for row in rows}
    children = {name: _children(connection, table, refs) for name, table in CHILDREN.items()}
    rests = _children(connection, decision_captures, refs)
    return {
        row["id"]: leaves.new_leaf(
            kind,
            row,
            {name: of.get(row["id"], ()) for name, of in children.items()},
            [child["capture"] for child in rests.get(row["id"], ())],
        )
        for row in rows
    }


def _children(connection: Connection, table: Table, refs: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    wanted = select(table).where(table.c.decision.in_(refs)).order_by(table.c.decision, table.c.position)
    for row in connection.execute(wanted):
        found.setdefault(row.decision, []).append(row._asdict())
    return found
