"""The live check: fetches what a site says now and shows how it is read, with advice for its owner.

What it connects to is behind the crawler's own guard (public addresses alone); nothing of it is kept or logged.
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
"""For a check as a whole."""

EACH = 10.0
"""Seconds for each request of it."""

PORTS = (80, 443)
"""Where the web is."""

MOST_SHOWN = 64 * 1024
"""Octets of a file that are shown."""

Here = Annotated[Portal, Depends(portal_of)]

HEADINGS = {
    Level.ERROR: "What no crawler understands",
    Level.WARNING: "What some crawlers read otherwise, or not at all",
    Level.NOTE: "Good to know",
}


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that was fetched; ``text`` is what stands there, cut after MOST_SHOWN octets, of well-known files only."""

    url: str
    came: str
    octets: int
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a site says now: the decision of each profile, the files, what the owner should know."""

    url: str
    agent: str
    decisions: dict[Profile, Decision]
    files: tuple[FetchedFile, ...]
    findings: tuple[Finding, ...]

    @property
    def understood(self) -> list[Finding]:
        """What crawlers understand."""
        return [found for found in self.findings if found.rule == UNDERSTOOD]

    def of(self, level: Level) -> list[Finding]:
        """The faults of a weight."""
        return [found for found in self.findings if found.level is level and found.rule != UNDERSTOOD]


class VisitorGuard(Guard):
    """The crawler's guard for one visitor's check: only the ports of the web, and no site beyond its own limit.

    A site is counted when it is first asked, also where a redirect or a licence leads to it: otherwise any number of
    domains could send the portal to one site.
    """

    def __init__(self, settings: Settings, sites: Limit, counted: str) -> None:
        """Takes the target that the check is for, which the limit ``sites`` has counted."""
        super().__init__(allow_private=settings.allow_private_networks, resolve=settings.resolve)
        self._sites, self._counted = sites, {counted}

    def check_literal(self, url: str | Url, *, by_proxy: bool = False) -> None:
        """Raises NotPublic for any other port too, BadAnswer for a site that was asked too often."""
        parts = parse(url) if isinstance(url, str) else url
        if parts.port not in PORTS:
            raise NotPublic(f"port {parts.port} is not asked from here, only {' and '.join(map(str, PORTS))}")
        super().check_literal(parts, by_proxy=by_proxy)
        target = target_of(parts.host)
        if target in self._counted:
            return
        if seconds := self._sites.wait(target):
            sentence = f"{unicode_of(target)} was asked too often just now: check again in {seconds} s"
            raise BadAnswer(sentence, Failure.UNASKED)
        self._counted.add(target)


@asynccontextmanager
async def live(portal: Portal, request: Request, host: str) -> AsyncIterator[Live]:
    """The network as the crawler sees it, with its name; for one visitor's question about a host, for SECONDS.

    Raises HTTPException 429 or 503 where there is no place for it, 504 where the time is not enough.
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
            504, f"{unicode_of(host)} did not answer all we asked within {SECONDS} seconds: try again later."
        ) from None


@router.get("/check")
def ask_for_check(request: Request, url: Annotated[str, Query(max_length=2048)] = "") -> HTMLResponse:
    """The form: a check is asked for by a person, and not by whoever follows links."""
    return render(request, "check.html", url=url, checked=None, headings=HEADINGS)


@router.post("/check")
async def check(request: Request, portal: Here, url: Annotated[str, Form(max_length=2048)]) -> HTMLResponse:
    """Fetches what the site says now, and shows how it is read."""
    asked = read(url)
    settings = portal.settings
    question = Question(asked.href, settings.agent, settings.use, settings.profile)
    rules = settings.policy
    reader = BoundedReader(portal.pool, everything=True)
    async with live(portal, request, asked.host) as network:
        listed = await asyncio.to_thread(_listed, portal)
        seen = await survey(question, rules, network, reader, known=listed)
    try:
        checked = await _read(question, seen, rules, reader)
    except TooCostly as error:
        raise HTTPException(
            422, f"What {asked.unicode_host} answers takes too much to be explained: {error}."
        ) from None
    return render(request, "check.html", url=url, checked=checked, headings=HEADINGS, protocols=rules.protocols)


def _listed(portal: Portal) -> list[Capture]:
    """The operator's list as it stands now, with what accepted complaints add to it, and that of infringing sites."""
    settings = portal.settings
    with portal.reading() as connection:
        own = with_complaints(settings.operator_list, complaints.operator_lines(connection))
        infringing = read_infringing(settings.infringing_list, "--infringing-list", lists.current(connection))
    return [capture for capture in (own, infringing) if capture]


async def _read(question: Question, seen: Sequence[Capture], rules: Policy, reader: BoundedReader) -> Checked:
    """Decides and advises, in workers. Raises TooCostly."""
    decisions = {}
    for profile in Profile:
        decision = await reader.decide_later(replace(question, profile=profile), Captures(seen), rules)
        assert isinstance(decision, Decision)
        decisions[profile] = decision
    findings = await advise_later(question, seen, rules, reader)
    files = await asyncio.to_thread(lambda: tuple(_file(one) for one in seen if not one.url.startswith(OF_OURS)))
    told = tuple(found for found in findings if not found.source.startswith(OF_OURS))
    return Checked(question.url, question.agent, decisions, files, told)


def _file(capture: Capture) -> FetchedFile:
    came = f"{capture.error}: {capture.memo.get('detail', '')}" if capture.error else str(capture.status)
    path = capture.url.partition("://")[2].partition("/")[2]
    shown = f"/{path}" in PUBLIC_FILES and capture.status == 200
    text = readable(to_utf8(capture.body[:MOST_SHOWN])) if shown else ""
    return FetchedFile(capture.url, came, len(capture.body), text)
