"""Rate limits: a token bucket for each client and kind of request, in the memory of this process.

A client is an IPv4 address or an IPv6 /64, the least that one customer gets. Behind a reverse proxy,
forbear.portal.web.proxies finds it. A target is a registrable domain (or an address), since the owner of a domain can
make any number of hosts below it. Each process counts for itself, and a restart forgets: this keeps the portal usable,
but does not defend it against a flood from many places.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address, ip_network
from math import ceil
from time import monotonic

from fastapi import HTTPException, Request

from forbear.portal.web.settings import Rates
from forbear.storage.db.hostnames import domain_of

AT_ONCE = 16
"""Live checks that can run at the same time."""

RESERVED = 4
"""The last free places, reserved for networks that have none yet."""

OF_CLIENT, OF_NETWORK, OF_TARGET = 2, 4, 2
"""Most places of one client, one network (IPv4 /24, IPv6 /48) and one target at the same time."""

SECONDS_UNTIL_FREE = 30
"""The Retry-After of an answer without a place."""

MOST_CLIENTS = 50_000
"""Most clients remembered by each limit; the least recent is forgotten first."""


class Limit:
    """Allows a number of requests a minute for each client; as many may come at once."""

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = monotonic,
        reason: str = "Too many requests came from your address",
    ) -> None:
        self._most = float(per_minute)
        self._reason = reason
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, client: str) -> int:
        """Counts a request; returns the seconds until the next one is allowed, 0 if this one is."""
        now = self._clock()
        with self._lock:
            left, at = self._left.pop(client, (self._most, now))
            left = min(self._most, left + (now - at) * self._most / 60)
            free = left >= 1
            self._left[client] = (left - free, now)
            if len(self._left) > MOST_CLIENTS:
                self._left.popitem(last=False)
        return 0 if free else ceil((1 - left) * 60 / self._most)

    def check(self, client: str) -> None:
        """Counts a request. Raises HTTPException 429 if there were too many."""
        seconds = self.wait(client)
        if seconds:
            raise HTTPException(429, f"{self._reason}: try again in {seconds} s.", {"Retry-After": str(seconds)})


class Room:
    """The places for live checks, a limited number at the same time.

    A check of a slow site keeps its place for a minute. Since clients, networks and targets have limited shares, and
    some places are reserved for newcomers, it takes many networks and domains to keep everybody else out.
    """

    def __init__(self, places: int = AT_ONCE) -> None:
        self._places = places
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, client: str, target: str) -> Iterator[None]:
        """Holds a place. Raises HTTPException 429 or 503 if there is none for this client or target."""
        names = ("all", f"client {client}", f"network {_network(client)}", f"target {target}")
        with self._lock:
            self._check(*names, target)
            self._taken.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._taken -= Counter(names)  # Counter subtraction drops names with no place left

    def _check(self, everybody: str, client: str, network: str, target: str, shown: str) -> None:
        taken, later = self._taken, {"Retry-After": str(SECONDS_UNTIL_FREE)}
        if taken[client] >= OF_CLIENT:
            raise HTTPException(
                429, "Your last checks are still under way: wait until they are done, then try again.", later
            )
        if taken[target] >= OF_TARGET:
            raise HTTPException(
                503, f"A check of {shown} is already running: try again in {SECONDS_UNTIL_FREE} s.", later
            )
        free = self._places - taken[everybody]
        if free <= (RESERVED if taken[network] else 0) or taken[network] >= OF_NETWORK:
            raise HTTPException(503, f"Too many checks are running: try again in {SECONDS_UNTIL_FREE} s.", later)


class Limits:
    """The limits of one application, by the cost of a request."""

    def __init__(self, rates: Rates) -> None:
        self.pages = Limit(rates.pages)
        self.forms = Limit(rates.forms)
        self.checks = Limit(rates.checks)
        self.sites = Limit(rates.checks, reason="This site was read several times within a minute")
        self.room = Room()


def address_of(request: Request) -> str:
    """Returns the address that a request came from, as the access log has it."""
    return request.client.host if request.client else ""


def client_of(request: Request) -> str:
    """Returns the client that a request counts for in the limits."""
    return _wider(address_of(request), 32, 64)


def target_of(host: str) -> str:
    """Returns the target that a host counts for in the limits."""
    wider = _wider(host.strip("[]"), 32, 64)
    return wider if wider != host else domain_of(host.rstrip("."))


def _network(client: str) -> str:
    return _wider(client.partition("/")[0], 24, 48)


def _wider(address: str, bits: int, bits6: int) -> str:
    """Returns the network of an address with these prefix lengths (IPv4, IPv6); any other text unchanged."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, bits if isinstance(parsed, IPv4Address) else bits6), strict=False)).removesuffix(
        "/32"
    )
