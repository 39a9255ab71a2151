"""The start page and the look-up: what happened to a domain, as a page, as JSON and as a badge."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from forbear.optout.readers.url import parse
from forbear.portal.public.answers import PUBLIC_FILES, PublicAnswer, public_answer
from forbear.portal.public.badge import badge
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.errors import Refusal
from forbear.portal.web.highlight import as_text, marked
from forbear.portal.web.rendering import render
from forbear.storage.database import Connection
from forbear.storage.log.evidence import newest

router = APIRouter()

LONGEST = 2048
"""Most characters of a name or URL."""

Here = Annotated[Portal, Depends(portal_of)]
Name = Annotated[str, Query(max_length=LONGEST, description="A domain, a host or a URL, in any spelling.")]

MOST_FILES = 6
"""Most files shown with their words marked."""

MEANINGS = {
    "kept": "A copy was kept",
    "excluded": "Reserved, so it is not used",
    "deferred": "Not known yet; nothing is kept until it is",
    "allowed": "Nothing reserved it",
}


@router.get("/", include_in_schema=False)
def start(request: Request) -> HTMLResponse:
    """The start page."""
    return render(request, "start.html")


@router.get("/lookup", include_in_schema=False)
def look_up(request: Request, portal: Here, name: Name = "") -> HTMLResponse:
    """What happened to a domain."""
    if not name.strip():
        return render(request, "start.html")
    with portal.reading() as connection:
        answer = public_answer(connection, name)
        files = _deciding_files(connection, answer)
    return render(
        request,
        "lookup.html",
        answer=answer,
        places=files,
        asked=name,
        meanings=MEANINGS,
        protocols=portal.settings.policy.protocols,
        badge_path=f"/badge/{quote(answer.name)}.svg",
    )


def _deciding_files(connection: Connection, answer: PublicAnswer) -> dict[str, Markup]:
    """Returns the well-known files that the words are from, by address, with the words marked."""
    quotes: dict[str, set[str]] = {}
    for words in answer.words:
        if words.source and not words.is_failure and parse(words.source).target in PUBLIC_FILES:
            quotes.setdefault(words.source, set()).add(words.quote)
    found = {source: newest(connection, source) for source in list(quotes)[:MOST_FILES]}
    shown = {source: marked(as_text(capture.body), quotes[source]) for source, capture in found.items() if capture}
    return {source: text for source, text in shown.items() if "<mark>" in text}


@router.get("/api/lookup", responses={422: {"model": Refusal}, 429: {"model": Refusal}}, tags=["rightsholders"])
def lookup_json(portal: Here, name: Annotated[str, Query(min_length=1, max_length=LONGEST)]) -> PublicAnswer:
    """What happened to a domain: figures and words. The address of a page is only given with proof of control."""
    with portal.reading() as connection:
        return public_answer(connection, name)


@router.get(
    "/badge/{name}.svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}, 422: {"model": Refusal}, 429: {"model": Refusal}},
    tags=["rightsholders"],
)
def badge_of(portal: Here, name: str) -> Response:
    """The answer as a small picture that a site can show."""
    with portal.reading() as connection:
        answer = public_answer(connection, name)
    since = answer.since if answer.answer == "excluded" else None
    text = f"excluded since {since:%Y-%m-%d}" if since else answer.answer if answer.is_seen else "not collected"
    headers = {"Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "max-age=3600"}
    return Response(badge("AI training", text, answer.answer), media_type="image/svg+xml", headers=headers)
