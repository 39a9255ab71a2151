"""The page of the crawlers (measure 1.3(4)): who they are, what they honour, how to opt out; as JSON and feed too."""

from __future__ import annotations

from datetime import UTC
from email.utils import format_datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from forbear.portal.public.feed import feed
from forbear.portal.public.publishing import current, describe_changes
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.errors import Refusal
from forbear.portal.web.limits import client_of
from forbear.portal.web.rendering import render
from forbear.portal.web.validation import EMAIL
from forbear.storage.accounts import cards, mails, subscriptions
from forbear.storage.accounts.cards import Version
from forbear.storage.db.records import now

router = APIRouter()

MOST_VERSIONS = 50
"""Versions on the page of changes and in the feed."""

mail_programs = APIRouter()
"""Routes for mail programs, which have no cookie and no form's token."""

Here = Annotated[Portal, Depends(portal_of)]


class Crawler(BaseModel):
    """A crawler, as sites see it."""

    product_token: str = Field(description="What robots.txt rules are matched with (RFC 9309 2.2.1).")
    user_agent: str
    contact: str
    use: str = Field(description="What the copies are for, in the words of the AIPREF vocabulary.")
    purpose: str
    profile: str = Field(description="How doubt is treated: standard, or strict.")


class HonouredProtocol(BaseModel):
    """A protocol, and what it makes the crawlers do."""

    name: str
    title: str
    specification: str
    version: str
    standing: str
    about: str
    measure: str
    effect: str


class CardPart(BaseModel):
    """A text to copy, and where it goes."""

    goes: str
    text: str


class CardExample(BaseModel):
    """One way to opt out."""

    protocol: str
    parts: list[CardPart]
    note: str


class Card(BaseModel):
    """What is published about the crawlers; ``digest`` is SHA-256 of the rest but for ``published_at`` (RFC 8785)."""

    operator: str
    contact: str
    crawlers: list[Crawler]
    ip_ranges: list[str]
    signature_key: str = Field(description="Thumbprint of the key that signs requests (Web Bot Auth); may be empty.")
    behaviour: list[str]
    policy: str = Field(description="Digest of the policy in force, as in every row of the log.")
    protocols: list[HonouredProtocol]
    overrides: list[dict[str, Any]]
    opt_out: list[CardExample]
    complaints: str
    digest: str
    published_at: str


@router.get("/crawlers", include_in_schema=False)
def page(request: Request, portal: Here) -> HTMLResponse:
    """The card for people."""
    version = current(portal)
    titles = {name: entry.title for name, entry in portal.settings.policy.protocols.items()}
    return render(request, "crawlers.html", version=version, card=version.content, titles=titles)


@router.get("/crawlers/card.json", responses={429: {"model": Refusal}}, tags=["crawlers"])
def card_json(request: Request, response: Response, portal: Here) -> Card:
    """The card for programs."""
    version = current(portal)
    _unless_known(request, version)
    response.headers.update(_validators(version))
    when = version.published_at.isoformat(timespec="seconds")
    return Card(**version.content, digest=version.digest, published_at=when)


@router.get("/crawlers/feed.atom", include_in_schema=False)
def feed_atom(request: Request, portal: Here) -> Response:
    """An entry for every change of the card."""
    version = current(portal)
    _unless_known(request, version)
    with portal.reading() as connection:
        newest = cards.versions(connection, MOST_VERSIONS)
    return Response(feed(portal, newest), media_type="application/atom+xml", headers=_validators(version))


@router.get("/crawlers/changes", include_in_schema=False)
def changes(request: Request, portal: Here) -> HTMLResponse:
    """Every change of the card, newest first."""
    current(portal)
    with portal.reading() as connection:
        newest = cards.versions(connection, MOST_VERSIONS)
    older: list[Version | None] = [*newest[1:], None]
    steps = [(new, describe_changes(old, new) if old else []) for new, old in zip(newest, older, strict=True)]
    return render(request, "changes.html", steps=steps)


def _validators(version: Version) -> dict[str, str]:
    when = version.published_at.astimezone(UTC)
    return {"ETag": f'"{version.id}"', "Last-Modified": format_datetime(when, usegmt=True)}


def _unless_known(request: Request, version: Version) -> None:
    """Raises HTTPException 304 if the client has this version already (RFC 9110 13.1.2)."""
    if f'"{version.id}"' in request.headers.get("if-none-match", ""):
        raise HTTPException(304, headers=_validators(version))


@router.post("/subscriptions", include_in_schema=False)
def subscribe(request: Request, portal: Here, email: Annotated[str, Form(max_length=254)]) -> HTMLResponse:
    """Sends a mail that asks to confirm a subscription to changes."""
    if portal.settings.smtp is None:
        raise HTTPException(404, "This portal sends no mail: take the feed.")
    if not EMAIL.fullmatch(email.strip()):
        raise HTTPException(422, "This is not a mail address: write one like name@example.org.")
    with portal.writing() as connection:
        pending = subscriptions.request(connection, email.strip(), now())
        if pending:
            body = (
                f"Somebody, you perhaps, asked that changes of what {portal.settings.name} publishes about its crawlers"
                " be sent to this address.\n\nIf it was you, open this page and confirm:\n"
                f"{portal.address(f'/subscriptions/{pending.token}')}\n\n"
                "If it was not, do nothing: the address is forgotten within two days.\n"
            )
            mails.queue(connection, pending.email, f"{portal.settings.name}: please confirm", body, now())
    # The same answer for any address, so that nobody finds out who is subscribed.
    return render(request, "message.html", title="Look into your mail", sentence=_LOOK, private=True)


_LOOK = "If this address is not subscribed yet, a mail with a link to confirm is on its way. Till then nothing is sent."


@router.get("/subscriptions/{token}", include_in_schema=False)
def subscription(request: Request, portal: Here, token: str) -> HTMLResponse:
    """The page on which to begin or end: programs that open links in mails change nothing."""
    with portal.reading() as connection:
        found = subscriptions.find(connection, token)
    if found is None:
        raise HTTPException(404, "This link has run out, or the subscription has ended.")
    return render(request, "subscription.html", subscription=found, private=True)


@router.post("/subscriptions/{token}", include_in_schema=False)
def change_subscription(
    request: Request, portal: Here, token: str, wish: Annotated[str, Form(pattern="^(begin|end)$")]
) -> Response:
    """Begins or ends a subscription."""
    with portal.writing() as connection:
        if subscriptions.find(connection, token) is None:
            raise HTTPException(404, "This link has run out, or the subscription has ended.")
        if wish == "begin":
            subscriptions.confirm(connection, token, now())
            return RedirectResponse(f"/subscriptions/{token}", 303)
        subscriptions.end(connection, token)
    sentence = "No more mails are sent, and the address is forgotten."
    return render(request, "message.html", title="It has ended", sentence=sentence, private=True)


@mail_programs.get("/subscriptions/{token}/end", include_in_schema=False)
def to_subscription(token: str) -> Response:
    """Leads to the page on which to end: opening the link alone ends nothing (RFC 8058 3.1)."""
    return RedirectResponse(f"/subscriptions/{quote(token, safe='')}", 303)


@mail_programs.post("/subscriptions/{token}/end", include_in_schema=False)
def end_by_one_click(request: Request, portal: Here, token: str) -> Response:
    """Ends a subscription by one click in a mail program (RFC 8058 3.2); the answer is the same for any link."""
    portal.limits.forms.check(client_of(request))
    with portal.writing() as connection:
        subscriptions.end(connection, token)
    return Response("No more mails are sent.", media_type="text/plain")
