"""Checkpoints: the state of the chain, signed and kept, as a row of the chain itself."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from forbear.storage.chain import chain, leaves, signed_note
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.database import reading, writing
from forbear.storage.db.records import new_id, now
from forbear.storage.db.schema import checkpoints


class SignedCheckpoint(NamedTuple):
    """A checkpoint in the log; ``timestamp`` is an RFC 3161 response (DER), or None; ``new`` if just made."""

    id: str
    size: int
    note: str
    timestamp: bytes | None
    new: bool = False


def sign(engine: Engine, key: SignerKey, stamp: Callable[[bytes], bytes | None] | None = None) -> SignedCheckpoint:
    """Signs the current state of the chain; returns this key's last checkpoint if nothing was written since.

    ``stamp`` returns a timestamp for the note, or None. It may be slow: no writer waits for it.
    """
    with reading(engine) as connection:
        size = chain.size(connection)
        last = latest(connection)
        if last is not None and last.size == size - 1 and signed_note.parse(last.note).origin == key.name:
            return last
        checkpoint = signed_note.Checkpoint(key.name, size, chain.tree(connection, size).root())
    note = key.sign(checkpoint.text)
    timestamp = stamp(note.encode()) if stamp else None
    row = {
        "id": new_id(),
        "at": now(),
        "size": size,
        "root": checkpoint.root.hex(),
        "note": note,
        "timestamp": base64.b64encode(timestamp).decode() if timestamp else None,
    }
    with writing(engine) as connection:
        connection.execute(checkpoints.insert(), row)
        chain.append(connection, [leaves.new_leaf("checkpoint", row)])
    return SignedCheckpoint(str(row["id"]), size, note, timestamp, new=True)


def latest(connection: Connection, covering: int = 0) -> SignedCheckpoint | None:
    """Returns the latest checkpoint, if it covers the position; else None."""
    columns = checkpoints.c
    wanted = select(columns.id, columns.size, columns.note, columns.timestamp).where(columns.size > covering)
    row = connection.execute(wanted.order_by(columns.size.desc(), columns.id.desc()).limit(1)).first()
    if row is None:
        return None
    return SignedCheckpoint(row.id, row.size, row.note, base64.b64decode(row.timestamp) if row.timestamp else None)
