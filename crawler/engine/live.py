"""Decides about one URL from the live web: fetches what the decision needs, and nothing that is not allowed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Self

from forbear.crawler.engine.decision_loop import decide_and_fetch
from forbear.crawler.fetch.client import Client, Proxy, failure
from forbear.crawler.fetch.decoding import ACCEPTED
from forbear.crawler.fetch.network import explain
from forbear.optout.captures import Captures
from forbear.optout.model import Capture, Decision, Profile, Question, Use
from forbear.optout.readers import robots_txt
from forbear.optout.readers import url as urls

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from forbear.crawler.fetch.bot_auth import Signer
    from forbear.crawler.fetch.network import Guard
    from forbear.crawler.limits.bounded import BoundedReader
    from forbear.optout.policy import Policy
    from forbear.optout.readers.url import Url

MAX_BODY = 16 * 1024 * 1024
"""Most bytes of a body, before and after decoding."""


@dataclass
class _Turn:
    """The turn at a host: one request at a time, the next not before ``due`` (monotonic seconds)."""

    lock: asyncio.Lock
    delay: float
    due: float = 0.0


class Live:
    """Fetches URLs as they are, one at a time from each host.

    It does not follow redirects, keep cookies, or read the environment. Times are in seconds: ``timeout`` is for a
    whole exchange, ``delay`` the least time between two requests to one host; a longer Crawl-delay wins, up to
    ``max_delay``. ``contact`` (a URL or mailto) is in the User-Agent; ``proxy`` is an http(s) URL. ``signer`` signs
    every request.
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
        signer: Signer | None = None,
    ) -> None:
        self._agent = agent
        identity = f"{agent}/{version}" + (f" (+{contact})" if contact else "")
        self._timeout = timeout
        self._max_delay = max_delay
        self._max_body = max_body
        self._signer = signer
        self._turns: defaultdict[str, _Turn] = defaultdict(lambda: _Turn(asyncio.Lock(), delay))
        self._proxy = Proxy.parse(proxy) if proxy else None
        self._client = Client(guard, keep=False)  # for a few requests, each to another server
        headers = {"User-Agent": identity, "Accept": "*/*", "Accept-Encoding": ACCEPTED}
        self._fields = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def fetch(self, url: str) -> Capture:
        """Fetches a URL; a failure is a Capture too, with a sentence in ``memo["detail"]``. Raises NotAUrl."""
        parts = urls.parse(url)
        turn = self._turns[parts.host]
        async with turn.lock:
            await asyncio.sleep(turn.due - monotonic())
            try:
                capture = await self._exchange(parts)
            except Exception as error:  # noqa: BLE001 every failure has a name, and doubt defers
                capture = Capture(parts.href, error=failure(error), memo={"detail": explain(error)})
            if parts.path == "/robots.txt" and capture.status == 200:
                asked = robots_txt.parse(capture).crawl_delay(self._agent)
                turn.delay = max(turn.delay, min(asked, self._max_delay))
            turn.due = monotonic() + turn.delay
        return capture

    async def _exchange(self, url: Url) -> Capture:
        signature = self._signer.request_headers("GET", url.origin) if self._signer else {}
        fields = self._fields + [(name.encode(), value.encode()) for name, value in signature.items()]
        async with self._client.ask(url, fields, timeout=self._timeout, proxy=self._proxy) as answer:
            return Capture(url.href, answer.head.status, answer.fields, await answer.body(self._max_body))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a question, and every exchange that it needed beside what was known, in order."""

    decision: Decision
    captures: tuple[Capture, ...]


async def ask(
    question: Question,
    policy: Policy,
    live: Live,
    reader: BoundedReader,
    *,
    known: Iterable[Capture] = (),
    page: bool = True,
) -> Outcome:
    """Decides whether a URL may be used, by what the web says now. Raises NotAUrl.

    Every hop of a redirect is decided about before it is requested. ``known`` is not fetched again. Without ``page``,
    the page itself is not fetched, and the answer is whether it may be requested.
    """
    captures = Captures(known)
    seen: list[str] = []

    async def fetch(wanted: Iterable[str]) -> None:
        for url in wanted:
            captures.add(fetched := await live.fetch(url))
            seen.append(fetched.url)

    decision = await decide_and_fetch(
        captures, lambda: reader.decide_later(question, captures, policy), fetch, page=page
    )
    return Outcome(decision, tuple(filter(None, map(captures.get, seen))))


async def survey(
    question: Question, policy: Policy, live: Live, reader: BoundedReader, *, known: Iterable[Capture] = ()
) -> tuple[Capture, ...]:
    """Returns every exchange that either profile needs, ``known`` first, for a site's owner. Raises NotAUrl.

    The page itself is requested as a search engine would: nothing of it is kept, a reservation against training does
    not cover that, and a site that refuses all crawlers is not asked here either.
    """
    seen = list(known)
    seen += (await ask(replace(question, use=Use.SEARCH), policy, live, reader, known=seen)).captures
    for profile in Profile:
        seen += (await ask(replace(question, profile=profile), policy, live, reader, known=seen, page=False)).captures
    return tuple(seen)
