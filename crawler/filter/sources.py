"""The sources of files with reservations for the filter: snapshots, the log, the network."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from forbear.batch.rules import Snapshot
from forbear.batch.snapshot import BadSnapshot
from forbear.crawler.engine.reservation_files import Fetch, expiry
from forbear.crawler.engine.session import DecisionContext, Session
from forbear.crawler.filter.archive import originals, response_at, responses
from forbear.crawler.filter.inputs import BadInput
from forbear.optout.model import Capture, Failure
from forbear.optout.protocols import PROTOCOLS
from forbear.optout.readers import url as urls
from forbear.storage.db.hostnames import digest
from forbear.storage.db.records import CaptureRecord, new_id, now
from forbear.storage.frontier import leases
from forbear.storage.frontier.process_id import this_process
from forbear.storage.log import evidence
from forbear.storage.log.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from forbear.batch.snapshot import SnapshotAnswer
    from forbear.crawler.archives.warc_records import Damage
    from forbear.crawler.engine.live import Live
    from forbear.crawler.filter.archive import Refers
    from forbear.crawler.limits.bounded import BoundedReader

LEASE_SECONDS = 60.0
_PLACES = frozenset(place for protocol in PROTOCOLS for place in protocol.PLACES)


def recorded(known: SnapshotAnswer) -> CaptureRecord:
    """Returns an answer from a snapshot of hosts as evidence, under its own id, so that it is stored once."""
    return CaptureRecord(known.id or new_id(), known.fetched_at, known.expires_at, known.capture)


class Archives:
    """Answers in WARC files by URL, such as the robots.txt files that Common Crawl publishes."""

    def __init__(self, paths: Sequence[Path], note: Callable[[Damage], None]) -> None:
        """``note`` gets each damage. The newest of several answers counts, even if it cannot be read."""
        self._places: dict[bytes, tuple[datetime, Path, int | Capture]] = {}
        revisits: dict[bytes, tuple[Refers, str]] = {}
        for path in paths:
            for at, offset, page, refers in responses(path, _PLACES, note):
                key, newest = digest(page.url), at or datetime.max.replace(tzinfo=UTC)
                if key in self._places and newest < self._places[key][0]:
                    continue
                self._places[key] = newest, path, page if page.error else offset
                revisits.pop(key, None)
                if refers:
                    revisits[key] = refers, page.url
        found = originals(paths, [refers for refers, _ in revisits.values()])
        self._originals = {key: found[refers] for key, (refers, _) in revisits.items() if refers in found}
        for key in revisits.keys() - self._originals.keys():
            at, path, there = self._places[key]
            detail = f"{path}, octet {there}: the archive has a revisit, and not the answer that it refers to"
            page = Capture(revisits[key][1], error=Failure.TRUNCATED, memo={"detail": detail})
            self._places[key] = at, path, page

    def get(self, url: str) -> CaptureRecord | None:
        """Returns the answer for this run only, as it is as old as the snapshot."""
        key = digest(url)
        if (found := self._places.get(key)) is None:
            return None
        at, path, there = found
        original = self._originals.get(key)
        capture = there if isinstance(there, Capture) else response_at(path, there, original)
        return CaptureRecord(new_id(), min(at, now()), None, capture) if capture else None


@contextmanager
def opened(path: Path, **asked: Any) -> Iterator[Snapshot]:
    """Opens a snapshot of hosts. Raises BadInput, also for damage found only when it is read."""
    try:
        with Snapshot(path, **asked) as snapshot:
            yield snapshot
    except BadSnapshot as error:
        raise BadInput(f"--snapshot: {error}") from None


class FilterSession(Session):
    """A session that takes files with reservations from snapshots first, then the log, then the network.

    ``offline`` the newest answer in the log counts, however old; beside a snapshot of hosts, a fresh one alone.
    """

    def __init__(
        self,
        context: DecisionContext,
        writer: Writer,
        reader: BoundedReader,
        fetch: Fetch,
        archives: Archives,
        hosts: Snapshot | None,
        *,
        offline: bool,
    ) -> None:
        super().__init__(context, writer, reader, fetch)
        self._archives, self._hosts, self._offline = archives, hosts, offline

    async def _stored(self, url: str) -> CaptureRecord | None:
        known = self._hosts.answer(url, now()) if self._hosts else None
        if known and known.id:
            return recorded(known)
        record = self._archives.get(url) or await super()._stored(url)
        if record or not self._offline:
            return record
        if known:
            return recorded(known)
        found = await asyncio.wrap_future(
            self.writer.call(lambda connection: evidence.fresh(connection, [url], now(), expired=True))
        )
        if not found:
            return None
        [(capture_id, capture, _)] = found
        self._written.add(capture_id)
        return CaptureRecord(capture_id, now(), None, capture)


class PlaceFetcher:
    """Fetches files with reservations, one host at a time among all processes on the database.

    ``count`` is called for each request.
    """

    def __init__(
        self, live: Live | None, writer: Writer, count: Callable[[], None], *, delay: float, most: int
    ) -> None:
        self._live, self._writer, self._count, self._delay = live, writer, count, delay
        self._room = asyncio.Semaphore(most)
        self._owner = this_process()
        self._turns: dict[str, asyncio.Lock] = {}

    async def fetch(self, url: str) -> CaptureRecord:
        """Returns the answer from a URL; without a network, nothing is known."""
        if self._live is None:
            detail = "the log has no answer from there, and --offline asks nobody"
            return CaptureRecord(new_id(), now(), None, Capture(url, error=Failure.UNASKED, memo={"detail": detail}))
        host = urls.parse(url).host
        async with self._turns.setdefault(host, asyncio.Lock()), self._room:
            capture = await self._in_turn(self._live, host, url)
        at = now()
        return CaptureRecord(new_id(), at, expiry(capture, at), capture)

    async def _in_turn(self, live: Live, host: str, url: str) -> Capture:
        for _ in range(int(LEASE_SECONDS)):
            lease = await self._call(
                lambda connection: leases.lease_host(connection, self._owner, host, now(), LEASE_SECONDS)
            )
            if lease:
                break
            await asyncio.sleep(1)
        else:
            return Capture(url, error=Failure.TIMEOUT, memo={"detail": f"another process was serving {host}"})
        try:
            pause = (lease.next_at - now()).total_seconds() if lease.next_at else 0.0
            await asyncio.sleep(max(pause, 0.0))
            self._count()
            return await live.fetch(url)
        finally:
            later = now() + timedelta(seconds=self._delay)
            await self._call(lambda connection: leases.release(connection, self._owner, host, later, now()))

    async def _call(self, function: Callable[[Any], Any]) -> Any:
        return await asyncio.wrap_future(self._writer.call(function))
