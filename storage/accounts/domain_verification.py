"""Proofs of control over a host, and the addresses that they give access to.

A token found by https or in the DNS is a proof. One found by plain http is not, since anybody between the portal and
the site can put it there: it is recorded as found, not as proven, so that the page can say what is missing.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from forbear.storage.db.hostnames import domain_of
from forbear.storage.db.portal_tables import controls
from forbear.storage.db.schema import hosts, urls

TIME_TO_PROVE = timedelta(days=7)
"""How long a request waits for its proof."""

TIME_OF_PROOF = timedelta(days=30)
"""How long a proof is valid."""

OUTCOMES = ("kept", "excluded", "deferred", "allowed")


@dataclass(frozen=True, slots=True)
class Control:
    """A request to prove control of ``host`` and all below it with ``token``; proven if ``proven_at`` is set.

    ``found`` is where the token was seen: a URL, or the name of a DNS record. Without proof, it was seen by http only.
    """

    id: str
    host: str
    token: str
    proven_at: datetime | None
    found: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Address:
    """A URL with its latest verdict, and when a copy was last kept."""

    url: str
    verdict: str
    at: datetime
    kept_at: datetime | None


def request_proof(connection: Connection, host: str, at: datetime) -> tuple[str, Control]:
    """Stores a new request; returns it with the secret of its private link, which is not stored."""
    connection.execute(controls.delete().where(controls.c.expires_at <= at))
    secret = secrets.token_urlsafe(24)
    control = Control(_id(secret), host, secrets.token_hex(16), None, None, at + TIME_TO_PROVE)
    row = {"id": control.id, "host": host, "token": control.token, "asked_at": at, "expires_at": control.expires_at}
    connection.execute(controls.insert(), row)
    return secret, control


def find(connection: Connection, secret: str, at: datetime) -> Control | None:
    """Finds the request or proof of a private link; None if there is none, or it has ended."""
    row = connection.execute(
        select(controls).where(controls.c.id == _id(secret), controls.c.expires_at > at)
    ).one_or_none()
    return Control(row.id, row.host, row.token, row.proven_at, row.found, row.expires_at) if row else None


def record_result(connection: Connection, control: Control, found: str | None, at: datetime) -> None:
    """Records where the token was found, if anywhere; by https or in the DNS it is a proof from now on."""
    values: dict[str, Any] = {"found": found}
    this = controls.update().where(controls.c.id == control.id)
    if found is not None and not found.startswith("http://"):
        values |= {"proven_at": at, "expires_at": at + TIME_OF_PROOF}
    else:
        this = this.where(controls.c.proven_at.is_(None))  # an earlier proof stays valid until it ends
    connection.execute(this.values(values))


def addresses(connection: Connection, control: Control, outcome: str, after: str, limit: int) -> list[Address]:
    """Returns URLs of the host and all below it with an outcome, in alphabetical order, those after ``after``.

    Raises ValueError if control is not proven, or ``outcome`` is not one of OUTCOMES.
    """
    if control.proven_at is None or outcome not in OUTCOMES:
        raise ValueError(f"{outcome} addresses of {control.host} are not shown")
    registrable = domain_of(control.host)
    below = hosts.c.domain == registrable
    if control.host != registrable:
        below = and_(
            below, or_(hosts.c.host == control.host, hosts.c.host.endswith(f".{control.host}", autoescape=True))
        )
    wanted = urls.c.kept_at.is_not(None) if outcome == "kept" else urls.c.verdict == outcome
    found = (
        select(urls.c.url, urls.c.verdict, urls.c.at, urls.c.kept_at)
        .join_from(urls, hosts, hosts.c.host == urls.c.host)
        .where(below, wanted, urls.c.url > after)
        .order_by(urls.c.url)
        .limit(limit)
    )
    return [Address(*row) for row in connection.execute(found)]


def _id(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
