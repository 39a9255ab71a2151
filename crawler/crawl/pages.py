"""Middleware, spider and pipeline of ``forbear crawl``: turn each frontier entry into a decision, a page and links."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from scrapy import Spider, signals
from scrapy.exceptions import DropItem, IgnoreRequest
from scrapy.http import Request, Response

from forbear.crawler.corpus.writer import WarcPage
from forbear.crawler.crawl import links, sitemaps
from forbear.crawler.crawl.context import HostBusy, TooSlow
from forbear.crawler.crawl.scheduler import ENTRY, NotHeld
from forbear.crawler.engine.enforce import LOGGED_DECISION, PLACE, Enforcement, Refused, capture_of, failed
from forbear.crawler.engine.reservation_files import retry_after
from forbear.crawler.engine.session import LoggedDecision, Outcome, Session
from forbear.crawler.fetch.handler import CHECK, CutOff
from forbear.crawler.limits.workers import TooCostly
from forbear.optout.captures import MAX_REDIRECTS, redirect
from forbear.optout.model import Capture, Failure, Stage, Verdict
from forbear.optout.readers import representation
from forbear.optout.readers import url as urls
from forbear.optout.readers.text import field_text
from forbear.optout.readers.url import Url
from forbear.storage.database import StorageError
from forbear.storage.db.hostnames import domain_of
from forbear.storage.db.records import (
    AddLinks,
    CaptureRecord,
    EntryState,
    EntryUpdate,
    Keep,
    Link,
    PageRecord,
    RecordPage,
    new_id,
    now,
)
from forbear.storage.log.log import Superseded

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from forbear.crawler.crawl.context import Context
    from forbear.storage.frontier.frontier import FrontierEntry

logger = logging.getLogger(__name__)

FIRST_RETRY = 2.0
"""Seconds until a failed page is tried again; twice as long each time, longer if the site asks for it."""

DEATHS = 66
"""Deaths of processes before an entry is given up: six of a process that read it."""

BUSY_RETRY = 10.0
"""Seconds until a page is tried again if another process serves the host that has its rules."""

TAKE_BACK_TRIES = 20
TAKE_BACK_SECONDS = 0.05
"""Pause between two tries to take a page out of a file that another process kept while this one was suspended."""

_SITEMAP = re.compile(rb"<(?:\w+:)?(?:urlset|sitemapindex)[\s>]")


@dataclass(frozen=True, slots=True)
class AllowedPage:
    """An answer that may be kept."""

    entry: FrontierEntry
    logged: LoggedDecision
    request: Request
    response: Response


class Pages(Enforcement):
    """Enforcement on the frontier: the decision and the new state of its entry are one transaction."""

    def __init__(self, crawler: Crawler, session: Session) -> None:
        super().__init__(crawler, session)
        self._mapped: set[str] = set()
        crawler.signals.connect(self._sent, signals.request_reached_downloader)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy."""
        context: Context = crawler.spider.context  # type: ignore[union-attr]
        return cls(crawler, context.session)

    def _sent(self) -> None:
        self._context.tally.requests += 1

    @property
    def _context(self) -> Context:
        context: Context = self.crawler.spider.context  # type: ignore[union-attr]
        return context

    async def process_request(self, request: Request) -> None:
        """Decides whether the URL of the entry may be requested. Raises IgnoreRequest if not."""
        request.headers.setdefault("User-Agent", self._context.config.terms.user_agent)
        request.headers.setdefault("Accept", "*/*")
        request.meta["download_timeout"] = self._context.config.network.timeout
        if self._context.config.network.proxy:
            request.meta["proxy"] = self._context.config.network.proxy
        scheduler = self._context.scheduler
        if PLACE in request.meta:
            request.meta[CHECK] = partial(scheduler.check, urls.parse(request.url).host)
            return
        entry: FrontierEntry = request.meta[ENTRY]
        request.meta[CHECK] = partial(scheduler.check, entry.host, entry)
        if entry.deaths >= DEATHS:
            await self._give_up(entry)
        try:
            logged = await self.session.decide_and_log(entry.url, outcome=lambda logged: self._outcome(entry, logged))
            self._after(entry, logged)
            self._context.slow_down(entry.host, self.session.crawl_delay(entry.url))
        except HostBusy:
            self._done(entry, BUSY_RETRY)
            raise
        except TooSlow:
            await self._finish(entry, EntryState.SKIPPED)
        if self._context.config.sitemaps:
            await self._add_sitemaps(entry)

    async def process_response(self, request: Request, response: Response) -> Response:
        """Decides whether the answer may be kept. Raises IgnoreRequest if not, or if there is nothing to keep."""
        if PLACE in request.meta:
            return response
        entry: FrontierEntry = request.meta[ENTRY]
        if not await self._context.scheduler.confirm_lease(entry):
            self._done(entry)
            raise NotHeld(f"{entry.host} is served by another process, which asks for {entry.url} again")
        capture = capture_of(request, response)
        target = redirect(capture)
        if target:
            await self._redirected(entry, target)
        logged = await self._decide_page(entry, capture)
        if not 200 <= response.status < 300:
            await self._finish(entry, EntryState.GONE)
        request.meta[LOGGED_DECISION] = logged
        return response

    async def process_exception(self, request: Request, exception: Exception) -> None:
        """Defers an entry that got no answer."""
        if PLACE in request.meta:
            return
        if isinstance(exception, CutOff):
            self._done(request.meta[ENTRY])
        if isinstance(exception, IgnoreRequest):
            return
        if isinstance(exception, StorageError):
            self._context.fail(exception)
            return
        capture = failed(request, exception)
        self._context.tally.count_failure(capture)
        try:
            await self._decide_page(request.meta[ENTRY], capture)
        except IgnoreRequest:
            raise
        except Exception as error:  # noqa: BLE001 a bug: the crawl ends with it instead of waiting without end
            self._context.fail(error)
            self._done(request.meta[ENTRY])

    async def _give_up(self, entry: FrontierEntry) -> None:
        """Abandons an entry that has apparently killed several processes. Raises Refused."""
        detail = "several processes have died that had asked for it"
        url = urls.parse(entry.url).href
        await self._decide_page(entry, Capture(url, error=Failure.TOO_COSTLY, memo={"detail": detail}))

    async def _decide_page(
        self, entry: FrontierEntry, capture: Capture, status: int | None = None, outcome: Outcome | None = None
    ) -> LoggedDecision:
        page = CaptureRecord(new_id(), now(), None, capture, Keep.QUOTED)
        outcome = outcome or (lambda logged: self._outcome(entry, logged))
        try:
            logged = await self.session.decide_and_log(entry.url, page, outcome=outcome, status=status)
        except (HostBusy, CutOff):
            self._done(entry, BUSY_RETRY)
            raise
        if logged.page and logged.page.capture is not capture:
            self._context.tally.count_failure(logged.page.capture)
        self._after(entry, logged)
        return logged

    def _outcome(self, entry: FrontierEntry, logged: LoggedDecision) -> tuple[EntryUpdate | None, tuple[Link, ...]]:
        decision = logged.decision
        if decision.verdict is Verdict.EXCLUDED:
            return EntryUpdate(entry.id, EntryState.EXCLUDED), ()
        if decision.verdict is Verdict.DEFERRED:
            if entry.attempts >= self._context.config.retries:
                return EntryUpdate(entry.id, EntryState.ABANDONED), ()
            return EntryUpdate(
                entry.id, EntryState.DEFERRED, logged.at + timedelta(seconds=self._backoff(entry, logged))
            ), ()
        return (EntryUpdate(entry.id, EntryState.ALLOWED) if decision.stage is Stage.REQUEST else None), ()

    def _backoff(self, entry: FrontierEntry, logged: LoggedDecision) -> float:
        asked = retry_after(logged.page.capture, logged.at).total_seconds() if logged.page else 0.0
        stale = (logged.stale_at - logged.at).total_seconds() if logged.stale_at else 0.0
        return max(FIRST_RETRY * 2.0**entry.attempts, asked, stale)

    def _after(self, entry: FrontierEntry, logged: LoggedDecision) -> None:
        """Counts a decision, and ends the entry's turn unless it is allowed."""
        decision = logged.decision
        self._context.tally.count(decision)
        about = {
            "host": entry.host,
            "url": entry.url,
            "verdict": str(decision.verdict),
            "stage": str(decision.stage),
            "protocols": sorted({reason.protocol for reason in decision.reasons}),
            "decision": logged.id,
        }
        logger.info("%s", decision.verdict, extra={"event": "decided", "about": about})
        if decision.verdict is Verdict.ALLOWED:
            return
        overloaded = logged.page is not None and logged.page.capture.status in (429, 503)
        self._done(entry, self._backoff(entry, logged) if overloaded else 0.0)
        raise Refused(logged)

    async def _add_sitemaps(self, entry: FrontierEntry) -> None:
        """Adds the sitemaps that the robots.txt of an origin names, once for each origin and run."""
        origin = urls.parse(entry.url).origin
        if origin not in self._mapped:
            self._mapped.add(origin)
            found = tuple(Link(url, entry.depth, entry.id) for url in self.session.sitemaps(entry.url))
            await self.session.submit(AddLinks(self._context.crawl, found))

    async def _redirected(self, entry: FrontierEntry, target: Url) -> None:
        """Adds the target as a new entry, to be decided about before it is requested in its own host's turn."""
        source = urls.parse(entry.url)
        near = entry.depth == 0 or domain_of(source.host) == domain_of(target.host)
        wanted = entry.redirects < MAX_REDIRECTS and (near or self._context.follows(source, target))
        found = (Link(target.href, entry.depth, entry.id, entry.redirects + 1),) if wanted else ()
        await self._finish(entry, EntryState.REDIRECTED, found)

    async def _finish(self, entry: FrontierEntry, state: EntryState, found: tuple[Link, ...] = ()) -> None:
        """Ends an entry that is not reserved and has no page."""
        await self._context.set_state(entry, state, found)
        self._done(entry)
        raise IgnoreRequest(f"{entry.url}: {state}")

    def _done(self, entry: FrontierEntry, wait: float = 0.0) -> None:
        self._context.scheduler.done(entry, wait)


class PageSpider(Spider):
    """Hands every page that may be kept to the pipeline; URLs to crawl come from the frontier."""

    name = "forbear"

    def __init__(self, context: Context, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.context = context

    async def start(self) -> AsyncIterator[Any]:
        """Yields nothing: the seeds are in the frontier."""
        nothing: tuple[Request, ...] = ()
        for request in nothing:
            yield request

    def parse(self, response: Response, **kwargs: Any) -> Iterator[AllowedPage]:
        """Yields the page as an item."""
        request = response.request
        assert request is not None
        yield AllowedPage(request.meta[ENTRY], request.meta[LOGGED_DECISION], request, response)


class KeepPages:
    """Item pipeline: writes a page to the corpus once its decision is committed, then logs that it is kept."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy."""
        return cls(crawler)

    @property
    def _context(self) -> Context:
        context: Context = self._crawler.spider.context  # type: ignore[union-attr]
        return context

    async def process_item(self, item: AllowedPage) -> AllowedPage:
        """Keeps the page, unless in shadow mode; its links go into the frontier in the same transaction."""
        context = self._context
        try:
            listed = await self._listed(item)
            if listed is not None or context.config.shadow:
                found = await self._links(item) if listed is None else listed
                await context.set_state(item.entry, EntryState.SKIPPED, found)
                raise DropItem("a sitemap, or a page in shadow mode, is not kept")
            await self._keep(item)
        except DropItem:
            raise
        except Exception as error:  # a full disk, a lost database: nothing more can be kept
            context.fail(error)
            raise DropItem(str(error)) from error
        finally:
            context.scheduler.done(item.entry)
        return item

    async def _keep(self, item: AllowedPage) -> None:
        context, capture = self._context, _page_of(item)
        page = WarcPage(
            decision_id=item.logged.id,
            url=capture.url,
            fetched_at=item.logged.page.fetched_at if item.logged.page else item.logged.at,
            capture=capture,
            request_headers=_sent(item.request),
            http_version=item.response.protocol or "HTTP/1.1",
            ip_address=str(item.response.ip_address or ""),
        )
        found = await self._links(item)
        if not await context.scheduler.confirm_lease(item.entry):
            raise DropItem(f"{item.entry.host} is served by another process, which asks for {page.url} again")
        disk = partial(asyncio.get_running_loop().run_in_executor, context.disk)
        stored = await disk(context.corpus.write, page)
        record = PageRecord(
            decision=item.logged.id,
            crawl=context.crawl,
            url=capture.url,
            kept_at=now(),
            warc_file=stored.warc_file,
            warc_offset=stored.offset,
            warc_length=stored.length,
            sha256=hashlib.sha256(capture.body).hexdigest(),
            media_type=representation.of(capture).media_type,
            bytes=len(capture.body),
        )
        try:
            await context.session.submit(RecordPage(record, EntryUpdate(item.entry.id, EntryState.KEPT), found))
        except Superseded as error:
            for _ in range(TAKE_BACK_TRIES):  # pages written after it may have to be removed first
                if await disk(context.corpus.take_back, record.decision, stored):
                    raise DropItem(str(error)) from error
                await asyncio.sleep(TAKE_BACK_SECONDS)
            await context.session.submit(RecordPage(record))  # it is in the file, so it must have its row
        about = {"host": item.entry.host, "url": record.url, "bytes": record.bytes, "decision": record.decision}
        logger.info("kept", extra={"event": "kept", "about": about})
        context.tally.kept += 1
        context.tally.octets += len(capture.body)

    async def _listed(self, item: AllowedPage) -> tuple[Link, ...] | None:
        """Returns the links of a sitemap that are followed; None if the page is not a sitemap."""
        context, entry, capture = self._context, item.entry, _page_of(item)
        if not context.config.sitemaps:
            return None
        if entry.url not in context.session.sitemaps(entry.url) and not _SITEMAP.search(capture.body[:2048]):
            return None
        source = urls.parse(entry.url)
        found = await self._read(sitemaps.urls, capture)
        wanted = (url for url in found if context.follows(source, urls.parse(url)))
        return tuple(Link(url, entry.depth, entry.id) for url in wanted)

    async def _links(self, item: AllowedPage) -> tuple[Link, ...]:
        context, entry = self._context, item.entry
        if context.config.max_depth is not None and entry.depth >= context.config.max_depth:
            return ()
        if not representation.of(_page_of(item)).is_page:
            return ()
        source = urls.parse(entry.url)
        found = await self._read(links.links, _page_of(item), entry.url, context.config.terms.agent)
        wanted = (url for url in found if context.follows(source, urls.parse(url)))
        return tuple(Link(url, entry.depth + 1, entry.id) for url in wanted)

    async def _read(self, function: Callable[..., list[str]], capture: Capture, *more: str) -> list[str]:
        """Returns the URLs that a page links to; none if it costs too much to read."""
        try:
            return await self._context.session.reader.read_later(function, capture, *more)
        except TooCostly as error:
            logger.warning("No links were read from %s: %s", capture.url, error)
            return []


def _page_of(item: AllowedPage) -> Capture:
    assert item.logged.page is not None
    return item.logged.page.capture


def _sent(request: Request) -> tuple[tuple[str, str], ...]:
    return tuple(
        (field_text(name), field_text(value)) for name, values in request.headers.items() for value in values or ()
    )
