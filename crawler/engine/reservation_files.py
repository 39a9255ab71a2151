"""Files that hold a site's reservations: fetched once, however many pages wait for them, and again after expiry."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from forbear.optout.captures import refusal
from forbear.optout.model import SKEW, Capture, Failure
from forbear.storage.db.records import CaptureRecord, now

LONGEST = timedelta(hours=24)
"""RFC 9309 2.4 for robots.txt: a cached copy should not be used for more than 24 hours. Here, for every such file."""

SHORTEST = timedelta(minutes=5)
"""A file that forbids caching is still not fetched for every page."""

AFTER_FAILURE = timedelta(seconds=15)
"""How soon a file that could not be read is fetched again, unless the site names a time."""

_MAX_AGE = re.compile(r"\b(?:s-maxage|max-age)\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_NO_CACHE = re.compile(r"\b(?:no-store|no-cache)\b", re.IGNORECASE)


def retry_after(capture: Capture, at: datetime) -> timedelta:
    """Returns how long Retry-After asks to wait (RFC 9110 10.2.3): seconds or a date; zero without the field."""
    value = next(iter(capture.header("retry-after")), "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value), LONGEST.total_seconds()))
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return timedelta()
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(until - at, timedelta()), LONGEST)


def expiry(capture: Capture, at: datetime) -> datetime:
    """Returns until when an answer is used: by Cache-Control, within SHORTEST and LONGEST (RFC 9309 2.4)."""
    if capture.error is Failure.TOO_COSTLY:
        return at + SHORTEST  # it would cost as much again
    if capture.error or capture.status == 429 or (capture.status or 0) >= 500 or any(refusal(capture)):
        return at + max(retry_after(capture, at), AFTER_FAILURE)
    control = ", ".join(capture.header("cache-control"))
    named = _MAX_AGE.search(control)
    if _NO_CACHE.search(control):
        return at + SHORTEST
    return at + min(max(timedelta(seconds=int(named[1])), SHORTEST), LONGEST) if named else at + LONGEST


Fetch = Callable[[str], Awaitable[CaptureRecord]]


class Places:
    """Captures of such files by URL: up to ``most`` in memory, the rest in the database."""

    def __init__(self, stored: Callable[[str], Awaitable[CaptureRecord | None]], fetch: Fetch, *, most: int) -> None:
        self._stored = stored
        self._fetch = fetch
        self._most = most
        self._known: OrderedDict[str, CaptureRecord] = OrderedDict()
        self._asked: dict[str, asyncio.Task[CaptureRecord]] = {}
        self._by_origin: OrderedDict[str, frozenset[str]] = OrderedDict()

    def known(self, origin: str) -> list[CaptureRecord]:
        """Returns what earlier decisions about this origin rested on, as far as it is still fresh."""
        records = (self._fresh(url) for url in self._by_origin.get(origin, ()))
        return [record for record in records if record]

    def remember(self, origin: str, records: Iterable[CaptureRecord]) -> None:
        """Remembers what a decision about this origin rested on."""
        self._by_origin[origin] = frozenset(record.capture.url for record in records)
        self._by_origin.move_to_end(origin)
        if len(self._by_origin) > self._most:
            self._by_origin.popitem(last=False)

    async def get(self, url: str) -> CaptureRecord:
        """Returns the answer from a URL: from memory, else stored and fresh, else fetched now."""
        known = self._fresh(url)
        if known:
            return known
        if url not in self._asked:
            self._asked[url] = asyncio.ensure_future(self._ask(url))
        # Cancelling one page must not cancel the request that other pages wait for.
        return await asyncio.shield(self._asked[url])

    async def _ask(self, url: str) -> CaptureRecord:
        try:
            record = await self._stored(url) or await self._fetch(url)
        finally:
            del self._asked[url]
        return self.replace(record)

    def replace(self, record: CaptureRecord) -> CaptureRecord:
        """Remembers a record instead of what was known of its URL."""
        self._known[record.capture.url] = record
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return record

    def _fresh(self, url: str) -> CaptureRecord | None:
        record, at = self._known.get(url), now()
        if record is None or record.fetched_at > at + SKEW or (record.expires_at and record.expires_at <= at):
            return None
        self._known.move_to_end(url)
        return record
