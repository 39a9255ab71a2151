"""The live check: fetches what a site says now and shows how it is read, with advice for its owner.

It uses the crawler's guard (public addresses only), and neither keeps nor logs what it fetches.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from forbear.crawler.engine.live import Live, survey
from forbear.crawler.fetch.http1 import BadAnswer
from forbear.crawler.fetch.network import Guard, NotPublic
from forbear.crawler.identity import read_infringing, with_complaints
from forbear.crawler.limits.advice import advise_later
from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import TooCostly
from forbear.optout import __version__
from forbear.optout.advice import UNDERSTOOD, Finding, Level
from forbear.optout.captures import Captures
from forbear.optout.model import Capture, Decision, Failure, Profile, Question
from forbear.optout.policy import Policy
from forbear.optout.readers.text import readable, to_utf8
from forbear.optout.readers.url import Url, parse
from forbear.portal.public.answers import OF_OURS, PUBLIC_FILES
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.limits import Limit, client_of, target_of
from forbear.portal.web.rendering import render
from forbear.portal.web.settings import Settings
from forbear.storage.db.hostnames import read, unicode_of
from forbear.storage.log import complaints, lists

router = APIRouter(include_in_schema=False)

SECONDS = 60
"""Seconds for a whole check."""

EACH = 10.0
"""Seconds for each request of a check."""

PORTS = (80, 443)
"""The ports of the web."""

MOST_SHOWN = 64 * 1024
"""Most bytes of a file that are shown."""

Here = Annotated[Portal, Depends(portal_of)]

HEADINGS = {
    Level.ERROR: "What no crawler understands",
    Level.WARNING: "What some crawlers read otherwise, or not at all",
    Level.NOTE: "Good to know",
}


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that was fetched; ``text`` is its content up to MOST_SHOWN bytes, for well-known files only."""

    url: str
    answer: str
    octets: int
    text: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a site says now: the decision in each profile, the files, findings for the owner."""

    url: str
    agent: str
    decisions: dict[Profile, Decision]
    files: tuple[FetchedFile, ...]
    findings: tuple[Finding, ...]

    @property
    def understood(self) -> list[Finding]:
        """The findings on what crawlers understand."""
        return [found for found in self.findings if found.rule == UNDERSTOOD]

    def of(self, level: Level) -> list[Finding]:
        """Returns the faults of a level."""
        return [found for found in self.findings if found.level is level and found.rule != UNDERSTOOD]


class VisitorGuard(Guard):
    """The crawler's guard for one visitor's check: only the ports of the web, and no site beyond its own limit.

    A site is counted with its first request, also if a redirect or a licence leads there: otherwise, many domains could
    send the portal to one site.
    """

    def __init__(self, settings: Settings, sites: Limit, counted: str) -> None:
        """``counted`` is the target of the check, which ``sites`` has counted already."""
        super().__init__(allow_private=settings.allow_private_networks, resolve=settings.resolve)
        self._sites, self._counted = sites, {counted}

    def check_literal(self, url: str | Url, *, by_proxy: bool = False) -> None:
        """Raises NotPublic for other ports too, and BadAnswer for a site over its limit."""
        parts = parse(url) if isinstance(url, str) else url
        if parts.port not in PORTS:
            raise NotPublic(f"port {parts.port} is not checked from here, only {' and '.join(map(str, PORTS))}")
        super().check_literal(parts, by_proxy=by_proxy)
        target = target_of(parts.host)
        if target in self._counted:
            return
        if seconds := self._sites.wait(target):
            sentence = f"{unicode_of(target)} was checked too often: try again in {seconds} s"
            raise BadAnswer(sentence, Failure.UNASKED)
        self._counted.add(target)


@asynccontextmanager
async def live(portal: Portal, request: Request, host: str) -> AsyncIterator[Live]:
    """Opens the network for one visitor's question about a host, for at most SECONDS.

    Raises HTTPException 429 or 503 if there is no place for it, 504 if the time is not enough.
    """
    settings, limits = portal.settings, portal.limits
    client, target = client_of(request), target_of(host)
    limits.checks.check(client)
    limits.sites.check(target)
    guard = VisitorGuard(settings, limits.sites, target)
    try:
        with limits.room.place(client, target):
            async with (
                asyncio.timeout(SECONDS),
                Live(
                    guard,
                    agent=settings.agent,
                    version=__version__,
                    contact=settings.contact,
                    proxy=settings.proxy,
                    signer=settings.signer,
                    timeout=EACH,
                    max_delay=1.0,
                    max_body=4 * 1024 * 1024,
                ) as opened,
            ):
                yield opened
    except TimeoutError:
        raise HTTPException(
            504, f"{unicode_of(host)} did not answer all requests within {SECONDS} seconds: try again later."
        ) from None


@router.get("/check")
def ask_for_check(request: Request, url: Annotated[str, Query(max_length=2048)] = "") -> HTMLResponse:
    """The form; a check needs a click, so that crawlers that follow links start none."""
    return render(request, "check.html", url=url, checked=None, headings=HEADINGS)


@router.post("/check")
async def check(request: Request, portal: Here, url: Annotated[str, Form(max_length=2048)]) -> HTMLResponse:
    """Fetches what the site says now, and shows how it is read."""
    target = read(url)
    settings = portal.settings
    question = Question(target.href, settings.agent, settings.use, settings.profile)
    rules = settings.policy
    reader = BoundedReader(portal.pool, everything=True)
    async with live(portal, request, target.host) as network:
        listed = await asyncio.to_thread(_listed, portal)
        seen = await survey(question, rules, network, reader, known=listed)
    try:
        checked = await _read(question, seen, rules, reader)
    except TooCostly as error:
        raise HTTPException(422, f"What {target.unicode_host} answers is too costly to read: {error}.") from None
    return render(request, "check.html", url=url, checked=checked, headings=HEADINGS, protocols=rules.protocols)


def _listed(portal: Portal) -> list[Capture]:
    """Returns the operator's list with what accepted complaints add to it, and the list of infringing sites."""
    settings = portal.settings
    with portal.reading() as connection:
        own = with_complaints(settings.operator_list, complaints.operator_lines(connection))
        infringing = read_infringing(settings.infringing_list, "--infringing-list", lists.current(connection))
    return [capture for capture in (own, infringing) if capture]


async def _read(question: Question, seen: Sequence[Capture], rules: Policy, reader: BoundedReader) -> CheckResult:
    """Decides and advises, in workers. Raises TooCostly."""
    decisions = {}
    for profile in Profile:
        decision = await reader.decide_later(replace(question, profile=profile), Captures(seen), rules)
        assert isinstance(decision, Decision)
        decisions[profile] = decision
    findings = await advise_later(question, seen, rules, reader)
    files = await asyncio.to_thread(lambda: tuple(_file(one) for one in seen if not one.url.startswith(OF_OURS)))
    public = tuple(found for found in findings if not found.source.startswith(OF_OURS))
    return CheckResult(question.url, question.agent, decisions, files, public)


def _file(capture: Capture) -> FetchedFile:
    answer = f"{capture.error}: {capture.memo.get('detail', '')}" if capture.error else str(capture.status)
    path = capture.url.partition("://")[2].partition("/")[2]
    shown = f"/{path}" in PUBLIC_FILES and capture.status == 200
    text = readable(to_utf8(capture.body[:MOST_SHOWN])) if shown else ""
    return FetchedFile(capture.url, answer, len(capture.body), text)
