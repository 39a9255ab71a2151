"""How often one client may ask: a token bucket for each kind of request, in the memory of this process.

A client is an IPv4 address or an IPv6 network of 64 bits, which is what one customer gets. Behind a reverse proxy it is
the one that the proxy names, if the server trusts it (``forbear serve --trust-proxy``). Several processes count each
for themselves, and a restart forgets: this keeps the portal usable, it is no defence against a flood from many places.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from time import monotonic

from fastapi import HTTPException, Request

from portal.settings import Rates

AT_ONCE = 16
"""Visitors for whom sites are asked at the same time."""

MOST_CLIENTS = 50_000
"""Clients remembered by each limit; whoever has been silent longest is forgotten first."""


class Limit:
    """So many requests a minute for each client; as many may come at once."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._most = float(per_minute)
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
            raise HTTPException(
                429,
                f"Too many requests came from your address: try again in {seconds} s.",
                {"Retry-After": str(seconds)},
            )


class Limits:
    """The limits of one application, by what a request costs."""

    def __init__(self, rates: Rates) -> None:
        self.pages = Limit(rates.pages)
        self.forms = Limit(rates.forms)
        self.checks = Limit(rates.checks)
        self.sites = Limit(rates.checks)
        self.room = asyncio.Semaphore(AT_ONCE)


def client_of(request: Request) -> str:
    """Who asks, as far as limits go."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)
