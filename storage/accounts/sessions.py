"""Sessions on the server, found by the secret in a cookie, of which only the digest is stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, or_, select

from forbear.storage.accounts.accounts import Account, Role, Scope, find
from forbear.storage.db.account_tables import accounts, saved_queries, sessions, tokens, visits
from forbear.storage.db.records import new_id

IDLE = timedelta(minutes=30)
"""A session ends after so long without a request."""

LONGEST = timedelta(hours=12)
ENROLMENT = timedelta(minutes=10)
ROTATION = timedelta(minutes=15)
"""After so long it gets a new secret; the old one is accepted a moment longer, for requests under way."""

_GRACE = timedelta(seconds=30)
_STEP = timedelta(minutes=1)

FULL = "full"
ENROL = "enrolment"


@dataclass(frozen=True, slots=True)
class Session:
    """A session; ``fresh`` is the new secret for its cookie, empty if it stays."""

    id: str
    account: Account
    stage: str
    fresh: str = ""


@dataclass(frozen=True, slots=True)
class Bearer:
    """The owner of a token, and what it permits."""

    name: str
    scopes: frozenset[Scope]


def begin(connection: Connection, account: Account, at: datetime, *, full: bool = False) -> str:
    """Begins a session; returns the secret for its cookie. Without enrolment, only enrolling is permitted.

    ``full`` is for an account that an issuer has signed in: it has no codes of ours.
    """
    connection.execute(delete(sessions).where(or_(sessions.c.expires_at <= at, sessions.c.seen_at <= at - IDLE)))
    enrolled = full or account.enrolled
    until = at + (LONGEST if enrolled else ENROLMENT)
    return _insert(connection, account.id, FULL if enrolled else ENROL, at, until)


def find_session(connection: Connection, secret: str, at: datetime) -> Session | None:
    """Finds the session of a cookie; None if it has ended. Only reads: see ``needs_refresh``."""
    row = connection.execute(_joined(secret, at)).one_or_none()
    if row is None:
        return None
    account = Account(row.account, row.name, Role(row.role), row.totp, row.enrolled_at is not None)
    return Session(row.id, account, row.stage)


def needs_refresh(connection: Connection, secret: str, at: datetime) -> bool:
    """Checks whether ``refresh`` has something to write."""
    row = connection.execute(_joined(secret, at)).one_or_none()
    return row is not None and (row.seen_at <= at - _STEP or row.rotated_at <= at - ROTATION)


def refresh(connection: Connection, secret: str, at: datetime) -> str:
    """Records that a session is used; returns a new secret for its cookie if one is due, else empty."""
    row = connection.execute(_joined(secret, at).with_for_update()).one_or_none()
    if row is None:
        return ""
    this = sessions.update().where(sessions.c.id == row.id)
    # The old id of a rotated session ends soon: do not extend it, or rotate it twice.
    if row.expires_at - at <= _GRACE or row.rotated_at > at - ROTATION:
        connection.execute(this.values(seen_at=at))
        return ""
    connection.execute(this.values(seen_at=at, expires_at=at + _GRACE))
    return _insert(connection, row.account, row.stage, at, row.expires_at)


def end(connection: Connection, account: Account) -> None:
    """Signs an account out everywhere."""
    connection.execute(delete(sessions).where(sessions.c.account == account.id))


def issue(
    connection: Connection, name: str, label: str, scopes: Collection[Scope], lasts: timedelta, at: datetime
) -> str:
    """Issues a token for the JSON API, which is not stored; raises ValueError for scopes beyond the role."""
    account = find(connection, name)
    if account is None:
        raise ValueError(f"There is no account {name}: look at `forbear user list`")
    beyond = sorted(set(scopes) - account.scopes)
    if beyond:
        raise ValueError(f"{name} is {account.role}, which may not do {', '.join(beyond)}: leave it out")
    token = f"forbear_{secrets.token_urlsafe(32)}"
    row = {
        "id": _digest(token), "account": account.id, "label": label, "scopes": sorted(map(str, scopes)),
        "created_at": at, "expires_at": at + lasts,
    }  # fmt: skip
    connection.execute(tokens.insert(), row)
    return token


def find_bearer(connection: Connection, token: str, at: datetime) -> Bearer | None:
    """Finds the owner of a token; None if it is unknown or expired, or its account is disabled."""
    wanted = tokens.c.id == _digest(token), tokens.c.expires_at > at, accounts.c.disabled_at.is_(None)
    found = select(accounts.c.name, accounts.c.role, tokens.c.scopes).join_from(tokens, accounts).where(*wanted)
    row = connection.execute(found).one_or_none()
    if row is None:
        return None
    return Bearer(row.name, frozenset(map(Scope, row.scopes)) & Account("", row.name, Role(row.role), "", True).scopes)


def revoke(connection: Connection, name: str, label: str) -> int:
    """Revokes the tokens of an account with this label; returns how many."""
    account = select(accounts.c.id).where(accounts.c.name == name).scalar_subquery()
    return connection.execute(delete(tokens).where(tokens.c.account == account, tokens.c.label == label)).rowcount


def log_access(connection: Connection, name: str, client: str, event: str, what: str, at: datetime) -> None:
    """Records a sign-in or a view."""
    row = {"id": new_id(), "at": at, "name": name[:100], "client": client, "event": event, "what": what[:4000]}
    connection.execute(visits.insert(), row)


def access_log(connection: Connection, name: str = "", before: str = "", limit: int = 100) -> Sequence[dict[str, Any]]:
    """Returns recorded sign-ins and views, newest first, those before an id; of one name, if given."""
    columns = visits.c
    wanted = select(visits).order_by(columns.id.desc()).limit(limit)
    if name:
        wanted = wanted.where(columns.name == name)
    if before:
        wanted = wanted.where(columns.id < before)
    return [dict(row._mapping) for row in connection.execute(wanted)]


def save_query(connection: Connection, account: Account, label: str, query: str, at: datetime) -> None:
    """Saves filters of the log, replacing an older query with the same label."""
    columns = saved_queries.c
    connection.execute(delete(saved_queries).where(columns.account == account.id, columns.label == label))
    row = {"id": new_id(), "account": account.id, "label": label, "query": query, "created_at": at}
    connection.execute(saved_queries.insert(), row)


def queries(connection: Connection, account: Account) -> Sequence[tuple[str, str, str]]:
    """Returns an account's saved queries as id, label and query, by label."""
    columns = saved_queries.c
    wanted = select(columns.id, columns.label, columns.query).where(columns.account == account.id)
    return [(row.id, row.label, row.query) for row in connection.execute(wanted.order_by(columns.label).limit(200))]


def forget_query(connection: Connection, account: Account, query: str) -> None:
    """Deletes a saved query by its id."""
    columns = saved_queries.c
    connection.execute(delete(saved_queries).where(columns.account == account.id, columns.id == query))


def _joined(secret: str, at: datetime) -> Any:
    wanted = (
        sessions.c.id == _digest(secret), sessions.c.expires_at > at, sessions.c.seen_at > at - IDLE,
        accounts.c.disabled_at.is_(None),
    )  # fmt: skip
    of_account = accounts.c.name, accounts.c.role, accounts.c.totp, accounts.c.enrolled_at
    return select(sessions, *of_account).join_from(sessions, accounts).where(*wanted)


def _insert(connection: Connection, account: str, stage: str, at: datetime, until: datetime) -> str:
    secret = secrets.token_urlsafe(32)
    row = {
        "id": _digest(secret), "account": account, "stage": stage, "rotated_at": at, "seen_at": at, "expires_at": until
    }  # fmt: skip
    connection.execute(sessions.insert(), row)
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
