"""Asks the web about one URL, now: fetches what a decision wants to know, and nothing before it is allowed."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

import httpcore
from protego import Protego

from crawler import network
from crawler.decoding import ACCEPTED, Undecodable, decode
from optout.captures import Captures
from optout.decide import decide
from optout.model import Capture, Decision, Failure, Question, Stage, Verdict
from optout.readers import url as urls
from optout.readers.text import readable

if TYPE_CHECKING:
    from types import TracebackType

    from crawler.network import Guard
    from optout.policy import Policy
    from optout.readers.url import Url

MAX_BODY = 16 * 1024 * 1024
"""Octets of a body, before and after decoding."""

_EXACT: network.Names = ((httpcore.TimeoutException, Failure.TIMEOUT),)
_VAGUE: network.Names = ((httpcore.ConnectError, Failure.REFUSED), (httpcore.NetworkError, Failure.RESET))
_BROKEN = {  # h11 has one exception for all that a server does wrong
    "Server disconnected": Failure.RESET,
    "peer closed connection": Failure.TRUNCATED,
}


def failure(exception: BaseException) -> Failure:
    """What the failure of a fetch is called in decide.md; ``network.explain`` has the sentence to it."""
    if isinstance(exception, Undecodable):
        return exception.failure
    if isinstance(exception, httpcore.RemoteProtocolError):
        return next((name for start, name in _BROKEN.items() if str(exception).startswith(start)), Failure.PROTOCOL)
    return network.name(exception, _EXACT, _VAGUE)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that the guard has checked, and to no other."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 the signature is httpcore's
        local_address: str | None = None,
        socket_options: object = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = await self._guard.lookup(host, port)
        for address in others:
            try:
                return await self._backend.connect_tcp(address, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._backend.connect_tcp(last, port, timeout)


@dataclass
class _Turn:
    """Whose turn it is at a host: one request at a time, the next not before ``due`` (monotonic seconds)."""

    lock: asyncio.Lock
    delay: float
    due: float = 0.0


class Live:
    """Fetches URLs as they are, one at a time from each host.

    No redirect is followed, no cookie kept, nothing taken from the environment. Times are in seconds: ``timeout`` is
    for a whole exchange, ``delay`` the least time between two requests to one host; a longer Crawl-delay wins, up to
    ``max_delay``. ``contact`` (a URL or mailto) stands in the User-Agent; ``proxy`` is an http(s) URL.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        agent: str = "ForbearBot",
        version: str,
        contact: str | None = None,
        proxy: str | None = None,
        timeout: float = 30.0,
        delay: float = 0.0,
        max_delay: float = 10.0,
        max_body: int = MAX_BODY,
    ) -> None:
        self._guard = guard
        self._agent = agent
        identity = f"{agent}/{version}" + (f" (+{contact})" if contact else "")
        self._headers = [
            (b"User-Agent", identity.encode()),
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", ACCEPTED.encode()),
        ]
        self._timeout = timeout
        self._max_delay = max_delay
        self._max_body = max_body
        self._turns: defaultdict[str, _Turn] = defaultdict(lambda: _Turn(asyncio.Lock(), delay))
        self._pool = _proxied(proxy) if proxy else _direct(guard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def fetch(self, url: str) -> Capture:
        """What comes back from a URL now; a failure is a Capture too, its sentence in ``memo["detail"]``.

        Raises NotAUrl.
        """
        parts = urls.parse(url)
        turn = self._turns[parts.host]
        async with turn.lock:
            await asyncio.sleep(turn.due - monotonic())
            try:
                async with asyncio.timeout(self._timeout):
                    capture = await self._exchange(parts)
            except Exception as error:  # noqa: BLE001 whatever goes wrong has a name, and doubt defers
                capture = Capture(parts.href, error=failure(error), memo={"detail": network.explain(error)})
            if parts.path == "/robots.txt" and capture.status == 200:
                turn.delay = max(turn.delay, min(_crawl_delay(capture.body, self._agent), self._max_delay))
            turn.due = monotonic() + turn.delay
        return capture

    async def _exchange(self, url: Url) -> Capture:
        self._guard.check_literal(url)
        authority = url.origin.partition("://")[2]
        target = httpcore.URL(
            scheme=url.scheme.encode(), host=url.host.strip("[]").encode(), port=url.port, target=url.target.encode()
        )
        headers = [(b"Host", authority.encode()), *self._headers]
        limits = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._timeout)}
        body = bytearray()
        async with self._pool.stream("GET", target, headers=headers, extensions=limits) as response:
            async for part in response.aiter_stream():
                body += part
                if len(body) > self._max_body:
                    raise Undecodable(f"the body is larger than {self._max_body} octets", Failure.TOO_LARGE)
        received = tuple((readable(name), readable(value)) for name, value in response.headers)
        codings = [value for name, value in received if name.lower() == "content-encoding"]
        return Capture(url.href, response.status, received, decode(bytes(body), codings, self._max_body))


def _direct(guard: Guard) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(ssl.create_default_context(), network_backend=_GuardedBackend(guard))


def _proxied(proxy: str) -> httpcore.AsyncConnectionPool:
    parts = urlsplit(proxy)
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    address = httpcore.URL(f"{parts.scheme}://{parts.hostname}:{parts.port or urls.DEFAULT_PORT[parts.scheme]}")
    return httpcore.AsyncHTTPProxy(address, credentials, ssl_context=ssl.create_default_context())


def _crawl_delay(robots: bytes, agent: str) -> float:
    """Seconds, as the site asks in a line that no standard knows; 0 if it does not ask."""
    return float(Protego.parse(robots[: 512 * 1024].decode("utf-8", "replace")).crawl_delay(agent) or 0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a question, and every exchange that it took, in order."""

    decision: Decision
    captures: tuple[Capture, ...]


async def ask(question: Question, policy: Policy, live: Live, *, page: bool = True) -> Outcome:
    """May this URL be used, as the web stands now? Raises NotAUrl.

    Every hop of a redirect is decided about before it is requested. ``page`` off: the page itself is left alone, and
    the answer is whether it may be requested.
    """
    captures = Captures()
    seen: list[Capture] = []
    while True:
        step = decide(question, captures, policy)
        if isinstance(step, Decision):
            if step.stage is Stage.PAGE or step.verdict is not Verdict.ALLOWED or not page:
                return Outcome(step, tuple(seen))
            wanted = [step.url]
        else:
            wanted = list(dict.fromkeys(place.url for place in step))
        for url in wanted:
            if captures.get(url) is not None:
                raise AssertionError(f"{url} was asked for twice: somebody's server is not to pay for a fault of ours")
            seen.append(await live.fetch(url))
            captures.add(seen[-1])
