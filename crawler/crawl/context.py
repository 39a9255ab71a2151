"""What the parts of a running crawl share: settings, log, corpus, and counts."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVar

from scrapy.exceptions import IgnoreRequest

from forbear.crawler.engine.enforce import fetch_place
from forbear.crawler.fetch.handler import CUT_OFF
from forbear.crawler.fetch.scrapy_internals import send_queued, slow_down
from forbear.optout.model import Decision, Verdict
from forbear.optout.protocols import robots
from forbear.optout.readers import robots_txt
from forbear.optout.readers import url as urls
from forbear.storage.db.hostnames import domain_of
from forbear.storage.db.records import AddLinks, EntryState, EntryUpdate, Link, UpdateEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy.crawler import AsyncCrawlerProcess, Crawler

    from forbear.crawler.corpus.writer import Corpus
    from forbear.crawler.crawl.config import Config
    from forbear.crawler.engine.reservation_files import Fetch
    from forbear.crawler.engine.session import Session
    from forbear.optout.model import Capture
    from forbear.optout.readers.url import Url
    from forbear.storage.database import Connection
    from forbear.storage.db.records import CaptureRecord
    from forbear.storage.frontier.frontier import FrontierEntry
    from forbear.storage.log.writer import Writer

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """What this run did; ``excluded`` counts by protocol, a page with two reservations under both.

    ``decisions`` counts by verdict and protocol ("" if nothing was reserved), ``failures`` exchanges by the failure's
    name; ``hosts`` is how many are served now.
    """

    kept: int = 0
    octets: int = 0
    pages_excluded: int = 0
    pages_deferred: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    deferred: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    decisions: Counter[tuple[str, ...]] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    hosts: int = 0
    began: float = field(default_factory=monotonic)

    def count(self, decision: Decision) -> None:
        """Counts a decision."""
        protocols = {reason.protocol for reason in decision.reasons} or {""}
        self.decisions.update((str(decision.verdict), protocol) for protocol in protocols)
        if decision.verdict is Verdict.EXCLUDED:
            self.pages_excluded += 1
            self.excluded.update({reason.protocol for reason in decision.reasons})
        elif decision.verdict is Verdict.DEFERRED:
            self.pages_deferred += 1
            self.deferred.update({reason.quote for reason in decision.reasons})

    def count_failure(self, capture: Capture) -> None:
        """Counts an exchange that failed."""
        if capture.error:
            self.failures[str(capture.error)] += 1

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return monotonic() - self.began


class HostBusy(IgnoreRequest):
    """Another process serves the host of a file with reservations, so nothing was decided."""


class TooSlow(IgnoreRequest):
    """The host asks for a longer delay than the operator accepts, so nothing more is requested from it."""


class Scheduler(Protocol):
    """What the other parts of a crawl call on its scheduler."""

    def done(self, entry: FrontierEntry, wait: float = 0.0) -> None:
        """Ends the turn of an entry; its host is left alone for ``wait`` seconds."""

    async def borrow(self, host: str) -> bool:
        """Leases a host for a request outside its turns; returns False if another process keeps it."""

    async def give_back(self, host: str) -> None:
        """Ends what ``borrow`` began."""

    def check(self, host: str, entry: FrontierEntry | None = None) -> None:
        """Raises NotHeld if another process may serve the host by now."""

    async def confirm_lease(self, entry: FrontierEntry) -> bool:
        """Returns whether this process still holds the host of an entry."""


class Context:
    """What the parts of a running crawl share. Used on the event loop's thread, except for functions in ``call``."""

    def __init__(
        self,
        config: Config,
        crawl: str,
        kept: int,
        writer: Writer,
        corpus: Corpus,
        session_of: Callable[[Fetch], Session],
    ) -> None:
        """``kept`` counts pages of earlier runs; ``session_of`` makes the session, given how to fetch a file."""
        self.config = config
        self.crawl = crawl
        self.writer = writer
        self.session = session_of(self._fetch_place)
        self.corpus = corpus
        self.disk = ThreadPoolExecutor(1, thread_name_prefix="forbear-corpus")
        self.tally = Tally()
        self.error: BaseException | None = None
        self.stopped = False
        self.finished = False
        self.heartbeat: float | None = None
        self.most_hosts = 2 * config.network.concurrency
        self.process: AsyncCrawlerProcess | None = None
        self._kept_before = kept
        self._delays: dict[str, float] = {}

    @property
    def crawler(self) -> Crawler:
        """Scrapy's crawler, while it runs."""
        assert self.process is not None
        [crawler] = self.process.crawlers
        return crawler

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler of the running engine."""
        engine = self.crawler.engine
        assert engine is not None
        scheduler: Scheduler = engine.scheduler  # type: ignore[assignment]
        return scheduler

    async def _fetch_place(self, url: str) -> CaptureRecord:
        """Fetches a file with reservations, in its own host's turn. Raises HostBusy and TooSlow."""
        host = urls.parse(url).host
        if not await self.scheduler.borrow(host):
            raise HostBusy(f"{host} is served by another process")
        try:
            record = await fetch_place(self.crawler, url)
        finally:
            await self.scheduler.give_back(host)
        self.tally.count_failure(record.capture)
        if url == urls.parse(url).origin + robots.PLACES[0] and record.capture.status == 200:
            # At once, not with the first page: requests for other files come before it.
            self.slow_down(host, robots_txt.parse(record.capture).crawl_delay(self.config.terms.agent))
        return record

    async def call(self, function: Callable[[Connection], T]) -> T:
        """Runs a function on the writer's connection, in its turn; returns once it is committed."""
        return await asyncio.wrap_future(self.writer.call(function))

    async def set_state(self, entry: FrontierEntry, state: EntryState, found: tuple[Link, ...] = ()) -> None:
        """Sets the state of an entry without a decision, and adds the links found."""
        self.tally.outcomes[state] += 1
        if found:
            await asyncio.wrap_future(self.writer.submit(AddLinks(self.crawl, found)))
        await asyncio.wrap_future(self.writer.submit(UpdateEntry(EntryUpdate(entry.id, state))))

    def full(self, under_way: int) -> bool:
        """Returns whether no more pages may be begun: enough are kept or under way, or something broke."""
        if self.error:
            return True
        most = self.config.max_pages
        return most is not None and self._kept_before + self.tally.kept + under_way >= most

    def follows(self, source: Url, target: Url) -> bool:
        """Returns whether a link from one URL to another is followed."""
        if self.config.follow == "any":
            return True
        if self.config.follow == "same-domain":
            return domain_of(source.host) == domain_of(target.host)
        return source.host == target.host

    def delay_of(self, host: str) -> float:
        """Returns the seconds between two requests to a host."""
        return self._delays.get(host, self.config.network.delay)

    def slow_down(self, host: str, delay: float) -> None:
        """Adopts a Crawl-delay if it is longer than the operator's own delay. Raises TooSlow beyond --max-delay."""
        most = self.config.network.max_delay
        if most is not None and delay > most:
            raise TooSlow(f"{host} asks for {delay:g} seconds between two requests, and --max-delay is {most:g}")
        delay = max(delay, self.config.network.delay)
        if delay == self.delay_of(host):
            return
        self._delays[host] = delay
        slow_down(self.crawler, host, delay)

    def abort_in_flight(self) -> None:
        """Aborts requests under way: nothing is decided about them, and the next run sends them again."""
        self.stopped = True
        self.crawler.signals.send_catch_log(CUT_OFF)
        send_queued(self.crawler)  # so that the handler ends these too

    def fail(self, error: BaseException) -> None:
        """Ends the crawl early after an error outside of it: finishes what is under way, and begins nothing more."""
        if self.error is None:
            self.error = error
            logger.debug("The crawl ends early", exc_info=error)
