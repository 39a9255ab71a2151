"""Captures as evidence: each content is stored once, and found again while it is fresh."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Row, Select, func, select

from forbear.optout.model import SKEW, Capture, Failure, Reason
from forbear.storage.chain.leaves import NOTHING
from forbear.storage.db.canonical_json import canonical
from forbear.storage.db.dialects import chunks, insert_new, insert_rows, select_in
from forbear.storage.db.hostnames import digest
from forbear.storage.db.records import CaptureRecord, Keep
from forbear.storage.db.schema import bodies, captures
from forbear.storage.db.types import iso_utc, printable

if TYPE_CHECKING:
    from forbear.storage.db.blobs import BlobStore


class Fresh(NamedTuple):
    """A stored capture that may be reused until it expires."""

    id: str
    capture: Capture
    expires_at: datetime


def store(
    connection: Connection, records: Mapping[str, tuple[str, CaptureRecord, Sequence[Reason]]]
) -> list[tuple[Any, ...]]:
    """Stores new captures, by their ids: crawl, record, and the reasons of the decision.

    If a body is not kept whole, the words that the reasons quote from it are. Returns the new rows, for the chain.
    """
    new = dict(records)
    for (stored,) in select_in(connection, "SELECT id FROM captures WHERE id", list(new)):
        del new[stored]
    if not new:
        return []
    rows = [_row(*one) for one in new.values()]
    whole = {row[_DIGEST]: one[1].capture.body for row, one in zip(rows, new.values(), strict=True) if row[_BODY]}
    _store_bodies(connection, whole)
    insert_rows(connection, captures, rows)
    return rows


def _store_bodies(connection: Connection, contents: Mapping[str, bytes]) -> None:
    missing = dict(contents)
    for (known,) in select_in(connection, "SELECT sha256 FROM bodies WHERE sha256", list(contents)):
        del missing[known]
    if missing:
        outside: BlobStore | None = connection.get_execution_options().get("evidence")
        packed = {sha256: _pack(body, outside) for sha256, body in missing.items()}
        if outside:  # before the row that refers to it
            outside.put(packed)
        place = outside.url if outside else None
        rows = [
            (sha256, b"" if outside else packed[sha256], len(missing[sha256]), len(packed[sha256]), place)
            for sha256 in sorted(missing)  # one order for all processes: no deadlock between them
        ]
        insert_new(connection, bodies, rows, bodies.c.keys(), "sha256")


def _pack(content: bytes, outside: BlobStore | None) -> bytes:
    if outside is None:
        return zlib.compress(content)
    from forbear.storage.db.blobs import pack  # noqa: PLC0415 as below

    return pack(content)


def unpacked(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> dict[str, bytes]:
    """Unpacks contents by digest, from rows of ``bodies`` (``sha256``, ``content``, ``place``), wherever they are.

    Content outside the database is read from the store that the database was opened with, or else from where the row
    says. Missing and damaged contents are left out. Raises StorageError.
    """
    found: dict[str, bytes] = {}
    elsewhere = []
    for row in rows:
        if row.place is not None:
            elsewhere.append(row)
        elif row.content is not None:
            with suppress(zlib.error):
                found[row.sha256] = zlib.decompress(row.content)
    for store, digests in _by_store(connection, elsewhere):
        found |= store.get(digests)
    return found


def remove(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> None:
    """Removes contents outside the database, from rows of ``bodies`` (``sha256``, ``place``). Raises StorageError."""
    for store, digests in _by_store(connection, rows):
        store.remove(digests)


def _by_store(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> Iterator[tuple[BlobStore, list[str]]]:
    own: BlobStore | None = connection.get_execution_options().get("evidence")
    elsewhere: dict[str, list[str]] = {}
    for row in rows:
        elsewhere.setdefault(row.place, []).append(row.sha256)
    for place, digests in elsewhere.items():
        yield own or _store(place), digests


def _store(place: str) -> BlobStore:
    from forbear.storage.db.blobs import blob_store  # noqa: PLC0415 pyarrow comes with it, and few keep anything outside

    return blob_store(place)


class Size(NamedTuple):
    """How much evidence there is: captures whose content is stored, their bytes, and what deduplication leaves.

    ``contents`` counts the distinct contents, ``size`` their bytes, ``packed`` their compressed bytes, of which
    ``outside`` are not in the database. All but the two counts are in bytes.
    """

    captures: int
    received: int
    contents: int
    size: int
    packed: int
    outside: int


def size(connection: Connection) -> Size:
    """Measures the evidence of all crawls; reads every row of captures and bodies."""
    of = bodies.c
    taken = select(func.count(), func.coalesce(func.sum(captures.c.body_bytes), 0)).where(captures.c.body.is_not(None))
    held = select(
        func.count(),
        func.coalesce(func.sum(of.size), 0),
        func.coalesce(func.sum(of.packed), 0),
        func.coalesce(func.sum(of.packed).filter(of.place.is_not(None)), 0),
    )
    return Size(*map(int, (*connection.execute(taken).one(), *connection.execute(held).one())))


_DIGEST, _BODY = (list(captures.c.keys()).index(name) for name in ("body_sha256", "body"))


def _row(crawl: str, record: CaptureRecord, reasons: Sequence[Reason]) -> tuple[Any, ...]:
    """Builds the row of a capture."""
    capture, whole = record.capture, record.keep is Keep.WHOLE
    quotes = [reason.quote for reason in reasons if reason.source == capture.url]
    sha256 = hashlib.sha256(capture.body).hexdigest()
    return (
        record.id,
        crawl,
        printable(capture.url),
        digest(capture.url),
        iso_utc(record.fetched_at),
        record.expires_at and iso_utc(record.expires_at),
        capture.status,
        capture.error and str(capture.error),
        canonical(capture.headers),
        sha256,
        len(capture.body),
        sha256 if whole else None,
        NOTHING if whole else canonical(list(dict.fromkeys(quotes))),
    )


def load(connection: Connection, capture_id: str) -> Capture:
    """Returns a capture as it was decided by; if not stored whole, its body is its excerpts, a line each.

    Raises KeyError if the id is unknown, or the content is gone.
    """
    return stored_captures(connection, [capture_id])[capture_id].capture


class StoredCapture(NamedTuple):
    """A stored capture: ``whole``, or only with the words that were quoted from its content.

    ``sha256`` is that of the whole content, in hexadecimal.
    """

    capture: Capture
    whole: bool
    sha256: str


def stored_captures(connection: Connection, ids: Sequence[str]) -> dict[str, StoredCapture]:
    """Returns the captures with these ids, without those that are missing or whose content is."""
    found: dict[str, StoredCapture] = {}
    for some in chunks(ids):
        rows = connection.execute(_stored().where(captures.c.id.in_(some))).all()
        for row, capture in _captures(connection, rows):
            found[row.id] = StoredCapture(capture, row.excerpts is None or not row.body_bytes, row.body_sha256)
    return found


def fresh(
    connection: Connection, urls: Sequence[str], now: datetime, since: datetime | None = None, *, expired: bool = False
) -> list[Fresh]:
    """Returns the newest unexpired capture of each canonical URL, whichever crawl made it; none before ``since``.

    ``expired`` admits expired ones too. A capture dated into the future, by a clock that ran ahead, is never fresh:
    nobody knows when it was fetched.
    """
    newest: dict[str, Fresh] = {}
    for some in chunks(urls):
        expected = {digest(url) for url in some}
        valid = captures.c.expires_at.is_not(None) if expired else captures.c.expires_at > now
        stored = _stored().where(captures.c.url_key.in_(expected), valid, captures.c.fetched_at <= now + SKEW)
        if since is not None:
            stored = stored.where(captures.c.fetched_at >= since)
        rows = connection.execute(stored.order_by(captures.c.fetched_at, captures.c.id)).all()
        for row, capture in _captures(connection, rows):
            newest[row.url] = Fresh(row.id, capture, row.expires_at)
    return list(newest.values())


def newest(connection: Connection, url: str) -> Capture | None:
    """Returns the newest capture of a well-known file that exists and is stored whole; None if there is none."""
    columns = captures.c
    whole = select(columns.id).where(columns.url_key == digest(url), columns.status == 200, columns.body.is_not(None))
    files = whole.where(columns.expires_at.is_not(None))  # the condition of the index
    found = connection.scalar(files.order_by(columns.fetched_at.desc(), columns.id.desc()).limit(1))
    try:
        return None if found is None else load(connection, found)
    except KeyError:
        return None


def _stored() -> Select[Any]:
    columns = captures.c
    return select(
        columns.id, columns.url, columns.expires_at, columns.status, columns.error, columns.headers, columns.excerpts,
        columns.body_sha256, columns.body_bytes,
    ).add_columns(bodies.c.sha256, bodies.c.content, bodies.c.place).outerjoin_from(captures, bodies)  # fmt: skip


def _captures(connection: Connection, rows: Sequence[Row[Any]]) -> Iterator[tuple[Row[Any], Capture]]:
    content = unpacked(connection, {row.sha256: row for row in rows if row.sha256}.values())
    for row in rows:
        if row.excerpts is not None:
            body: bytes | None = "\n".join(row.excerpts).encode("utf-8", "surrogatepass")
        else:
            body = content.get(row.sha256)
        if body is not None:
            headers = tuple((name, value) for name, value in row.headers)
            yield row, Capture(row.url, row.status, headers, body, Failure(row.error) if row.error else None)
