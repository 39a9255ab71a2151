"""How often one client may ask: a token bucket for each kind of request, in the memory of this process.

A client is an IPv4 address or an IPv6 network of 64 bits, which is what one customer gets at least. Behind a reverse
proxy it is found by forbear.portal.web.proxies. A target is a registrable domain (or an address), since an owner of a
domain can make any number of hosts below it. Several processes count each for themselves, and a restart forgets: this
keeps the portal usable, but does not defend it against a flood from many places.
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
"""Visitors for whom sites are asked at the same time."""

RESERVED = 4
"""The last free places, which are for networks that have none yet."""

OF_CLIENT, OF_NETWORK, OF_TARGET = 2, 4, 2
"""How many of the places one client, one network (IPv4 /24, IPv6 /48) and one target can have at the same time."""

SECONDS_UNTIL_FREE = 30
"""When somebody who got no place is asked to come back."""

MOST_CLIENTS = 50_000
"""Clients remembered by each limit; whoever has been silent longest is forgotten first."""


class Limit:
    """So many requests a minute for each client; as many may come at once."""

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = monotonic,
        said: str = "Too many requests came from your address",
    ) -> None:
        self._most = float(per_minute)
        self._said = said
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, client: str) -> int:
        """Counts a request; seconds until one is free, 0 if this one was."""
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
        """Counts a request; raises HTTPException 429 if there were too many."""
        seconds = self.wait(client)
        if seconds:
            raise HTTPException(429, f"{self._said}: try again in {seconds} s.", {"Retry-After": str(seconds)})


class Room:
    """The places for live checks, so many at the same time.

    A check of a slow site keeps its place for a minute. With a share for each client, network and target, and places
    that only a newcomer gets, it takes many networks and many domains to keep everybody else out.
    """

    def __init__(self, places: int = AT_ONCE) -> None:
        self._places = places
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, client: str, target: str) -> Iterator[None]:
        """Holds a place; raises HTTPException 429 or 503 where there is none for this client or target."""
        names = ("all", f"client {client}", f"network {_network(client)}", f"target {target}")
        with self._lock:
            self._check(*names, target)
            self._taken.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._taken -= Counter(names)  # which forgets the names that hold none any more

    def _check(self, everybody: str, client: str, network: str, target: str, shown: str) -> None:
        taken, later = self._taken, {"Retry-After": str(SECONDS_UNTIL_FREE)}
        if taken[client] >= OF_CLIENT:
            raise HTTPException(
                429, "Your last checks are still under way: wait until they are done, then try again.", later
            )
        if taken[target] >= OF_TARGET:
            raise HTTPException(503, f"{shown} is being asked already: try again in {SECONDS_UNTIL_FREE} s.", later)
        free = self._places - taken[everybody]
        if free <= (RESERVED if taken[network] else 0) or taken[network] >= OF_NETWORK:
            raise HTTPException(
                503, f"Too many sites are being asked just now: try again in {SECONDS_UNTIL_FREE} s.", later
            )


class Limits:
    """The limits of one application, by what a request costs."""

    def __init__(self, rates: Rates) -> None:
        self.pages = Limit(rates.pages)
        self.forms = Limit(rates.forms)
        self.checks = Limit(rates.checks)
        self.sites = Limit(rates.checks, said="This site was read several times within a minute")
        self.room = Room()


def address_of(request: Request) -> str:
    """The address that a request came from, as the access log has it."""
    return request.client.host if request.client else ""


def client_of(request: Request) -> str:
    """The client that a request counts for in the limits."""
    return _wider(address_of(request), 32, 64)


def target_of(host: str) -> str:
    """The target that a host counts for in the limits."""
    wider = _wider(host.strip("[]"), 32, 64)
    return wider if wider != host else domain_of(host.rstrip("."))


def _network(client: str) -> str:
    return _wider(client.partition("/")[0], 24, 48)


def _wider(address: str, bits: int, bits6: int) -> str:
    """The network of an address that has so many bits in common, or the address alone; another text as it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, bits if isinstance(parsed, IPv4Address) else bits6), strict=False)).removesuffix(
        "/32"
    )
