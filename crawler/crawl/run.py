"""Runs a crawl: opens the log, runs Scrapy on the frontier, closes everything in order, and sums up."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scrapy.crawler import AsyncCrawlerProcess
from scrapy.settings import Settings

from forbear.crawler.corpus import versions
from forbear.crawler.corpus.remove_pages import RemovalResult, erase
from forbear.crawler.corpus.writer import Corpus, repair
from forbear.crawler.crawl.config import Config, Terms
from forbear.crawler.crawl.context import Context, Tally
from forbear.crawler.crawl.metrics import Monitor
from forbear.crawler.crawl.pages import PageSpider
from forbear.crawler.engine.reservation_files import LONGEST
from forbear.crawler.engine.session import Session
from forbear.crawler.identity import BadConfig, crawl_record
from forbear.crawler.limits.bounded import BoundedReader, warm_up
from forbear.crawler.limits.in_progress import ReadingNow, fatal_pages
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout import __version__
from forbear.optout.policy import Policy
from forbear.storage.database import Connection, StorageError, open_database
from forbear.storage.db.records import AddLinks, EntryState, Link, now
from forbear.storage.frontier import frontier, leases
from forbear.storage.log import crawls, lists
from forbear.storage.log.crawls import CrawlState
from forbear.storage.log.writer import Writer
from forbear.storage.reads import removals

IDLE_SECONDS = 15.0
"""How long a process that is suspended within a transaction can keep all others waiting."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended; ``version`` is the version of the corpus that it made, None if it changed nothing.

    ``idle`` is a sentence on why it sent no request; None if it sent one.
    """

    crawl: str
    resumed: bool
    finished: bool
    tally: Tally
    left: dict[EntryState, int]
    error: BaseException | None
    version: int | None = None
    idle: str | None = None


def run(config: Config, watch: Callable[[Tally], None] | None = None) -> Summary:
    """Crawls until it is finished or a signal stops it; calls ``watch`` twice a second.

    Raises BadConfig, StorageError, OSError (the output folder) before anything is fetched. The main thread only.
    """
    own_list = config.terms.read_operator_list()
    policy = config.terms.read_policy()
    engine = open_database(config.store.db, evidence=config.store.evidence, idle=min(config.lease, IDLE_SECONDS))
    with ExitStack() as ends:
        ends.callback(engine.dispose)
        monitor = None if config.metrics_port is None else Monitor(config.metrics_host, config.metrics_port, engine)
        if monitor:
            ends.enter_context(monitor.at_work())
        writer = Writer(engine, watch=monitor.observe if monitor else None)
        writer.start()
        ends.callback(writer.close)
        crawl = writer.call(
            lambda connection: begin(
                connection, config.terms, policy, config.identity(), shadow=config.shadow, again=config.resume
            )
        ).result()
        infringing = config.terms.read_infringing_list(writer.call(lists.current).result())
        writer.submit(AddLinks(crawl.id, tuple(Link(seed) for seed in config.seeds))).result()
        config.store.out.mkdir(parents=True, exist_ok=True)
        reader = ends.enter_context(reader_of(config.store.out, crawl.id, writer))
        repair_corpus(config.store.out, writer, reader)
        # Counting is slow, since there may be a hundred million pages.
        kept = writer.call(partial(crawls.count_pages, crawl=crawl.id)).result() if config.max_pages else 0
        decision_context = config.terms.decision_context(crawl.id, policy, own_list, infringing)
        corpus = Corpus(
            config.store.out,
            worker=crawl.id[-6:],
            software=f"Forbear/{__version__}",
            user_agent=config.terms.user_agent,
            reader=reader,
        )
        context = Context(config, crawl.id, kept, writer, corpus, partial(Session, decision_context, writer, reader))
        if monitor:
            monitor.show(context)
        _log("began", "The crawl goes on." if crawl.resumed else "The crawl begins.", crawl=crawl.id)
        scrape(context, settings(config), watch)
        context.disk.shutdown()
        if isinstance(context.error, StorageError):
            raise context.error  # the next run removes from the corpus what the log does not have
        corpus.close()
        repair_corpus(config.store.out, writer, reader)  # pages of a process that was killed beside this one
        version = make_version(config, "crawl", crawl.id, policy, writer)
        summary = writer.call(lambda connection: end(connection, context, crawl.resumed, version)).result()
        how = "The crawl is finished." if summary.finished else "The crawl was stopped."
        _log("ended", how, crawl=crawl.id, pages=context.tally.kept, seconds=round(context.tally.seconds, 3))
        return summary


def _log(event: str, sentence: str, **about: object) -> None:
    logger.info("%s", sentence, extra={"event": event, "about": about})


def begin(
    connection: Connection,
    terms: Terms,
    policy: Policy,
    identity: Mapping[str, Any],
    *,
    shadow: bool = False,
    again: bool = False,
) -> crawls.Crawl:
    """Begins the crawl with these settings, or continues it if it is not finished; with ``again``, even then.

    Raises BadConfig if there is none to continue ``again``.
    """
    leases.recover(connection, now())
    record = crawl_record(terms, policy, identity, shadow=shadow)
    if not again:
        return crawls.begin(connection, record, now())
    crawl = crawls.resume(connection, record, ignoring=() if identity["seeds"] else ("seeds",))
    if crawl is None:
        raise BadConfig("--resume: this database has no crawl with these settings; leave --resume out to begin one.")
    frontier.reopen(connection, crawl.id)
    return crawl


@contextmanager
def reader_of(out: Path, crawl: str, writer: Writer) -> Iterator[BoundedReader]:
    """Opens the reader of a crawl, after counting pages that earlier processes died of against them. Raises OSError."""
    died = fatal_pages(out)
    writer.call(lambda connection: frontier.note_deaths(connection, died)).result()
    with WorkerPool() as pool, ReadingNow(out, crawl) as reading:
        warm_up()
        yield BoundedReader(pool, reading=reading)


def repair_corpus(out: Path, writer: Writer, reader: BoundedReader) -> RemovalResult:
    """Brings the corpus into the state that the log has: deletes removed pages, and cuts torn files."""
    erased = erase(out, writer)

    def end_of(name: str) -> int | None:
        return writer.call(lambda connection: removals.end_of_file(connection, name)).result()

    repair(out, end_of, erased.waiting, reader)
    return erased


def end(connection: Connection, context: Context, resumed: bool, version: int | None) -> Summary:
    """Marks the crawl as finished or stopped, and returns its summary."""
    finished = context.finished and context.error is None
    crawls.end(connection, context.crawl, CrawlState.FINISHED if finished else CrawlState.STOPPED, now())
    left = frontier.count_states(connection, context.crawl)
    idle = None if context.tally.requests or context.error else _idle(connection, context, finished, left)
    return Summary(context.crawl, resumed, finished, context.tally, left, context.error, version, idle)


def _idle(connection: Connection, context: Context, finished: bool, left: Mapping[EntryState, int]) -> str:
    """Returns why a crawl ends without a request."""
    at, tally = now(), context.tally
    next_at = frontier.status(connection, context.crawl).next_at
    if not finished:
        return "No site was asked: the crawl was stopped before its first request."
    if context.full(0):
        return "No site was asked: a limit such as --max-pages is reached already."
    if tally.pages_excluded or tally.pages_deferred:
        return "No site was asked: by what is known of them, every URL that was due is excluded or deferred."
    if leases.any_held(connection, context.crawl, at):
        return "No site was asked: another process is at work on the hosts that are left."
    if next_at and next_at > at + LONGEST:
        return (
            f"No site was asked: nothing is due before {next_at:%Y-%m-%d %H:%M} (UTC), which a clock that ran ahead "
            "may have set; --resume asks now."
        )
    if next_at:
        return f"No site was asked: nothing is due before {next_at:%Y-%m-%d %H:%M} (UTC); --resume asks now."
    if left:
        return f"No site was asked: this crawl has brought all of its {sum(left.values()):,} URLs to an end already."
    return "No site was asked: the crawl has no URLs."


def make_version(config: Config, by: str, crawl: str, policy: Policy, writer: Writer) -> int | None:
    """Makes the next version of the corpus; None if nothing in it has changed."""
    terms = config.terms
    made = versions.VersionOrigin(by, crawl, terms.agent, str(terms.use), str(terms.profile), policy.digest)
    version = versions.make(config.store.out, made, writer.call(versions.log_state).result())
    if last := version or versions.latest(config.store.out):  # a run that was killed may not have recorded it
        writer.call(lambda connection: versions.record_version(connection, last)).result()
    return version.number if version else None


def settings(config: Config) -> Settings:
    """Returns Scrapy's settings, with its robots, redirect, retry, cookie, proxy and cache middlewares off."""
    handler = "forbear.crawler.fetch.handler.GuardedHandler"
    settings = Settings()
    settings.setdict(
        {
            "ASYNCIO_EVENT_LOOP": None if sys.platform == "win32" else "uvloop.Loop",
            "SCHEDULER": "forbear.crawler.crawl.scheduler.FrontierScheduler",
            "DOWNLOAD_HANDLERS_BASE": {"http": handler, "https": handler},
            "DOWNLOADER_MIDDLEWARES_BASE": {},
            "DOWNLOADER_MIDDLEWARES": {"forbear.crawler.crawl.pages.Pages": 50},
            "SPIDER_MIDDLEWARES_BASE": {},
            "EXTENSIONS_BASE": {},
            "ITEM_PIPELINES": {"forbear.crawler.crawl.pages.KeepPages": 100},
            "CONCURRENT_ITEMS": config.network.concurrency,
            "CONCURRENT_REQUESTS": config.network.concurrency,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
            "DOWNLOAD_DELAY": config.network.delay,
            "DOWNLOAD_DELAY_JITTER": 0,
            "DOWNLOAD_TIMEOUT": config.network.timeout,
            "DOWNLOAD_MAXSIZE": config.max_bytes,
            "DOWNLOAD_WARNSIZE": 0,
            "COMPRESSION_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "FORBEAR_ALLOW_PRIVATE_NETWORKS": config.network.allow_private_networks,
            "FORBEAR_RESOLVE": list(config.network.resolve),
            "FORBEAR_SIGNING_KEY": str(config.network.signing_key) if config.network.signing_key else None,
            "FORBEAR_SIGNATURE_AGENT": config.network.signature_agent,
            "LOG_ENABLED": False,
            "LOG_INSTALL_ROOT_HANDLER": False,
            "USER_AGENT": config.terms.user_agent,
        }
    )
    return settings


def scrape(context: Context, chosen: Settings, watch: Callable[[Tally], None] | None) -> None:
    """Runs Scrapy until the frontier has nothing more to do, or the context is full or failed."""
    process = AsyncCrawlerProcess(chosen)
    for name in ("scrapy", "twisted"):  # they would print whole pages
        logging.getLogger(name).addHandler(logging.NullHandler())
    context.process = process
    process.crawl(PageSpider, context=context)
    context.writer.limit = min(context.config.lease, IDLE_SECONDS)
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(context.tally, watch, stop), daemon=True)
    if watch:
        watcher.start()
    try:
        process.start(stop_after_crawl=True, install_signal_handlers=True)
    finally:
        context.writer.limit = None  # later transactions may read the whole log
        stop.set()
        if watch:
            watcher.join()


def _watch(tally: Tally, watch: Callable[[Tally], None] | None, stop: threading.Event) -> None:
    while watch and not stop.wait(0.5):
        watch(tally)
