"""Decides for one process of a crawl, and commits each decision before anything acts on it."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from forbear.crawler.engine.decision_loop import decide_and_fetch
from forbear.crawler.engine.reservation_files import Fetch, Places, expiry
from forbear.crawler.identity import with_complaints
from forbear.optout.captures import Captures, Hop
from forbear.optout.host_rules import HostRules
from forbear.optout.model import Capture, Decision, Failure, Profile, Question, Use
from forbear.optout.policy import Policy
from forbear.optout.protocols import robots
from forbear.optout.readers import url as urls
from forbear.optout.readers.robots_txt import RobotsTxt
from forbear.optout.readers.url import NotAUrl
from forbear.storage.db.records import (
    CaptureRecord,
    DecisionRecord,
    EntryUpdate,
    Job,
    Keep,
    Link,
    RecordDecision,
    new_id,
    now,
)
from forbear.storage.log import complaints, evidence
from forbear.storage.log.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from forbear.crawler.limits.bounded import BoundedReader
    from forbear.optout.model import Place
    from forbear.storage.database import Connection

PLACES_IN_MEMORY = 4_000
"""URLs of files with reservations kept in memory; others are read from the database again."""


HOSTS_IN_MEMORY = 1_000
"""Origins whose rules are kept in memory for ``_by_host``; URLs of others are decided one by one."""

LIST_SECONDS = 1.0
"""How soon a running crawl honours a complaint that has just been accepted."""


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What all decisions of a crawl have in common."""

    crawl: str
    agent: str
    use: Use
    profile: Profile
    policy: Policy
    operator_list: Capture | None = None
    infringing_list: Capture | None = None


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """A decision in the log, and, at stage ``page``, the capture of the page that it is about.

    Before ``stale_at``, the same files would be used again, and the decision would be the same.
    """

    id: str
    at: datetime
    decision: Decision
    page: CaptureRecord | None = None
    stale_at: datetime | None = None


Outcome = Callable[[LoggedDecision], tuple[EntryUpdate | None, tuple[Link, ...]]]
"""What a decision changes in the frontier: the state of the entry, and URLs found."""


class Session:
    """Decides for one crawl.

    ``reader`` limits what reading an answer may cost. ``fetch`` gets a file with reservations from the network, and
    returns a capture even if that fails. Files fetched before ``since`` are fetched again, fresh or not.
    """

    def __init__(
        self,
        context: DecisionContext,
        writer: Writer,
        reader: BoundedReader,
        fetch: Fetch,
        since: datetime | None = None,
    ) -> None:
        self._since = since
        self._places = Places(self._stored, fetch, most=PLACES_IN_MEMORY)
        self.context = context
        self.writer = writer
        self.reader = reader
        self._policy = context.policy
        self._list: tuple[CaptureRecord, ...] = ()
        self._infringing = _recorded(context.infringing_list)
        self._list_revision = -1
        self._list_due = 0.0
        self._list_lock = asyncio.Lock()
        self._written: set[str] = set()
        self._compiled: OrderedDict[str, tuple[frozenset[str], HostRules]] = OrderedDict()

    async def decide_and_log(
        self,
        url: str,
        page: CaptureRecord | None = None,
        *,
        outcome: Outcome | None = None,
        status: int | None = None,
    ) -> LoggedDecision:
        """Decides about a URL, or about the page that came from it, and returns once the row is committed.

        ``outcome`` returns what the decision changes in the frontier. ``status`` is the status received if ``page``
        combines it with a stored copy (304). Raises StorageError if the row cannot be written: then nothing was
        decided.
        """
        question = Question(url, self.context.agent, self.context.use, self.context.profile, now())
        question, decision, records, page = await self._decide(question, page)
        logged = LoggedDecision(new_id(), question.at, decision, page, _stale_at(decision, records))
        settle, links = outcome(logged) if outcome else (None, ())
        await self._write(question, logged, records, settle, links, status)
        return logged

    async def submit(self, job: Job) -> None:
        """Writes another job; returns once it is committed."""
        await asyncio.wrap_future(self.writer.submit(job))

    def crawl_delay(self, url: str) -> float:
        """Returns the Crawl-delay in the robots.txt of a URL, in seconds; 0 if there is none."""
        file = self._robots_txt(url)
        return file.crawl_delay(self.context.agent) if file else 0.0

    def sitemaps(self, url: str) -> list[str]:
        """Returns the canonical URLs of the sitemaps that the robots.txt of a URL names."""
        file = self._robots_txt(url)
        found = []
        for reference in file.sitemaps() if file else ():
            with suppress(NotAUrl):
                found.append(urls.join(url, reference).href)
        return found

    def _robots_txt(self, url: str) -> RobotsTxt | None:
        parsed = urls.parse(url)
        known = Captures(record.capture for record in self._places.known(parsed.origin))
        return robots.file_of(Hop(Question(url, self.context.agent), parsed, known))

    async def _decide(
        self, question: Question, page: CaptureRecord | None
    ) -> tuple[Question, Decision, list[CaptureRecord], CaptureRecord | None]:
        """Returns the question with the time of its answer, the decision, what it rests on, and the page.

        The page is returned as it was read: one that costs too much is a failure.
        """
        origin = urls.parse(question.url).origin
        records = {record.capture.url: record for record in self._places.known(origin)}
        listed = await self._operator_list()
        known = [*listed, *records.values()]
        if page is None:
            question = replace(question, at=now())
            decision = self._by_host(origin, question, known)
            if decision:
                self._places.remember(origin, records.values())
                return question, decision, known, None
        captures = Captures(record.capture for record in known)
        if page:
            captures.add(page.capture)
        question, result = await self._decide_and_fetch(question, captures, records)
        page = page and _as_read(page, captures)
        self._places.remember(origin, records.values())
        known = [*listed, *records.values()]
        if page is None and self.reader.is_ready(captures):
            self._compiled[origin] = (
                frozenset(record.id for record in known),
                HostRules(question, captures, self._policy),
            )
            if len(self._compiled) > HOSTS_IN_MEMORY:
                self._compiled.popitem(last=False)
        return question, result, [*known, *([page] if page else [])], page

    async def _decide_and_fetch(
        self, question: Question, captures: Captures, records: dict[str, CaptureRecord]
    ) -> tuple[Question, Decision]:
        """Decides, and adds what had to be fetched to both; returns the question with the time of the answer."""

        async def decide() -> Decision | tuple[Place, ...]:
            nonlocal question
            question = replace(question, at=now())
            result = await self.reader.decide_later(question, captures, self._policy)
            for url, record in records.items():
                records[url] = _as_read(record, captures)
                if records[url] is not record:
                    self._places.replace(records[url])
            return result

        async def fetch(wanted: Iterable[str]) -> None:
            for record in await asyncio.gather(*map(self._places.get, wanted)):
                records[record.capture.url] = record
                captures.add(record.capture)

        decision = await decide_and_fetch(captures, decide, fetch)
        return question, decision

    def _by_host(self, origin: str, question: Question, known: Sequence[CaptureRecord]) -> Decision | None:
        """Returns the decision about a URL not yet fetched, if its host's rules from the same files are in memory."""
        if origin not in self._compiled:
            return None
        self._compiled.move_to_end(origin)
        rests_on, rules = self._compiled[origin]
        if rests_on != frozenset(record.id for record in known) or rules.day != question.at.date():
            return None
        found = rules.decide(question.url)
        return found if isinstance(found, Decision) else None

    async def _write(
        self,
        question: Question,
        logged: LoggedDecision,
        records: Sequence[CaptureRecord],
        settle: EntryUpdate | None,
        links: tuple[Link, ...],
        status: int | None,
    ) -> None:
        page = logged.page.capture if logged.page else None
        row = DecisionRecord(
            id=logged.id,
            at=logged.at,
            crawl=self.context.crawl,
            url=question.url,
            decision=logged.decision,
            status=(status or page.status) if page else None,
            content_sha256=hashlib.sha256(page.body).hexdigest() if page and not page.error else None,
            bytes=len(page.body) if page and not page.error else None,
            captures=tuple(record.id for record in records),
        )
        new = tuple(record for record in records if record.id not in self._written)
        await self.submit(RecordDecision(row, new, settle, links))
        self._written.update(record.id for record in new if record.keep is Keep.WHOLE)
        if len(self._written) > 4 * PLACES_IN_MEMORY:
            self._written.clear()

    async def _stored(self, url: str) -> CaptureRecord | None:
        found = await asyncio.wrap_future(self.writer.call(lambda connection: self._find(connection, url)))
        if not found:
            return None
        [(capture_id, capture, expires_at)] = found
        self._written.add(capture_id)
        return CaptureRecord(capture_id, now(), expires_at, capture)

    def _find(self, connection: Connection, url: str) -> list[evidence.Fresh]:
        return evidence.fresh(connection, [url], now(), self._since)

    async def _operator_list(self) -> tuple[CaptureRecord, ...]:
        """Returns the operator's list with what accepted complaints add to it, and the list of infringing sites."""
        async with self._list_lock:
            if monotonic() >= self._list_due:
                revision, lines = await asyncio.wrap_future(self.writer.call(_blocking))
                if revision != self._list_revision:
                    capture = with_complaints(self.context.operator_list, lines)
                    self._list = _recorded(capture)
                    self._list_revision = revision
                self._list_due = monotonic() + LIST_SECONDS
            return (*self._list, *self._infringing)


def _as_read(record: CaptureRecord, captures: Captures) -> CaptureRecord:
    """Returns the record of an answer whose reading was given up as that failure, any other unchanged."""
    capture = captures.get(record.capture.url)
    if capture is None or capture.error is not Failure.TOO_COSTLY or record.capture.error:
        return record
    expires_at = record.expires_at and expiry(capture, now())
    return replace(record, id=new_id(), expires_at=expires_at, capture=capture)


def _recorded(a_list: Capture | None) -> tuple[CaptureRecord, ...]:
    return (CaptureRecord(new_id(), now(), None, a_list),) if a_list else ()


def _blocking(connection: Connection) -> tuple[int, tuple[str, ...]]:
    return complaints.revision(connection), complaints.operator_lines(connection)


def _stale_at(decision: Decision, records: Sequence[CaptureRecord]) -> datetime | None:
    """Returns when everything that decided will have expired; None if nothing of it expires."""
    decided = {reason.source for reason in decision.reasons}
    ends = [record.expires_at for record in records if record.expires_at and record.capture.url in decided]
    return max(ends, default=None)
