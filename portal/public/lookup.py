"""The start page and the look-up: what happened to a domain, as a page, as JSON and as a badge."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from pydantic import BaseModel, Field

from forbear.optout.readers.url import parse
from forbear.portal.public.answers import NEVER_SEEN, PUBLIC_FILES, PublicAnswer, tell
from forbear.portal.public.badge import badge
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.errors import Refusal
from forbear.portal.web.highlight import as_text, marked
from forbear.portal.web.rendering import render
from forbear.storage.database import Connection
from forbear.storage.log.evidence import newest

router = APIRouter()

LONGEST = 2048
"""Characters of what is asked."""

Here = Annotated[Portal, Depends(portal_of)]
Asked = Annotated[str, Query(max_length=LONGEST, description="A domain, a host or a URL, in any spelling.")]

MOST_FILES = 6
"""Files that are shown with their words marked."""

MEANINGS = {
    "kept": "A copy was kept",
    "excluded": "Reserved, so it is not used",
    "deferred": "Not known yet; nothing is kept until it is",
    "allowed": "Nothing reserved it",
}


@router.get("/", include_in_schema=False)
def start(request: Request) -> HTMLResponse:
    """The ways in."""
    return render(request, "start.html")


@router.get("/lookup", include_in_schema=False)
def look_up(request: Request, portal: Here, name: Asked = "") -> HTMLResponse:
    """What is known of a domain."""
    if not name.strip():
        return render(request, "start.html")
    with portal.reading() as connection:
        told = tell(connection, name)
        places = _places(connection, told)
    return render(
        request,
        "lookup.html",
        told=told,
        places=places,
        asked=name,
        meanings=MEANINGS,
        protocols=portal.settings.policy.protocols,
        badge_path=f"/badge/{quote(told.name)}.svg",
    )


def _places(connection: Connection, told: PublicAnswer) -> dict[str, Markup]:
    """The files that the words stand in, with the words marked, by address; those that are there and open to all."""
    quotes: dict[str, set[str]] = {}
    for said in told.words:
        if said.source and not said.is_failure and parse(said.source).target in PUBLIC_FILES:
            quotes.setdefault(said.source, set()).add(said.quote)
    found = {source: newest(connection, source) for source in list(quotes)[:MOST_FILES]}
    shown = {source: marked(as_text(capture.body), quotes[source]) for source, capture in found.items() if capture}
    return {source: text for source, text in shown.items() if "<mark>" in text}


class WordsAnswer(BaseModel):
    """Words that decided, and where they stand; a page is named by its host alone."""

    verdict: str
    protocol: str
    quote: str
    source: str
    where: str
    measure: str
    first_at: datetime
    last_at: datetime
    decisions: int


class LookupAnswer(BaseModel):
    """What the crawls of this operator did with a host and all below it."""

    name: str = Field(description="The host in A-labels.")
    unicode: str = Field(description="The host as people write it.")
    is_domain: bool = Field(description="Whether it is a registrable domain (Public Suffix List).")
    answer: str = Field(description="kept, excluded, deferred, allowed; or never seen: no crawl ever asked for it.")
    first_seen: datetime | None
    last_seen: datetime | None
    since: datetime | None = Field(description="Since when something is excluded.")
    urls: dict[str, int] = Field(description="How many URLs were kept, and how many stand excluded, deferred, allowed.")
    words: list[WordsAnswer]


@router.get("/api/lookup", responses={422: {"model": Refusal}, 429: {"model": Refusal}}, tags=["rightsholders"])
def lookup_json(portal: Here, name: Annotated[str, Query(min_length=1, max_length=LONGEST)]) -> LookupAnswer:
    """What happened to a domain: figures and words. No address of a page is told without proof of control."""
    with portal.reading() as connection:
        told = tell(connection, name)
    return LookupAnswer(**_as_json(told))


def _as_json(told: PublicAnswer) -> dict[str, Any]:
    return {**asdict(told), "urls": told.urls or {}}


@router.get(
    "/badge/{name}.svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}, 422: {"model": Refusal}, 429: {"model": Refusal}},
    tags=["rightsholders"],
)
def badge_of(portal: Here, name: str) -> Response:
    """The answer as a small picture that a site can show."""
    with portal.reading() as connection:
        told = tell(connection, name)
    said = f"excluded since {told.since:%Y-%m-%d}" if told.answer == "excluded" and told.since else told.answer
    if told.answer == NEVER_SEEN:
        said = "not collected"
    headers = {"Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "max-age=3600"}
    return Response(badge("AI training", said, told.answer), media_type="image/svg+xml", headers=headers)
