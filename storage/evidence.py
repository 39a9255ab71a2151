"""Captures as evidence: stored by content, each content once, and found again while they are fresh."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, select

from optout.model import Capture, Failure
from storage.dialects import chunks, insert
from storage.names import digest
from storage.records import CaptureRecord, Keep
from storage.schema import bodies, captures


class Fresh(NamedTuple):
    """A stored capture that may be used again until it expires."""

    id: str
    capture: Capture
    expires_at: datetime


def store(connection: Connection, records: Iterable[tuple[str, CaptureRecord, Sequence[str]]]) -> list[dict[str, Any]]:
    """Stores captures that are not stored yet: (crawl, record, the words to keep if the body is not kept whole).

    Returns the rows that were made, for the chain.
    """
    new = {record.id: (crawl, record, quotes) for crawl, record, quotes in records}
    for some in chunks(list(new)):
        for known in connection.scalars(select(captures.c.id).where(captures.c.id.in_(some))):
            del new[known]
    if not new:
        return []
    digests = {record.id: hashlib.sha256(record.capture.body).hexdigest() for _, record, _ in new.values()}
    _store_bodies(
        connection,
        {digests[record.id]: record.capture.body for _, record, _ in new.values() if record.keep is Keep.WHOLE},
    )
    rows = [_row(crawl, record, quotes, digests[record.id]) for crawl, record, quotes in new.values()]
    connection.execute(captures.insert(), rows)
    return rows


def _store_bodies(connection: Connection, contents: Mapping[str, bytes]) -> None:
    missing = dict(contents)
    for some in chunks(list(contents)):
        for known in connection.scalars(select(bodies.c.sha256).where(bodies.c.sha256.in_(some))):
            del missing[known]
    if missing:
        rows = [
            {"sha256": sha256, "content": zlib.compress(body), "size": len(body)}
            for sha256, body in sorted(missing.items())  # one order for all processes: no deadlock between them
        ]
        connection.execute(insert(connection, bodies).on_conflict_do_nothing(), rows)


def _row(crawl: str, record: CaptureRecord, quotes: Sequence[str], sha256: str) -> dict[str, Any]:
    capture, whole = record.capture, record.keep is Keep.WHOLE
    return {
        "id": record.id,
        "crawl": crawl,
        "url": capture.url,
        "url_key": digest(capture.url),
        "fetched_at": record.fetched_at,
        "expires_at": record.expires_at,
        "status": capture.status,
        "error": capture.error and str(capture.error),
        "headers": capture.headers,
        "body_sha256": sha256,
        "body_bytes": len(capture.body),
        "body": sha256 if whole else None,
        "excerpts": None if whole else list(dict.fromkeys(quotes)),
    }


def load(connection: Connection, capture_id: str) -> Capture:
    """A capture as it was decided by; of one that was not stored whole, the body is its excerpts, a line each.

    Raises KeyError if there is none with this id.
    """
    row = connection.execute(_stored().where(captures.c.id == capture_id)).one_or_none()
    if row is None:
        raise KeyError(capture_id)
    return _capture(row)


class Held(NamedTuple):
    """A capture as it is stored: ``whole``, or with the words alone that were quoted from its content.

    ``sha256`` is that of the whole content, in hexadecimal.
    """

    capture: Capture
    whole: bool
    sha256: str


def held(connection: Connection, ids: Sequence[str]) -> dict[str, Held]:
    """The captures with these ids, as far as there are any."""
    found: dict[str, Held] = {}
    for some in chunks(ids):
        for row in connection.execute(_stored().where(captures.c.id.in_(some))):
            found[row.id] = Held(_capture(row), row.excerpts is None or not row.body_bytes, row.body_sha256)
    return found


def fresh(connection: Connection, urls: Sequence[str], now: datetime) -> list[Fresh]:
    """The newest capture of each canonical URL that has not expired, whichever crawl made it."""
    newest: dict[str, Fresh] = {}
    for some in chunks(urls):
        expected = {digest(url) for url in some}
        stored = _stored().where(captures.c.url_key.in_(expected), captures.c.expires_at > now)
        for row in connection.execute(stored.order_by(captures.c.fetched_at, captures.c.id)):
            newest[row.url] = Fresh(row.id, _capture(row), row.expires_at)
    return list(newest.values())


def _stored() -> Select[Any]:
    columns = captures.c
    return select(
        columns.id, columns.url, columns.expires_at, columns.status, columns.error, columns.headers, columns.excerpts,
        columns.body_sha256, columns.body_bytes,
    ).add_columns(bodies.c.content).outerjoin_from(captures, bodies)  # fmt: skip


def _capture(row: Row[Any]) -> Capture:
    if row.excerpts is not None:
        body = "\n".join(row.excerpts).encode("utf-8", "surrogatepass")
    else:
        body = zlib.decompress(row.content)
    headers = tuple((name, value) for name, value in row.headers)
    return Capture(row.url, row.status, headers, body, Failure(row.error) if row.error else None)
