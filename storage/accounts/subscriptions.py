"""Mail subscriptions to changes of the crawlers' card: requested, confirmed by the owner of the address, ended."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from forbear.storage.db.dialects import insert
from forbear.storage.db.portal_tables import subscriptions
from forbear.storage.db.records import new_id

TIME_TO_CONFIRM = timedelta(hours=48)
"""After that a request is deleted."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscribed address, or a request for one; ``token`` is the end of its links."""

    email: str
    token: str
    is_confirmed: bool


def request(connection: Connection, email: str, at: datetime) -> Subscription | None:
    """Stores a request; None if the address has one already: others cannot have it sent more mails."""
    expire(connection, at)
    row = {"id": new_id(), "email": email, "token": secrets.token_urlsafe(24), "asked_at": at}
    inserted = insert(connection, subscriptions).on_conflict_do_nothing().returning(subscriptions.c.token)
    token = connection.scalar(inserted, row)
    return None if token is None else Subscription(email, token, False)


def find(connection: Connection, token: str) -> Subscription | None:
    """Finds the subscription of a link."""
    row = connection.execute(select(subscriptions).where(subscriptions.c.token == token)).one_or_none()
    return Subscription(row.email, row.token, row.confirmed_at is not None) if row else None


def confirm(connection: Connection, token: str, at: datetime) -> None:
    """Activates a subscription."""
    waiting = subscriptions.update().where(subscriptions.c.token == token, subscriptions.c.confirmed_at.is_(None))
    connection.execute(waiting.values(confirmed_at=at))


def end(connection: Connection, token: str) -> None:
    """Deletes the address."""
    connection.execute(subscriptions.delete().where(subscriptions.c.token == token))


def expire(connection: Connection, at: datetime) -> None:
    """Deletes addresses that were not confirmed in time."""
    late = subscriptions.c.confirmed_at.is_(None) & (subscriptions.c.asked_at < at - TIME_TO_CONFIRM)
    connection.execute(subscriptions.delete().where(late))


def confirmed(connection: Connection) -> Sequence[Subscription]:
    """Returns all active subscriptions."""
    active = select(subscriptions).where(subscriptions.c.confirmed_at.is_not(None)).order_by(subscriptions.c.id)
    return [Subscription(row.email, row.token, True) for row in connection.execute(active)]
