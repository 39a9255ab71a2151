"""The newest answer of every well-known file in the log, by host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from forbear.optout.model import SKEW, Capture
from forbear.optout.readers import url as urls
from forbear.optout.readers.url import NotAUrl
from forbear.storage.db.dialects import chunks
from forbear.storage.db.records import now
from forbear.storage.db.schema import captures
from forbear.storage.log import evidence


class Answer(NamedTuple):
    """An answer that may be used until ``expires_at``; ``id`` is the capture's."""

    capture: Capture
    fetched_at: datetime
    expires_at: datetime
    id: str


def answers(connection: Connection) -> Iterator[Answer]:
    """Yields the newest answer of each well-known file and licence, whichever crawl asked, by host and URL.

    Skips answers dated into the future by a clock that ran ahead, and those whose content is gone. About 400 bytes for
    each are in memory, and the content of a few. Raises StorageError.
    """
    columns = captures.c
    newest = func.row_number().over(
        partition_by=columns.url_key, order_by=(columns.fetched_at.desc(), columns.id.desc())
    )
    numbered = (
        select(columns.id, columns.url, columns.fetched_at, columns.expires_at, newest.label("age"))
        .where(columns.expires_at.is_not(None), columns.fetched_at <= now() + SKEW)
        .subquery()
    )
    found = []
    rows = connection.execute(select(numbered).where(numbered.c.age == 1), execution_options={"yield_per": 1_000})
    for row in rows:
        with suppress(NotAUrl):  # erased
            found.append((urls.parse(row.url).host, row.url, row.id, row.fetched_at, row.expires_at))
    found.sort()
    for some in chunks(found, 100):
        held = evidence.stored_captures(connection, [each[2] for each in some])
        for _, _, capture_id, fetched_at, expires_at in some:
            if capture_id in held and held[capture_id].whole:
                yield Answer(held[capture_id].capture, fetched_at, expires_at, capture_id)
