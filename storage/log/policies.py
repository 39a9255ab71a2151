"""The policies behind decisions: the content of each digest in the log, with overrides and their reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from forbear.optout.policy import Override, Policy, restore
from forbear.storage.db.dialects import insert
from forbear.storage.db.records import now
from forbear.storage.db.schema import policies


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A policy in the log, and when it was first stored."""

    digest: str
    first_at: datetime
    overrides: tuple[Override, ...]


def record_policy(connection: Connection, policy: Policy) -> None:
    """Stores a policy, unless it is stored already."""
    row = {
        "digest": policy.digest,
        "first_at": now(),
        "overrides": [asdict(override) for override in policy.overrides],
        "content": policy.content,
    }
    connection.execute(insert(connection, policies).on_conflict_do_nothing(), row)


def recorded_policies(connection: Connection) -> Iterator[PolicyRecord]:
    """Yields all policies of the log, oldest first."""
    columns = policies.c
    for row in connection.execute(select(columns.digest, columns.first_at, columns.overrides).order_by("first_at")):
        yield PolicyRecord(row.digest, row.first_at, tuple(Override(**override) for override in row.overrides))


def find(connection: Connection, digest: str) -> Policy | None:
    """Finds the policy whose digest begins so; None if there is none, or several."""
    wanted = select(policies.c.content).where(policies.c.digest.startswith(digest.lower(), autoescape=True)).limit(2)
    found = connection.scalars(wanted).all()
    return restore(found[0]) if len(found) == 1 else None
