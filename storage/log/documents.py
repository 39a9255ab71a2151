"""Issued documents: each version whole, with its digest and the policy it explains, as events of the chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from forbear.storage.chain import chain
from forbear.storage.db.schema import events

EVENT = "document"


@dataclass(frozen=True, slots=True)
class IssuedDocument:
    """A version of a document; ``policy`` is the digest that rows of the log have, empty if it explains none."""

    digest: str
    kind: str
    at: datetime
    policy: str
    document: dict[str, Any]


def issue(
    connection: Connection, kind: str, digest: str, document: Mapping[str, Any], *, policy: str, at: datetime
) -> bool:
    """Records a version; returns False if it is the latest already."""
    last = latest(connection, kind)
    if last is not None and last.digest == digest and last.policy == policy:
        return False
    content = {"kind": kind, "digest": digest, "policy": policy, "document": dict(document)}
    chain.append_event(connection, EVENT, content, at)
    return True


def issued(connection: Connection, kind: str | None = None) -> Iterator[IssuedDocument]:
    """Yields all recorded versions, oldest first."""
    rows = select(events.c.at, events.c.content).where(events.c.event == EVENT).order_by(events.c.at, events.c.id)
    for row in connection.execute(rows):
        one = IssuedDocument(at=row.at, **row.content)
        if kind is None or one.kind == kind:
            yield one


def latest(connection: Connection, kind: str) -> IssuedDocument | None:
    """Returns the latest version."""
    found = list(issued(connection, kind))
    return found[-1] if found else None
