"""The add-on for Scrapy projects (Scrapy 2.19): gives an existing spider the same enforcement and the same log."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

from scrapy import signals
from scrapy.exceptions import IgnoreRequest
from scrapy.settings import SETTINGS_PRIORITIES, overridden_settings
from scrapy.utils.asyncio import is_asyncio_available

from forbear.crawler.engine.enforce import Enforcement, Refused, fetch_place, is_web
from forbear.crawler.engine.session import DecisionContext, LoggedDecision, Session
from forbear.crawler.fetch.scrapy_internals import slot_delay, slow_down
from forbear.crawler.identity import (
    BadConfig,
    check_contact,
    check_token,
    crawl_record,
    leading_token,
    read_infringing,
    read_list,
    read_policy,
    user_agent,
)
from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout.model import Capture, Profile, Use, Verdict
from forbear.storage.database import StorageError, open_database
from forbear.storage.db.records import CaptureRecord, new_id, now
from forbear.storage.log import crawls, lists
from forbear.storage.log.crawls import CrawlRecord, CrawlState
from forbear.storage.log.writer import Writer

if TYPE_CHECKING:
    from enum import StrEnum

    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.http import Request
    from scrapy.settings import Settings

    from forbear.optout.policy import Policy
    from forbear.storage.database import Engine

    Choice = TypeVar("Choice", bound=StrEnum)

logger = logging.getLogger(__name__)

LOG_FAILED = "forbear_log_failed"
"""The reason a spider is closed with when decisions can no longer be written."""

_ON_RECORD = (
    "AUTOTHROTTLE_",
    "BOT_NAME",
    "CONCURRENT_",
    "COOKIES_",
    "DEPTH_",
    "DOWNLOAD_",
    "HTTPCACHE_",
)
"""Prefixes of Scrapy settings that the log keeps: how the crawl ran, and nothing that may hold a password."""


@dataclass(frozen=True, slots=True)
class Config:
    """The ``FORBEAR_…`` settings of a project, and the User-Agent header that goes with them."""

    db: str
    evidence: str | None
    contact: str
    agent: str
    user_agent: str
    use: Use
    profile: Profile
    shadow: bool
    policy: Policy
    operator_list: Capture | None
    infringing_list: Path | None

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Reads the settings. Raises BadConfig, one sentence for a person."""
        contact = settings.get("FORBEAR_CONTACT")
        if not contact:
            raise BadConfig(
                "FORBEAR_CONTACT is missing: name a web page (https://…) or mailto:NAME@DOMAIN where people reach you; "
                "a crawler that cannot be reached does not run."
            )
        check_contact(contact, "FORBEAR_CONTACT")
        agent, header = _identity(settings, contact)
        path, policy = settings.get("FORBEAR_OPERATOR_LIST"), settings.get("FORBEAR_POLICY")
        infringing = settings.get("FORBEAR_INFRINGING_LIST")
        return cls(
            db=settings.get("FORBEAR_DB", "sqlite:///forbear.db"),
            evidence=settings.get("FORBEAR_EVIDENCE"),
            contact=contact,
            agent=agent,
            user_agent=header,
            use=_choice(settings, "FORBEAR_USE", Use.TRAIN_AI),
            profile=_choice(settings, "FORBEAR_PROFILE", Profile.STANDARD),
            shadow=settings.getbool("FORBEAR_SHADOW"),
            policy=read_policy(Path(policy) if policy else None, "FORBEAR_POLICY"),
            operator_list=read_list(Path(path), "FORBEAR_OPERATOR_LIST") if path else None,
            infringing_list=Path(infringing) if infringing else None,
        )


def _identity(settings: Settings, contact: str) -> tuple[str, str]:
    """Returns the product token that rules are matched with, and the header that carries it. Raises BadConfig."""
    header, agent = settings.get("USER_AGENT") or "", settings.get("FORBEAR_AGENT")
    if not header or settings.getpriority("USER_AGENT") == SETTINGS_PRIORITIES["default"]:
        agent = agent or "ForbearBot"
        check_token(agent)
        return agent, user_agent(agent, contact)
    agent = agent or leading_token(header)
    if agent is None or agent == "Mozilla":
        raise BadConfig(
            f"USER_AGENT {header!r} does not begin with a product token of its own: set FORBEAR_AGENT to the one that "
            "it holds, or remove USER_AGENT."
        )
    check_token(agent)
    if agent.lower() not in header.lower():
        raise BadConfig(
            f"FORBEAR_AGENT {agent!r} is not in USER_AGENT {header!r}: sites must be sent the token that their rules "
            "are matched with."
        )
    return agent, header if contact in header else f"{header} (+{contact})"


def _choice(settings: Settings, name: str, default: Choice) -> Choice:
    kind, value = type(default), settings.get(name, default)
    try:
        return kind(value)
    except ValueError:
        raise BadConfig(f"{name} {value!r} is unknown: choose {', '.join(kind)}.") from None


class ForbearAddon:
    """``ADDONS = {"forbear.addon.ForbearAddon": 100}`` and ``FORBEAR_CONTACT`` in the settings of a project."""

    config: Config

    def update_settings(self, settings: Settings) -> None:
        """Called by Scrapy before a spider is opened; raises BadConfig, which ends the run."""
        self.config = Config.read(settings)
        settings.set("USER_AGENT", self.config.user_agent, "cmdline")
        # Nearest to the engine: nearer than a middleware at order 0, or one that another add-on puts there.
        settings.set_in_component_priority_dict("DOWNLOADER_MIDDLEWARES", ProjectEnforcement, -inf)  # type: ignore[arg-type]
        if self.config.shadow:
            logger.warning("FORBEAR_SHADOW is on: decisions are written to the log, and NOTHING IS ENFORCED.")
        elif settings.getbool("ROBOTSTXT_OBEY"):
            logger.info("Forbear reads robots.txt from here on, so ROBOTSTXT_OBEY is switched off.")
            settings.set("ROBOTSTXT_OBEY", False, "cmdline")


class ProjectEnforcement(Enforcement):
    """Enforcement in a Scrapy project: one crawl in the log for each run of a spider."""

    def __init__(self, crawler: Crawler, config: Config) -> None:
        self.config = config
        self._engine: Engine = open_database(config.db, evidence=config.evidence)
        self._writer = Writer(self._engine)
        self._writer.start()
        record = _record(crawler, config)
        self._crawl = self._writer.call(lambda connection: crawls.begin(connection, record, now())).result()
        known = self._writer.call(lists.current).result()
        infringing = read_infringing(config.infringing_list, "FORBEAR_INFRINGING_LIST", known)
        decision_context = DecisionContext(
            self._crawl.id, config.agent, config.use, config.profile, config.policy, config.operator_list, infringing
        )
        self._pool = WorkerPool()
        reader = BoundedReader(self._pool)
        super().__init__(crawler, Session(decision_context, self._writer, reader, partial(fetch_place, crawler)))
        self._refused: WeakSet[Request] = WeakSet()
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy; raises BadConfig or StorageError, which end the run before anything is requested."""
        if not is_asyncio_available():
            raise BadConfig(
                "Forbear needs the asyncio reactor: remove TWISTED_REACTOR from the settings, or set it to "
                "'twisted.internet.asyncioreactor.AsyncioSelectorReactor'."
            )
        addon = crawler.get_addon(ForbearAddon)
        assert addon is not None
        enforcement = cls(crawler, addon.config)
        crawler.signals.connect(enforcement.request_reached_downloader, signals.request_reached_downloader)
        crawler.signals.connect(enforcement.spider_closed, signals.spider_closed)
        return enforcement

    def request_reached_downloader(self, request: Request) -> None:
        """Sets the User-Agent just before a request is sent: it must be the one that was decided for."""
        if is_web(request):
            request.headers["User-Agent"] = self.config.user_agent

    async def spider_closed(self, spider: Spider, reason: str) -> None:
        """Logs how the crawl ended, once everything else is written."""
        state = CrawlState.FINISHED if reason == "finished" else CrawlState.STOPPED
        end = self._writer.call(lambda connection: crawls.end(connection, self._crawl.id, state, now()))
        try:
            await asyncio.wrap_future(end)
        except StorageError as error:
            self._fail(error)
        await asyncio.to_thread(self._pool.close)
        await asyncio.to_thread(self._writer.close)
        self._engine.dispose()

    async def _decide(self, request: Request, page: CaptureRecord | None) -> LoggedDecision:
        if self._closing:
            raise IgnoreRequest(f"{request.url}: the log cannot be written, so nothing more is decided.")
        try:
            logged = await self.session.decide_and_log(request.url, page)
        except StorageError as error:
            self._fail(error)
            raise IgnoreRequest(f"{request.url}: {error}") from error
        self._count(request, logged)
        if self.config.shadow:
            return logged
        if logged.decision.verdict is not Verdict.ALLOWED:
            refused = Refused(logged)
            logger.debug("%s: %s", request.url, refused)
            raise refused
        self._adopt_crawl_delay(request)
        return logged

    def _count(self, request: Request, logged: LoggedDecision) -> None:
        """Counts an allowed page, or a refused request: once, and in shadow mode too."""
        stats, decision = self.crawler.stats, logged.decision
        if decision.verdict is Verdict.ALLOWED:
            if logged.page and request not in self._refused:
                stats.inc_value("forbear/allowed")
            return
        if request in self._refused:
            return
        self._refused.add(request)
        stats.inc_value(f"forbear/{decision.verdict}")
        for protocol in {reason.protocol for reason in decision.reasons}:
            stats.inc_value(f"forbear/{decision.verdict}/{protocol}")

    def _adopt_crawl_delay(self, request: Request) -> None:
        """Adopts the Crawl-delay of a site, unless the project already waits longer."""
        delay = self.session.crawl_delay(request.url)
        if not delay:
            return
        slot, own = slot_delay(self.crawler, request)
        slow_down(self.crawler, slot, max(delay, own))
        request.meta["autothrottle_dont_adjust_delay"] = True

    def _fail(self, error: StorageError) -> None:
        """Closes the spider: without a log, nothing may be fetched."""
        if self._closing is None:
            logger.critical("%s Without its log, nothing more is fetched.", error)
            assert self.crawler.engine is not None
            self._closing = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason=LOG_FAILED))


def _record(crawler: Crawler, config: Config) -> CrawlRecord:
    settings = crawler.settings
    assert crawler.spider is not None
    kept: dict[str, Any] = {k: str(v) for k, v in overridden_settings(settings) if k.startswith(_ON_RECORD)}
    # A run with JOBDIR resumes the crawl that was stopped; any other is a new one.
    run = settings.get("JOBDIR") or new_id()
    configuration = {"spider": crawler.spider.name, "run": run, "settings": kept}
    return crawl_record(config, config.policy, configuration, shadow=config.shadow)
