"""Scrapy's scheduler on the frontier in the database: hosts take turns, and each has one process at a time.

Two loops meet here. Scrapy's engine asks ``next_request`` whenever it has room, and gets an entry from memory. A round
(``_round``), four times a second or when ``_work_wanted`` is set, is the only part that talks to the database: in one
transaction it gives hosts back, leases others (storage/frontier/leases.py), and takes entries of those that run short
(storage/frontier/frontier.py). With a delay of one second:

    0.00  round          leases a.example and b.example; takes a/1 a/2 a/3, and b/1
    0.01  next_request   a/1, and a moves to the end of the line; then b/1
    0.30  answer to a/1  the delay counts from here (``_answered``)
    0.35  done(a/1)      a.example is ready at 1.30, when the engine is woken (``_schedule_next_at``)
    0.40  done(b/1)      nothing of b.example waits: the next round gives it back, not to be asked before 1.38
    1.30  next_request   a/2
    ...
    3.10  round          a.example is given back; nothing is left or due soon, so the crawl is finished

A host is given back when none of its entries waits, when it may not be asked for IDLE_SECONDS, or after TURN_SECONDS,
so that a crawl of a million hosts serves a few at a time and all of them in turn. A page may need a file with
reservations from a host that is not leased: ``borrow`` leases it for this one purpose, ``give_back`` ends that.

Another process may take a host over once its lease has ended, so a lease is renewed after a quarter of its time and
trusted for nine tenths of it. ``check`` runs just before a request is sent, ``confirm_lease`` before an answer is used:
a process that was suspended, or whose database was away, sends nothing and keeps nothing. Memory holds only what is
under way. If the process dies, its entries are open in the frontier, and the next run continues from there.

The crawl ends when nothing is under way or due within PATIENCE and no other process works on it, when it is full
(``Context.full``), or when something broke (``Context.fail``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.core.scheduler import BaseScheduler
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request
from scrapy.utils.defer import deferred_from_coro

from forbear.crawler.fetch.handler import CutOff
from forbear.crawler.fetch.scrapy_internals import is_closing, last_request, restart_delay, schedule_next
from forbear.storage.database import Connection, StorageError
from forbear.storage.db.records import AddLinks, Link, now
from forbear.storage.frontier import frontier, leases
from forbear.storage.frontier.frontier import FrontierEntry, FrontierStatus
from forbear.storage.frontier.leases import Lease
from forbear.storage.frontier.process_id import this_process

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.spiders import Spider
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from forbear.crawler.crawl.context import Context

logger = logging.getLogger(__name__)

ENTRY = "forbear_entry"
"""The key in ``request.meta`` of the frontier entry that a request is for."""

TRUSTED = 0.9
"""The part of a lease that is trusted, since the clocks of machines differ."""

RENEWED = 0.25
"""The part of a lease after which it is renewed."""

ROUND_SECONDS = 0.25
BATCH = 32
"""Most entries of one host taken into memory at once."""

TURN_SECONDS = 20.0
"""How long a host is served before others get its place."""

IDLE_SECONDS = 5.0
"""A host that may not be asked for longer than this is given back, and another gets its place."""

LAST_SECONDS = 2.0
"""How long a stopped crawl waits for answers that are under way."""

AHEAD = 2
"""Most entries of one host under way if there is no delay: one is decided about while another is fetched."""

PATIENCE = timedelta(seconds=10)
"""How long a crawl with nothing else to do waits for deferred entries; what is due later is left for --resume."""


class NotHeld(CutOff):
    """Another process may serve the host by now, so nothing is sent; the site has nothing to do with it."""


@dataclass(slots=True)
class Host:
    """A leased host; times are monotonic seconds, and the lease is trusted up to ``until``."""

    name: str
    ready_at: float
    since: float
    until: float
    waiting: deque[FrontierEntry] = field(default_factory=deque)
    in_flight: dict[int, FrontierEntry] = field(default_factory=dict)


class FrontierScheduler(BaseScheduler):
    """Hands out entries of leased hosts, one host after the other."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy."""
        return cls(crawler)

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._context: Context = crawler.spider.context  # type: ignore[union-attr]
        self._owner = this_process()
        self._hosts: OrderedDict[str, Host] = OrderedDict()
        self._lease = self._context.config.lease
        self._borrowed: dict[str, int] = {}
        self._visited: dict[str, float] = {}  # hosts leased by ``borrow`` alone, and until when
        self._finished = False
        self._renewed = monotonic()
        self._work_wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        crawler.signals.connect(self._answered, signals.response_downloaded)

    # Called by Scrapy

    def open(self, spider: Spider) -> None:
        """Starts the rounds."""
        self._tasks = [asyncio.ensure_future(self._run()), asyncio.ensure_future(self._live())]

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._context.heartbeat = None
        held = [(host.name, self._pause(host)) for host in self._hosts.values()]
        self._hosts.clear()
        if not isinstance(self._context.error, StorageError):  # otherwise, the next run finds this process dead
            await self._context.call(lambda connection: self._release(connection, held))

    def close(self, reason: str) -> Deferred[None]:
        """Gives all hosts back."""
        return deferred_from_coro(self._close())

    def has_pending_requests(self) -> bool:
        """Returns whether anything is left to do, or may turn up."""
        return not self._finished

    def enqueue_request(self, request: Request) -> bool:
        """Adds a URL to the frontier if it is new; a round finds it there."""
        self._context.writer.submit(AddLinks(self._context.crawl, (Link(request.url),)))
        return True

    def next_request(self) -> Request | None:
        """Returns the next request of the host whose turn it is, or None if no host is ready."""
        if self._context.full(sum(len(host.in_flight) for host in self._hosts.values())):
            return None
        at = monotonic()
        for host in self._hosts.values():
            most = 1 if self._context.delay_of(host.name) else AHEAD
            if host.waiting and len(host.in_flight) < most and host.ready_at <= at < host.until:
                entry = host.waiting.popleft()
                host.in_flight[entry.id] = entry
                self._hosts.move_to_end(host.name)
                if len(host.waiting) < AHEAD:
                    self._work_wanted.set()
                meta = {ENTRY: entry, "verbatim_url": True}
                try:
                    return Request(entry.url, meta=meta, dont_filter=True, errback=self._broken)
                except ValueError as error:  # not a URL: another program has written to the frontier
                    self._context.fail(error)
                    return None
        return None

    def _broken(self, failure: Failure) -> None:
        """Ends the crawl after an unexpected error, which leaves its entry open and would be waited for without end."""
        if failure.value and not isinstance(failure.value, IgnoreRequest):
            self._context.fail(failure.value)

    # Called by the crawl

    def done(self, entry: FrontierEntry, wait: float = 0.0) -> None:
        """Ends the turn of an entry; its host is left alone for ``wait`` seconds."""
        host = self._hosts.get(entry.host)
        if host and host.in_flight.get(entry.id) is entry:
            del host.in_flight[entry.id]
            delay = self._context.delay_of(host.name)
            host.ready_at = max(host.ready_at, monotonic() + wait, last_request(self._crawler, host.name) + delay)
            self._schedule_next_at(host.ready_at)
        if not host or not host.waiting:  # otherwise, the next regular round will do, for many hosts at once
            self._work_wanted.set()
        schedule_next(self._crawler)

    async def borrow(self, host: str) -> bool:
        """Leases a host for a request outside its turns; returns False if another process keeps it."""
        self._borrowed[host] = self._borrowed.get(host, 0) + 1
        if host in self._hosts:
            return True
        for _ in range(max(1, int(self._lease / 2))):
            lease, until = await self._context.call(
                lambda connection: (
                    leases.lease_host(connection, self._owner, host, now(), self._lease),
                    self._trusted(),
                )
            )
            if lease:
                self._visited[host] = until
                await asyncio.sleep(self._wait(lease))
                return True
            if self._context.stopped:
                break
            await asyncio.sleep(1)
        await self.give_back(host)
        return False

    async def give_back(self, host: str) -> None:
        """Ends what ``borrow`` began."""
        self._borrowed[host] -= 1
        if not self._borrowed[host]:
            del self._borrowed[host]
        if host not in self._borrowed and host not in self._hosts:
            pause = self._spacing(host)
            self._visited.pop(host, None)
            await self._context.call(lambda connection: self._release(connection, [(host, pause)]))

    def check(self, host: str, entry: FrontierEntry | None = None) -> None:
        """Raises NotHeld if another process may serve the host by now. Call it just before a request is sent."""
        if not self._holds(host, entry):
            raise NotHeld(f"{host} may be served by another process, since its lease has ended")

    async def confirm_lease(self, entry: FrontierEntry) -> bool:
        """Returns whether this process still holds the host of an entry; asks the database if that is not certain."""
        if not self._holds(entry.host, entry):
            await self._renew()
        return self._holds(entry.host, entry)

    def _holds(self, name: str, entry: FrontierEntry | None) -> bool:
        host = self._hosts.get(name)
        if entry and (host is None or host.in_flight.get(entry.id) is not entry):
            return False
        return monotonic() < max(host.until if host else 0.0, 0.0 if entry else self._visited.get(name, 0.0))

    async def _live(self) -> None:
        """Records that the event loop runs, for the health check."""
        while True:
            self._context.heartbeat = monotonic()
            await asyncio.sleep(1)

    # Leasing

    async def _run(self) -> None:
        try:
            while not self._finished and not is_closing(self._crawler):
                self._work_wanted.clear()  # before the round, so that a wish during it counts
                await self._round()
                schedule_next(self._crawler)
                try:
                    async with asyncio.timeout(ROUND_SECONDS):
                        await self._work_wanted.wait()
                except TimeoutError:
                    pass
            if not self._finished:
                await asyncio.sleep(LAST_SECONDS)
                self._context.abort_in_flight()
        except Exception as error:  # noqa: BLE001 without its frontier the crawl can only end, with the reason
            self._context.fail(error)
            self._finished = True
            schedule_next(self._crawler)

    async def _round(self) -> None:
        """Gives hosts back, takes entries, leases hosts: planned here, done in one transaction by the writer."""
        if monotonic() - self._renewed > RENEWED * self._lease:
            await self._renew()
        held = bool(self._hosts)
        given_back = [(host.name, self._pause(host)) for host in self._hosts.values() if self._is_over(host)]
        for name, _ in given_back:
            del self._hosts[name]
        short = {
            host.name: {entry.id for entry in host.waiting} | set(host.in_flight)
            for host in self._hosts.values()
            if len(host.waiting) < AHEAD and monotonic() - host.since < TURN_SECONDS
        }
        full = self._context.full(0)
        room = 0 if full else self._context.most_hosts - len(self._hosts)
        crawl, owner = self._context.crawl, self._owner

        def change(
            connection: Connection,
        ) -> tuple[list[Lease], float, dict[str, list[FrontierEntry]], FrontierStatus | None]:
            until, at = self._trusted(), now()
            self._release(connection, given_back)
            if not held:
                leases.recover(connection, at)  # what a process that was killed beside this one has left
            leased = leases.lease_hosts(connection, crawl, owner, room, at, self._lease) if room > 0 else []
            wanted = short | {lease.host: set() for lease in leased}
            limits = {host: BATCH + len(known) for host, known in wanted.items()}
            taken = frontier.take_all(connection, crawl, limits, at)
            others = held or leased or leases.any_held(connection, crawl, at)
            return leased, until, taken, None if others else frontier.status(connection, crawl)

        leased, until, taken, status = await self._context.call(change)
        for lease in leased:
            start = monotonic()
            host = self._hosts[lease.host] = Host(lease.host, start + self._wait(lease), start, until)
            self._schedule_next_at(host.ready_at)
        for name, entries in taken.items():
            if name in self._hosts:
                known = short.get(name, set())
                self._hosts[name].waiting.extend(entry for entry in entries if entry.id not in known)
        self._context.tally.hosts = len(self._hosts)
        under_way = not self._context.error and any(host.in_flight for host in self._hosts.values())
        later = status and (status.next_at is None or status.next_at > now() + PATIENCE)
        self._finished = self._context.finished = not under_way and not self._borrowed and (full or bool(later))

    async def _renew(self) -> None:
        """Renews all leases, and drops the hosts that another process has taken over."""
        self._renewed = monotonic()
        names = [*self._hosts, *self._visited]

        def renew(connection: Connection) -> tuple[float, set[str]]:
            return self._trusted(), leases.renew(connection, self._owner, names, now(), self._lease)

        until, still = await self._context.call(renew)
        for name in still:
            if name in self._hosts:
                self._hosts[name].until = until
            if name in self._visited:
                self._visited[name] = until
        for name in set(names) - still:
            if self._hosts.pop(name, None) or self._visited.pop(name, None):
                about = {"event": "lost", "about": {"host": name}}
                logger.warning("%s was taken over by another process, its lease having ended.", name, extra=about)

    def _trusted(self) -> float:
        """Returns until when a lease taken now is trusted, in monotonic seconds."""
        seconds: float = TRUSTED * self._lease
        return monotonic() + seconds

    def _is_over(self, host: Host) -> bool:
        """Returns whether to give a host back: nothing to do, nothing soon, or served long enough."""
        if host.in_flight or host.name in self._borrowed:
            return False
        at = monotonic()
        return not host.waiting or host.ready_at - at > IDLE_SECONDS or at - host.since > TURN_SECONDS

    def _pause(self, host: Host) -> float:
        """Returns the seconds until any process may send the next request to a host."""
        return max(0.0, host.ready_at - monotonic(), self._spacing(host.name))

    def _spacing(self, host: str) -> float:
        return max(0.0, last_request(self._crawler, host) + self._context.delay_of(host) - monotonic())

    def _release(self, connection: Connection, some: Iterable[tuple[str, float]]) -> None:
        at = now()
        for host, pause in some:
            leases.release(connection, self._owner, host, at + timedelta(seconds=pause), at)

    def _wait(self, lease: Lease) -> float:
        pause = (lease.next_at - now()).total_seconds() if lease.next_at else 0.0
        return max(pause, self._context.delay_of(lease.host) if lease.orphaned else 0.0, 0.0)

    def _answered(self, request: Request) -> None:
        """Counts the delay from the answer, since the time at which the request was sent is not known."""
        restart_delay(self._crawler, request.meta["download_slot"])

    def _schedule_next_at(self, ready_at: float) -> None:
        asyncio.get_running_loop().call_later(max(0.0, ready_at - monotonic()), schedule_next, self._crawler)
