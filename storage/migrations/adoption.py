"""Rows that an older Forbear wrote, before there was a chain, are taken into it when the database is upgraded."""

from __future__ import annotations

from sqlalchemy import Connection, select

from forbear.storage.chain import chain, ranges
from forbear.storage.chain.leaves import FORMS
from forbear.storage.db.records import now
from forbear.storage.db.schema import chain as leaf

_BATCH = 1000


def adopt(connection: Connection) -> int:
    """Chains all rows that are not in the chain, and says so in an event; returns how many these are.

    From here on they cannot be changed unseen; whether they were changed before, nobody can tell.
    """
    first = chain.size(connection)
    for kind in FORMS:
        while refs := _strangers(connection, kind):
            entries = chain.read(connection, kind, refs)
            chain.append(connection, [entries[ref] for ref in refs])
    adopted = chain.size(connection) - first
    if adopted:
        content = {
            "reason": "written before there was a chain",
            "positions": ranges.write(range(first, first + adopted)),
        }
        chain.append_event(connection, "adoption", content, now())
    return adopted


def _strangers(connection: Connection, kind: str) -> list[str]:
    form = FORMS[kind]
    key = form.ref
    same = (leaf.c.ref == key) & (leaf.c.kind == kind)
    wanted = select(key).outerjoin_from(form.table, leaf, same).where(leaf.c.ref.is_(None)).order_by(key)
    return list(connection.scalars(wanted.limit(_BATCH)))
