"""Published versions of the crawlers' card: a new one whenever anything in it changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from forbear.storage.db.canonical_json import canonical
from forbear.storage.db.portal_tables import cards
from forbear.storage.db.records import new_id


@dataclass(frozen=True, slots=True)
class Version:
    """A card as it was published; ``digest`` is SHA-256 of its canonical JSON (RFC 8785), in hexadecimal."""

    id: str
    published_at: datetime
    digest: str
    content: dict[str, Any]


def publish(connection: Connection, content: Mapping[str, Any], at: datetime) -> Version | None:
    """Stores and returns the card if it differs from the latest version; returns None otherwise."""
    text = canonical(dict(content))
    digest = hashlib.sha256(text.encode()).hexdigest()
    newest = select(cards.c.id).order_by(cards.c.published_at.desc()).limit(1)
    connection.execute(newest.with_for_update())  # two processes that see a change publish it once
    latest = versions(connection, 1)
    if latest and latest[0].digest == digest:
        return None
    version = Version(new_id(), at, digest, json.loads(text))
    row = {"id": version.id, "published_at": at, "digest": digest, "content": text}
    connection.execute(cards.insert(), row)
    return version


def versions(connection: Connection, limit: int) -> list[Version]:
    """Returns the newest versions, newest first."""
    newest = select(cards).order_by(cards.c.published_at.desc(), cards.c.id.desc()).limit(limit)
    return [
        Version(row.id, row.published_at, row.digest, json.loads(row.content)) for row in connection.execute(newest)
    ]
