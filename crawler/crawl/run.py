"""A crawl from its settings to its summary: opens the log, runs Scrapy on the frontier, closes in order."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from scrapy.crawler import AsyncCrawlerProcess
from scrapy.settings import Settings
from sqlalchemy import Connection, func, select

from forbear.crawler.corpus import versions
from forbear.crawler.corpus.remove_pages import Erased, erase
from forbear.crawler.corpus.writer import Corpus, repair
from forbear.crawler.crawl.metrics import Monitor
from forbear.crawler.crawl.pages import FOLLOW, PageSpider
from forbear.crawler.engine.enforce import slow_down
from forbear.crawler.engine.reservation_files import LONGEST
from forbear.crawler.engine.session import DecisionContext, Session
from forbear.crawler.fetch.bot_auth import read_signer
from forbear.crawler.fetch.handler import CUT_OFF
from forbear.crawler.fetch.network import Guard
from forbear.crawler.identity import (
    BadConfig,
    check_contact,
    check_token,
    read_infringing,
    read_list,
    read_policy,
    user_agent,
)
from forbear.crawler.limits.bounded import BoundedReader, warm_up
from forbear.crawler.limits.in_progress import ReadingNow, died_of
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout import __version__
from forbear.optout.model import Decision, Profile, Use, Verdict
from forbear.optout.policy import Policy
from forbear.optout.readers import url as urls
from forbear.optout.readers.url import Url
from forbear.storage.database import StorageError, open_database
from forbear.storage.db.hostnames import domain_of
from forbear.storage.db.records import AddLinks, EntryState, EntryUpdate, Link, UpdateEntry, now
from forbear.storage.db.schema import pages
from forbear.storage.frontier import frontier, leases
from forbear.storage.log import crawls, lists
from forbear.storage.log.crawls import CrawlRecord, CrawlState
from forbear.storage.log.writer import Writer
from forbear.storage.reads import removals

if TYPE_CHECKING:
    from forbear.crawler.crawl.scheduler import FrontierScheduler

__all__ = ["BadConfig", "Config", "Summary", "Tally", "run"]

IDLE_SECONDS = 15.0
"""A process that is paused within a transaction keeps all others waiting for so long at most."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


_HOW = (
    "concurrency",
    "resume",
    "retries",
    "timeout",
    "proxy",
    "resolve",
    "db",
    "evidence",
    "signing_key",
    "signature_agent",
    "metrics_port",
    "metrics_host",
    "lease",
)
"""Settings that say how a crawl is run, and not which one it is."""


@dataclass(frozen=True, slots=True)
class Config:
    """What ``forbear crawl`` was asked to do; times in seconds, sizes in octets, None where there is no limit."""

    seeds: tuple[str, ...]
    out: Path
    db: str
    contact: str
    agent: str = "ForbearBot"
    use: Use = Use.TRAIN_AI
    profile: Profile = Profile.STANDARD
    shadow: bool = False
    max_pages: int | None = None
    max_depth: int | None = None
    follow: str = "same-host"
    sitemaps: bool = False
    delay: float = 1.0
    max_delay: float | None = None
    concurrency: int = 16
    timeout: float = 60.0
    max_bytes: int = 64 * 1024 * 1024
    retries: int = 2
    proxy: str | None = None
    resolve: tuple[str, ...] = ()
    allow_private_networks: bool = False
    operator_list: Path | None = None
    infringing_list: Path | None = None
    policy: Path | None = None
    evidence: str | None = None
    signing_key: Path | None = None
    signature_agent: str | None = None
    resume: bool = False
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    lease: float = 60.0

    def __post_init__(self) -> None:
        """Raises BadConfig, one sentence for a person."""
        check_token(self.agent)
        check_contact(self.contact, "--contact")
        if self.follow not in FOLLOW:
            raise BadConfig(f"{self.follow!r} is no way to follow links: choose {', '.join(FOLLOW)}.")
        read_signer(self.signing_key, self.signature_agent)
        for seed in self.seeds:
            urls.parse(seed)
        try:
            Guard(resolve=self.resolve)
        except ValueError as error:
            raise BadConfig(f"--resolve: {error}.") from None

    @property
    def user_agent(self) -> str:
        """The User-Agent header that every request carries."""
        return user_agent(self.agent, self.contact)

    def identity(self) -> dict[str, Any]:
        """What makes two commands the same crawl: everything but how fast and in what mood it is run."""
        every = asdict(self) | {"out": str(self.out.resolve()), "operator_list": str(self.operator_list or "")}
        every["policy"] = str(self.policy or "")
        every["infringing_list"] = str(self.infringing_list)
        if not self.infringing_list:
            del every["infringing_list"]  # so that crawls of versions which did not know it go on
        for name in _HOW:
            del every[name]
        return every


@dataclass(slots=True)
class Tally:
    """What this run did; ``excluded`` counts by protocol, a page with two reservations under both.

    ``decisions`` are all by verdict and protocol (none where nothing was reserved), ``failures`` exchanges by the
    failure's name; ``hosts`` is how many are being served now.
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
        """Takes a decision into account."""
        protocols = {reason.protocol for reason in decision.reasons} or {""}
        self.decisions.update((str(decision.verdict), protocol) for protocol in protocols)
        if decision.verdict is Verdict.EXCLUDED:
            self.pages_excluded += 1
            self.excluded.update({reason.protocol for reason in decision.reasons})
        elif decision.verdict is Verdict.DEFERRED:
            self.pages_deferred += 1
            self.deferred.update({reason.quote for reason in decision.reasons})

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return monotonic() - self.began


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended; ``version`` is that of the corpus which it made, None if it changed nothing.

    ``idle`` is why it asked no site for anything, a sentence; None if it did.
    """

    crawl: str
    resumed: bool
    finished: bool
    tally: Tally
    left: dict[EntryState, int]
    error: BaseException | None
    version: int | None = None
    idle: str | None = None


class Context:
    """What the parts of one running crawl share. Lives on the event loop's thread, except ``call``'s functions."""

    def __init__(self, config: Config, crawl: str, kept: int, writer: Writer, session: Session, corpus: Corpus) -> None:
        self.config = config
        self.crawl = crawl
        self.writer = writer
        self.session = session
        self.corpus = corpus
        self.disk = ThreadPoolExecutor(1, thread_name_prefix="forbear-corpus")
        self.tally = Tally()
        self.error: BaseException | None = None
        self.stopped = False
        self.finished = False
        self.heartbeat: float | None = None
        self.most_hosts = 2 * config.concurrency
        self.process: AsyncCrawlerProcess | None = None
        self._kept_before = kept
        self._delays: dict[str, float] = {}

    @property
    def scheduler(self) -> FrontierScheduler:
        """The scheduler of the running engine."""
        assert self.process is not None
        [crawler] = self.process.crawlers
        assert crawler.engine is not None
        scheduler: FrontierScheduler = crawler.engine.scheduler  # type: ignore[assignment]
        return scheduler

    async def call(self, function: Callable[[Connection], T]) -> T:
        """Runs a function on the writer's connection, in its own turn; returns when it is committed."""
        return await asyncio.wrap_future(self.writer.call(function))

    async def settle(self, entry: frontier.FrontierEntry, state: EntryState, found: tuple[Link, ...] = ()) -> None:
        """Ends an entry without a decision of its own, and adds what it led to."""
        self.tally.outcomes[state] += 1
        if found:
            await asyncio.wrap_future(self.writer.submit(AddLinks(self.crawl, found)))
        await asyncio.wrap_future(self.writer.submit(UpdateEntry(EntryUpdate(entry.id, state))))

    def full(self, under_way: int) -> bool:
        """Whether no more pages may be begun: enough are kept or on their way, or something broke."""
        if self.error:
            return True
        most = self.config.max_pages
        return most is not None and self._kept_before + self.tally.kept + under_way >= most

    def follows(self, source: Url, target: Url) -> bool:
        """Whether a link from one URL to another is followed."""
        if self.config.follow == "any":
            return True
        if self.config.follow == "same-domain":
            return domain_of(source.host) == domain_of(target.host)
        return source.host == target.host

    def delay_of(self, host: str) -> float:
        """Seconds between two requests to a host."""
        return self._delays.get(host, self.config.delay)

    def slow_down(self, host: str, delay: float) -> None:
        """Takes over a Crawl-delay: the longer of it and the operator's own delay counts."""
        delay = max(delay, self.config.delay)
        if delay == self.delay_of(host):
            return
        self._delays[host] = delay
        assert self.process is not None
        [crawler] = self.process.crawlers
        slow_down(crawler, host, delay)

    def abort_in_flight(self) -> None:
        """Waits for no answer any longer: nothing is decided about what is under way, and the next run asks again."""
        self.stopped = True
        assert self.process is not None
        [crawler] = self.process.crawlers
        assert crawler.engine is not None
        crawler.signals.send_catch_log(CUT_OFF)
        downloader = crawler.engine.downloader
        for slot in downloader.slots.values():  # what waits for its turn is let through to the handler, which ends it
            slot.delay = 0
            if slot.latercall:
                slot.latercall.cancel()
                slot.latercall = None
            downloader._process_queue(slot)

    def fail(self, error: BaseException) -> None:
        """Something outside broke: what is under way is brought to an end, nothing more is begun."""
        if self.error is None:
            self.error = error
            logger.debug("The crawl ends early", exc_info=error)


def run(config: Config, watch: Callable[[Tally], None] | None = None) -> Summary:
    """Crawls, and returns when it is finished or was stopped by a signal; ``watch`` is called twice a second.

    Raises BadConfig, StorageError, OSError (the output folder) before anything is fetched. The main thread only.
    """
    asking_list = read_list(config.operator_list, "--operator-list") if config.operator_list else None
    policy = read_policy(config.policy, "--policy")
    engine = open_database(config.db, evidence=config.evidence, idle=min(config.lease, IDLE_SECONDS))
    with ExitStack() as ends:
        ends.callback(engine.dispose)
        monitor = None if config.metrics_port is None else Monitor(config.metrics_host, config.metrics_port, engine)
        if monitor:
            ends.enter_context(monitor.at_work())
        writer = Writer(engine, watch=monitor.observe if monitor else None)
        writer.start()
        ends.callback(writer.close)
        crawl = writer.call(lambda connection: begin(connection, config, policy)).result()
        known = writer.call(lists.current).result()
        infringing = read_infringing(config.infringing_list, "--infringing-list", known)
        writer.submit(AddLinks(crawl.id, tuple(Link(seed) for seed in config.seeds))).result()
        config.out.mkdir(parents=True, exist_ok=True)
        reader = ends.enter_context(reader_of(config.out, crawl.id, writer))
        repair_corpus(config.out, writer, reader)
        # Pages are counted only if their number matters: there may be a hundred million.
        kept = writer.call(lambda connection: _kept(connection, crawl.id)).result() if config.max_pages else 0
        asking = DecisionContext(crawl.id, config.agent, config.use, config.profile, policy, asking_list, infringing)
        session = Session(asking, writer, reader)
        corpus = Corpus(
            config.out,
            worker=crawl.id[-6:],
            software=f"Forbear/{__version__}",
            user_agent=config.user_agent,
            reader=reader,
        )
        context = Context(config, crawl.id, kept, writer, session, corpus)
        if monitor:
            monitor.show(context)
        _tell("began", "The crawl goes on." if crawl.resumed else "The crawl begins.", crawl=crawl.id)
        scrape(context, settings(config), watch)
        context.disk.shutdown()
        if isinstance(context.error, StorageError):
            raise context.error  # the corpus stays as it is, and the next run cuts off what the log does not know
        corpus.close()
        repair_corpus(config.out, writer, reader)  # of a process that was killed beside this one
        version = make_version(config, "crawl", crawl.id, policy, writer)
        summary = writer.call(lambda connection: end(connection, context, crawl.resumed, version)).result()
        how = "The crawl is finished." if summary.finished else "The crawl was stopped."
        _tell("ended", how, crawl=crawl.id, pages=context.tally.kept, seconds=round(context.tally.seconds, 3))
        return summary


def _tell(event: str, sentence: str, **about: object) -> None:
    logger.info("%s", sentence, extra={"event": event, "about": about})


def begin(connection: Connection, config: Config, policy: Policy) -> crawls.Crawl:
    """The crawl of these settings: one that is not finished goes on. Raises BadConfig."""
    leases.recover(connection, now())
    record = CrawlRecord(
        engine=__version__,
        agent=config.agent,
        user_agent=config.user_agent,
        contact=config.contact,
        use=config.use,
        profile=config.profile,
        shadow=config.shadow,
        policy=policy,
        configuration=config.identity(),
    )
    if not config.resume:
        return crawls.begin(connection, record, now())
    crawl = crawls.resume(connection, record, whatever=() if config.seeds else ("seeds",))
    if crawl is None:
        raise BadConfig("--resume: this database has no crawl with these settings; leave --resume out to begin one.")
    frontier.reopen(connection, crawl.id)
    return crawl


@contextmanager
def reader_of(out: Path, crawl: str, writer: Writer) -> Iterator[BoundedReader]:
    """What a crawl reads with; what earlier processes died of while they read it counts against it. Raises OSError."""
    died = died_of(out)
    writer.call(lambda connection: frontier.note_deaths(connection, died)).result()
    with WorkerPool() as pool, ReadingNow(out, crawl) as reading:
        warm_up()
        yield BoundedReader(pool, reading=reading)


def repair_corpus(out: Path, writer: Writer, reader: BoundedReader) -> Erased:
    """Brings the corpus into the state that the log knows: pages that had to leave are gone, torn files are cut."""
    erased = erase(out, writer)

    def end_of(name: str) -> int | None:
        return writer.call(lambda connection: removals.end_of(connection, name)).result()

    repair(out, end_of, erased.waiting, reader)
    return erased


def _kept(connection: Connection, crawl: str) -> int:
    return connection.scalar(select(func.count()).select_from(pages).where(pages.c.crawl == crawl)) or 0


def end(connection: Connection, context: Context, resumed: bool, version: int | None) -> Summary:
    """Marks the crawl as finished or stopped, and sums it up."""
    finished = context.finished and context.error is None
    crawls.end(connection, context.crawl, CrawlState.FINISHED if finished else CrawlState.STOPPED, now())
    left = frontier.tally(connection, context.crawl)
    idle = None if context.tally.requests or context.error else _idle(connection, context, finished, left)
    return Summary(context.crawl, resumed, finished, context.tally, left, context.error, version, idle)


def _idle(connection: Connection, context: Context, finished: bool, left: Mapping[EntryState, int]) -> str:
    """Why a crawl ends without a request."""
    at, tally = now(), context.tally
    next_at = frontier.outlook(connection, context.crawl).next_at
    if not finished:
        return "No site was asked: the crawl was stopped before its first request."
    if context.full(0):
        return "No site was asked: a limit such as --max-pages is reached already."
    if tally.pages_excluded or tally.pages_deferred:
        return "No site was asked: by what is known of them, every URL that was due is excluded or deferred."
    if leases.held(connection, context.crawl, at):
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
    made = versions.VersionOrigin(by, crawl, config.agent, str(config.use), str(config.profile), policy.digest)
    version = versions.make(config.out, made, writer.call(versions.log_state).result())
    if last := version or versions.latest(config.out):  # a run that was killed may not have told of it
        writer.call(lambda connection: versions.tell(connection, last)).result()
    return version.number if version else None


def settings(config: Config) -> Settings:
    """Scrapy's settings for a crawl: its own robots, redirect, retry, cookie, proxy and cache middlewares are off."""
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
            "CONCURRENT_ITEMS": config.concurrency,
            "CONCURRENT_REQUESTS": config.concurrency,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
            "DOWNLOAD_DELAY": config.delay,
            "DOWNLOAD_DELAY_JITTER": 0,
            "DOWNLOAD_TIMEOUT": config.timeout,
            "DOWNLOAD_MAXSIZE": config.max_bytes,
            "DOWNLOAD_WARNSIZE": 0,
            "COMPRESSION_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "FORBEAR_ALLOW_PRIVATE_NETWORKS": config.allow_private_networks,
            "FORBEAR_RESOLVE": list(config.resolve),
            "FORBEAR_SIGNING_KEY": str(config.signing_key) if config.signing_key else None,
            "FORBEAR_SIGNATURE_AGENT": config.signature_agent,
            "LOG_ENABLED": False,
            "LOG_INSTALL_ROOT_HANDLER": False,
            "USER_AGENT": config.user_agent,
        }
    )
    return settings


def scrape(context: Context, chosen: Settings, watch: Callable[[Tally], None] | None) -> None:
    """Runs Scrapy until the frontier has nothing more to do, or the context is full or failed."""
    process = AsyncCrawlerProcess(chosen)
    for name in ("scrapy", "twisted"):  # they would print whole pages; whoever wants to read them adds a handler
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
        context.writer.limit = None  # what follows may read the whole log
        stop.set()
        if watch:
            watcher.join()


def _watch(tally: Tally, watch: Callable[[Tally], None] | None, stop: threading.Event) -> None:
    while watch and not stop.wait(0.5):
        watch(tally)
