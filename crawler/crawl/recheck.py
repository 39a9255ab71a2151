"""Requests kept pages again, and removes what is now reserved from the corpus.

In the log it is a crawl of its own, over the URLs of kept pages, with the same frontier, politeness and decisions. A
page is requested with the validators that it came with (RFC 9110 13.1); 304 means that the stored copy is current.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from scrapy.exceptions import IgnoreRequest

from forbear.crawler.corpus import warc
from forbear.crawler.corpus.remove_pages import RemovalResult
from forbear.crawler.corpus.writer import Corpus
from forbear.crawler.crawl.config import Config
from forbear.crawler.crawl.context import Context
from forbear.crawler.crawl.pages import Pages
from forbear.crawler.crawl.run import (
    Summary,
    begin,
    end,
    make_version,
    reader_of,
    repair_corpus,
    scrape,
    settings,
)
from forbear.crawler.crawl.scheduler import ENTRY
from forbear.crawler.engine.enforce import PLACE, capture_of
from forbear.crawler.engine.session import Session
from forbear.optout import __version__
from forbear.optout.captures import MAX_REDIRECTS, redirect
from forbear.optout.model import Capture, Verdict
from forbear.optout.readers.text import field_octets
from forbear.storage.database import Connection, StorageError, open_database
from forbear.storage.db.records import EntryState, EntryUpdate, Link, now
from forbear.storage.frontier import frontier
from forbear.storage.log import crawls, lists
from forbear.storage.log.writer import Writer
from forbear.storage.reads import removals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from scrapy.http import Request, Response

    from forbear.crawler.crawl.context import Tally
    from forbear.crawler.engine.reservation_files import Fetch
    from forbear.crawler.engine.session import LoggedDecision
    from forbear.crawler.limits.bounded import BoundedReader
    from forbear.storage.database import Engine
    from forbear.storage.frontier.frontier import FrontierEntry
    from forbear.storage.reads.removals import CorpusCopy

HELD = "forbear_held"
"""The key in ``request.meta`` of the copy that the corpus has of a page."""

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class RecheckConfig:
    """The settings of ``forbear recheck``: those of its crawl, and how many requests and seconds it may take."""

    crawl: Config
    budget: int | None = None
    max_time: float | None = None
    remove_deferred: bool = False

    def identity(self) -> dict[str, Any]:
        """Returns the settings by which a recheck is recognised: the same command continues it with a new budget."""
        return self.crawl.identity() | {"command": "recheck", "remove_deferred": self.remove_deferred}


@dataclass(frozen=True, slots=True)
class RecheckSummary:
    """How a recheck ended; ``removed`` counts the pages whose removal it logged, by verdict."""

    summary: Summary
    removed: dict[str, int]
    erased: RemovalResult
    pages: int


class RecheckContext(Context):
    """What the parts of a running recheck share."""

    def __init__(
        self,
        config: RecheckConfig,
        crawl: str,
        writer: Writer,
        corpus: Corpus,
        session_of: Callable[[Fetch], Session],
    ) -> None:
        super().__init__(config.crawl, crawl, 0, writer, corpus, session_of)
        self._limits = config

    @property
    def spent(self) -> bool:
        """Whether the requests or the time allowed are used up."""
        limits, tally = self._limits, self.tally
        over = limits.max_time is not None and tally.seconds >= limits.max_time
        return over or (limits.budget is not None and tally.requests >= limits.budget)

    def full(self, under_way: int) -> bool:
        """Returns whether no more pages may be begun."""
        return self.error is not None or self.spent


class RecheckPages(Pages):
    """The middleware of a recheck: sends conditional requests, and keeps no answer."""

    async def process_request(self, request: Request) -> None:
        """Decides whether the URL may be requested, and adds the validators of the stored copy."""
        if PLACE not in request.meta:
            number = request.meta[ENTRY].id
            held = await self._context.call(lambda connection: removals.corpus_copy(connection, number))
            request.meta[HELD] = held
            for name, value in _validators(held):
                request.headers[name] = field_octets(value)
        await super().process_request(request)

    async def process_response(self, request: Request, response: Response) -> Response:
        """Decides about what the site serves now. Raises IgnoreRequest in any case: nothing is kept."""
        if PLACE in request.meta:
            return response
        entry: FrontierEntry = request.meta[ENTRY]
        held: CorpusCopy | None = request.meta[HELD]
        capture, status = capture_of(request, response), response.status
        if status == 304 and held:
            capture = await asyncio.to_thread(_revalidated, self._context.config.store.out, capture, held)
        if redirect(capture):
            await self._moved(entry, capture)
        await self._decide_page(entry, capture, status)
        state = EntryState.GONE
        if 200 <= (capture.status or 0) < 300:
            same = held is not None and hashlib.sha256(capture.body).hexdigest() == held.sha256
            state = EntryState.UNCHANGED if same else EntryState.CHANGED
        await self._finish(entry, state)
        return response

    async def _moved(self, entry: FrontierEntry, capture: Capture) -> None:
        """Adds the target of a redirect as a new entry: its answer decides about the page that moved."""
        target = redirect(capture)
        wanted = target is not None and entry.redirects < MAX_REDIRECTS
        found = (Link(target.href, entry.depth, entry.id, entry.redirects + 1),) if target and wanted else ()

        def outcome(logged: LoggedDecision) -> tuple[EntryUpdate | None, tuple[Link, ...]]:
            if logged.decision.verdict is Verdict.ALLOWED:
                return EntryUpdate(entry.id, EntryState.REDIRECTED), found
            return self._outcome(entry, logged)

        await self._decide_page(entry, capture, outcome=outcome)
        self._context.tally.outcomes[EntryState.REDIRECTED] += 1
        self._done(entry)
        raise IgnoreRequest(f"{entry.url}: moved")


def _validators(held: CorpusCopy | None) -> Iterator[tuple[str, str]]:
    """Yields the conditional header fields for the stored copy, if there is one (RFC 9110 13.1.2, 13.1.3)."""
    headers = {name.lower(): value for name, value in held.headers} if held else {}
    for mine, theirs in (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since")):
        if mine in headers:
            yield theirs, headers[mine]


def _revalidated(out: Path, answer: Capture, held: CorpusCopy) -> Capture:
    """Returns the stored copy with the present header fields (RFC 9111 4.3.4); without one, the 304 as it is.

    A 304 alone defers, since the content of the page is unknown then.
    """
    try:
        body = warc.content(out, held.warc_file, held.warc_offset)
    except (OSError, ValueError):
        return answer
    if hashlib.sha256(body).hexdigest() != held.sha256:
        return answer
    newer = {name.lower() for name, _ in answer.headers}
    older = tuple((name, value) for name, value in held.headers if name.lower() not in newer)
    return Capture(answer.url, held.status, answer.headers + older, body)


def run(config: RecheckConfig, watch: Callable[[Tally], None] | None = None) -> RecheckSummary:
    """Rechecks until all pages are done, the budget is used up, or a signal stops it; then rewrites the corpus.

    Raises BadConfig, StorageError, OSError before anything is fetched. The main thread only.
    """
    store, terms, shadow = config.crawl.store, config.crawl.terms, config.crawl.shadow
    own_list, policy = terms.read_operator_list(), terms.read_policy()
    engine = open_database(store.db, create=False, evidence=store.evidence)
    writer = Writer(engine)
    with ExitStack() as ends:
        ends.callback(engine.dispose)
        writer.start()
        ends.callback(writer.close)
        identity = config.identity()
        crawl = writer.call(partial(begin, terms=terms, policy=policy, identity=identity, shadow=shadow)).result()
        reader = ends.enter_context(reader_of(store.out, crawl.id, writer))
        repair_corpus(store.out, writer, reader)
        since = writer.call(lambda connection: crawls.started_at(connection, crawl.id)).result()
        pages = _fill(engine, writer, store.out, crawl.id, since)
        infringing = terms.read_infringing_list(writer.call(lists.current).result())
        decision_context = terms.decision_context(crawl.id, policy, own_list, infringing)
        nothing = Corpus(store.out, worker=crawl.id[-6:], software=f"Forbear/{__version__}")
        session_of = partial(Session, decision_context, writer, reader, since=since)
        context = RecheckContext(config, crawl.id, writer, nothing, session_of)
        chosen = settings(config.crawl)
        chosen.setdict(
            {"DOWNLOADER_MIDDLEWARES": {"forbear.crawler.crawl.recheck.RecheckPages": 50}, "ITEM_PIPELINES": {}}
        )
        scrape(context, chosen, watch)
        if isinstance(context.error, StorageError):
            raise context.error
        context.finished = context.finished and not context.spent
        erased = RemovalResult() if shadow else _remove(config, crawl.id, writer, reader)
        version = make_version(config.crawl, "recheck", crawl.id, policy, writer)
        summary = writer.call(lambda connection: end(connection, context, crawl.resumed, version)).result()
        removed = writer.call(lambda connection: removals.count_by_verdict(connection, crawl.id)).result()
        return RecheckSummary(summary, removed, erased, pages)


def _files(out: Path) -> frozenset[str]:
    return frozenset(f"warc/{path.name}" for path in (out / "warc").glob("*.warc.gz"))


def _fill(engine: Engine, writer: Writer, out: Path, crawl: str, before: datetime) -> int:
    """Adds the URLs of all pages to the frontier, with the decision that kept each; returns how many pages.

    It adds only what is missing, so that a recheck that was killed here can continue.
    """
    files, count = _files(out), 0
    with engine.connect() as connection:
        mine = (row for row in removals.kept(connection, before) if row.warc_file in files)
        while some := [(row.url, row.decision) for row in islice(mine, _BATCH)]:
            count += len(some)
            writer.call(partial(frontier.add_kept, crawl=crawl, kept=some)).result()
    return count


def _remove(config: RecheckConfig, crawl: str, writer: Writer, reader: BoundedReader) -> RemovalResult:
    """Logs the removals, then rewrites the files."""
    out = config.crawl.store.out

    def note(connection: Connection) -> int:
        because = removals.reserved(connection, crawl, deferred=config.remove_deferred)
        return removals.record_removals(connection, crawl, because, _files(out), now())

    writer.call(note).result()
    return repair_corpus(out, writer, reader)
