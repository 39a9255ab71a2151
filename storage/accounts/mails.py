"""Outgoing mail: queued in the transaction it is about, sent later, retried when that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from forbear.storage.db.portal_tables import mails
from forbear.storage.db.records import new_id

PAUSES = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
"""The pause after each failure; after the last one the mail is given up."""

TIME_TO_SEND = timedelta(minutes=30)
"""A claimed mail that is not reported sent by then counts as failed."""


_FORGOTTEN = {"recipient": "", "body": "", "unsubscribe": None}


@dataclass(frozen=True, slots=True)
class Mail:
    """A plain-text mail to one address; ``unsubscribe`` ends the subscription that it belongs to."""

    id: str
    recipient: str
    subject: str
    body: str
    attempts: int
    unsubscribe: str | None = None


def queue(
    connection: Connection, recipient: str, subject: str, body: str, at: datetime, *, unsubscribe: str | None = None
) -> None:
    """Queues a mail."""
    row = {"id": new_id(), "recipient": recipient, "subject": subject, "body": body, "queued_at": at, "due_at": at}
    connection.execute(mails.insert(), row | {"attempts": 0, "unsubscribe": unsubscribe})


def claim(connection: Connection, at: datetime, limit: int) -> Sequence[Mail]:
    """Returns mails to send now, oldest first, and reserves them for a while; in a write transaction."""
    columns = mails.c
    waiting = select(*(columns[one.name] for one in fields(Mail)))
    waiting = waiting.where(columns.due_at <= at).order_by(columns.due_at, columns.id).limit(limit)
    found = [Mail(*row) for row in connection.execute(waiting.with_for_update(skip_locked=True))]
    claimed = mails.update().where(columns.id.in_([mail.id for mail in found]))
    connection.execute(claimed.values(due_at=at + TIME_TO_SEND))
    return found


def mark_sent(connection: Connection, mail: Mail, at: datetime) -> None:
    """Records that the mail server accepted it, and deletes address and text."""
    done = {**_FORGOTTEN, "due_at": None, "sent_at": at, "attempts": mail.attempts + 1, "error": None}
    connection.execute(mails.update().where(mails.c.id == mail.id).values(done))


def mark_failed(connection: Connection, mail: Mail, at: datetime, error: str) -> None:
    """Records a failure: the mail is retried after a pause, or given up and its address and text deleted."""
    values: dict[str, object] = {"attempts": mail.attempts + 1, "error": error}
    if mail.attempts < len(PAUSES):
        values |= {"due_at": at + PAUSES[mail.attempts]}
    else:
        values |= {**_FORGOTTEN, "due_at": None}
    connection.execute(mails.update().where(mails.c.id == mail.id).values(values))
