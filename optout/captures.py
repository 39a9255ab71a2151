"""Captures by URL, with redirects followed: all that a protocol ever reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from functools import cached_property
from typing import TypeVar, cast

from forbear.optout.model import IN_STRICT, Capture, Failure, Gap, Place, Question
from forbear.optout.policy import Policy, load
from forbear.optout.readers import representation
from forbear.optout.readers import url as urls
from forbear.optout.readers.pattern import Target
from forbear.optout.readers.text import quoted
from forbear.optout.readers.url import NotAUrl, Url

Answer = TypeVar("Answer", bound=Hashable)

MAX_REDIRECTS = 5
"""RFC 9309 2.3.1.2: a crawler should follow at least five; the same for every place and page."""


class Captures:
    """The exchanges known, by canonical URL.

    ``complete`` means that a place which is not among them answered 404, not that it is unknown.
    The last capture of a URL counts.
    """

    def __init__(self, captures: Iterable[Capture] = (), *, complete: bool = False) -> None:
        self._by_url = {capture.url: capture for capture in captures}
        self.complete = complete

    def add(self, capture: Capture) -> None:
        """Takes in one more exchange."""
        self._by_url[capture.url] = capture

    def __iter__(self) -> Iterator[Capture]:
        return iter(self._by_url.values())

    def get(self, url: str) -> Capture | None:
        """Returns what came back from this very URL, or nothing if that is not known."""
        return self._by_url.get(url)


REFUSED = "access"
"""The protocol of a gap that a refusal leaves (protocols.access)."""

# Cloudflare: Detect a Challenge Page response; AWS WAF: CaptchaAction and ChallengeAction; Vercel: its firewall's
# answers, as seen.
_CHALLENGES = {
    "cf-mitigated": frozenset({"challenge"}),
    "x-amzn-waf-action": frozenset({"captcha", "challenge"}),
    "x-vercel-mitigated": frozenset({"challenge", "deny"}),
}
# With an error, it says by itself that the firewall answered.
_FIREWALL = "x-amzn-waf-action"
_PRICE = "crawler-price"  # Cloudflare: Pay per crawl


def redirect(capture: Capture) -> Url | None:
    """Returns where a 3xx answer points to; nothing for another status, or without a usable http(s) Location.

    A 304 has no target: it refers to a copy that we do not have (RFC 9110 15.4.5).
    """
    if not 300 <= (capture.status or 0) < 400 or capture.status == 304:
        return None
    locations = capture.header("location")
    if not locations:
        return None
    try:
        return urls.join(capture.url, locations[0].strip())
    except NotAUrl:
        return None


_HOW = {Failure.TOO_COSTLY: "cannot be read", Failure.UNASKED: "was not asked"}


def failure(capture: Capture, protocol: str) -> Gap | None:
    """Returns the gap of an answer that settles nothing: an error, 429, 5xx, or a status with no rule.

    RFC 9309 2.3.1.4 for errors and 5xx; 429 as Google's operator documentation; 1xx, 206, 304 and a redirect without
    a usable target are in no rule, and doubt defers.
    """
    if capture.error is not None:
        name = str(capture.error)
        why = str(capture.memo.get("detail", name)).rstrip(".")  # the fetcher may know more than the name
        how = _HOW.get(capture.error, "gave no complete answer")
        return Gap(protocol, name, capture.url, "connection", f"{capture.url} {how}: {why}.")
    status = capture.status or 0
    if 200 <= status < 300 and not representation.of(capture).is_complete:
        detail = f"{capture.url} announces more bytes than came, or an invalid length (RFC 9112 6.3, 8)."
        return Gap(protocol, str(Failure.TRUNCATED), capture.url, "header content-length", detail)
    if status == 206 or not (200 <= status < 300 or 400 <= status < 500) or status == 429:
        return Gap(protocol, str(status), capture.url, "status", f"{capture.url} answered {status}.")
    return None


def challenges(capture: Capture) -> Iterator[tuple[str, str]]:
    """Yields the header fields, by name and value, that show an answer to be a challenge to visitors or a block."""
    for name, values in _CHALLENGES.items():
        for value in capture.header(name):
            if not values.isdisjoint(re.split(r"[\s,;]+", value.lower())):
                yield name, value.strip()


def refusal(capture: Capture) -> Iterator[Gap]:
    """Yields the gaps of a file that was refused to us, so that we cannot know whether it exists.

    402, a challenge, or an error with a price for crawlers. A plain 401 or 403 is none (RFC 9309 2.3.1.3).
    """
    url, status = capture.url, capture.status or 0
    if 300 <= status < 400:
        return
    if status == 402:
        yield Gap(REFUSED, "402", url, "status", f"{url} was refused: it answered 402, Payment Required.")
    fields = list(challenges(capture))
    if status >= 400:
        known = {name for name, _ in fields}
        more = (name for name in (_FIREWALL, _PRICE) if name not in known)
        fields += ((name, value.strip()) for name in more for value in capture.header(name))
    for name, value in fields:
        detail = f"{url} was refused: it answered {status} with {name}: {quoted(value)}."
        yield Gap(REFUSED, quoted(value) or name, url, f"header {name}", detail)


def is_refusal(gap: Gap) -> bool:
    """Returns whether a gap was left by a refusal: it keeps the name of its protocol where it defers."""
    return gap.protocol == REFUSED and gap.where.startswith(("status", "header "))


class Hop:
    """One URL of a question's redirect chain, with what is known about it.

    ``page`` is the answer that may be kept: the last of the chain, with a 2xx status; nothing if the URL redirects,
    failed, was refused, or was not fetched yet. ``policy`` has the lists that some protocols read by.
    A protocol reads the host and origin from ``url``, and asks ``of_target`` about path and query, so that what is the
    same for all URLs of a host is worked out once (host_rules).
    """

    def __init__(
        self,
        question: Question,
        url: Url,
        captures: Captures,
        page: Capture | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.question, self.url, self.captures, self.page = question, url, captures, page
        self.policy = policy or load()
        self.found: dict[Callable[[Target], Hashable], Hashable] = {}

    @property
    def answer(self) -> Capture | None:
        """Returns what came back from the very URL of this step; nothing if it was not fetched yet."""
        return self.captures.get(self.url.href)

    @cached_property
    def target(self) -> Target:
        """Returns its path and query."""
        return Target(self.url.target)

    def of_target(self, test: Callable[[Target], Answer]) -> Answer:
        """Returns the result of a test on path and query, which must be hashable and depend on the target only.

        It is noted in ``found``: several protocols ask the same.
        """
        if test not in self.found:
            self.found[test] = test(self.target)
        return cast("Answer", self.found[test])

    def look(self, protocol: str, url: str) -> Generator[Gap | Place, None, Capture | None]:
        """Returns the capture of a place, after its redirects, if it has a 2xx status; else None.

        Yields obstacles on the way: the Place that is not known yet, or a Gap. 4xx is an answer, namely that
        the place is empty (RFC 9309 2.3.1.3); 401 and 403 leave a doubt that counts in ``strict``, a refusal one that
        defers always.
        """
        seen: set[str] = set()
        for _ in range(MAX_REDIRECTS + 1):
            seen.add(url)
            capture = self.captures.get(url)
            if capture is None:
                if not self.captures.complete:
                    yield Place(protocol, url)
                return None
            target = redirect(capture)
            if target is None:
                return (yield from self._answer(protocol, capture))
            if target.href in seen:
                break
            url = target.href
        yield Gap(protocol, "too many redirects", url, "header location", f"More than {MAX_REDIRECTS} redirects.")
        return None

    def is_absent(self, url: str) -> bool:
        """Returns whether a place is known to be empty: it answered 4xx, but not 429, after its redirects."""
        for _ in range(MAX_REDIRECTS + 1):
            capture = self.captures.get(url)
            if capture is None:
                return self.captures.complete
            target = redirect(capture)
            if target is None:
                absent = 400 <= (capture.status or 0) < 500 and capture.status != 429
                return absent and not any(refusal(capture))
            url = target.href
        return False

    def _answer(self, protocol: str, capture: Capture) -> Generator[Gap, None, Capture | None]:
        refused = list(refusal(capture))
        gap = failure(capture, protocol)
        if refused or gap:
            yield from refused or ((gap,) if gap else ())
            return None
        if capture.status in (401, 403):
            detail = f"{capture.url} answered {capture.status}: whether it holds a reservation is not known."
            yield Gap(protocol, str(capture.status), capture.url, "status", detail, IN_STRICT)
            return None
        return capture if (capture.status or 0) < 300 else None
