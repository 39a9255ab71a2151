"""Verifies control over a host, and then shows every address of it in the log.

The proof is a token in a file or a meta element on the host over https, or in a TXT record of its zone. It opens the
addresses of that host and all below it for thirty days, under a private link. A token found only over http proves
nothing, since it can be forged on the way. Requests go through the crawler's guard, and neither redirects nor aliases
are followed: control of another host proves nothing about this one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from forbear.crawler.engine.live import Live
from forbear.crawler.limits.workers import TooCostly
from forbear.optout.model import Capture
from forbear.portal.public.check import live
from forbear.portal.public.dns_txt import servers, texts_of
from forbear.portal.public.lookup import MEANINGS
from forbear.portal.public.metas import contents_of
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.rendering import render
from forbear.storage.accounts import domain_verification
from forbear.storage.accounts.domain_verification import OUTCOMES, Control
from forbear.storage.db.hostnames import host_of, read, unicode_of
from forbear.storage.db.records import now

router = APIRouter(include_in_schema=False)

FILE = "/.well-known/forbear-control.txt"
NAME = "forbear-control"
"""The name of the meta element."""

RECORD = "_forbear-control"
"""The label of the TXT record, before the host's name (RFC 8552)."""

A_PAGE = 200
"""Addresses on one page."""

Here = Annotated[Portal, Depends(portal_of)]


class CheckedPlace(NamedTuple):
    """A place without the token, and what was there instead."""

    where: str
    found: str


@router.get("/control")
def ask(request: Request, name: Annotated[str, Query(max_length=2048)] = "") -> HTMLResponse:
    """The form."""
    return render(request, "control_ask.html", asked=name)


@router.post("/control")
def begin(portal: Here, name: Annotated[str, Form(max_length=2048)]) -> Response:
    """A new request, under a private link."""
    host = host_of(read(name))
    with portal.writing() as connection:
        secret, _ = domain_verification.request_proof(connection, host, now())
    return RedirectResponse(f"/control/{secret}", 303)


@router.get("/control/{secret}")
def show(request: Request, portal: Here, secret: str) -> HTMLResponse:
    """What to publish where; once the token was found, the way to the addresses."""
    return _page(request, _control(portal, secret), secret)


@router.post("/control/{secret}")
async def prove(request: Request, portal: Here, secret: str) -> Response:
    """Looks for the token on the site now."""
    control = _control(portal, secret)
    looked: list[CheckedPlace] = []
    async with live(portal, request, control.host) as network:
        found = await _in_zone(portal, control, looked) or await _find(portal, network, control, looked)
    with portal.writing() as connection:
        domain_verification.record_result(connection, control, found, now())
    control = _control(portal, secret)
    if control.proven_at is None:
        return _page(request, control, secret, looked)
    return RedirectResponse(f"/control/{secret}", 303)


async def _in_zone(portal: Portal, control: Control, looked: list[CheckedPlace]) -> str | None:
    """Looks for the token in the DNS: a TXT record of its name with nothing else in it."""
    name = f"{RECORD}.{control.host}"
    records = await texts_of(RECORD, control.host, servers(portal.settings.dns_servers))
    if control.token.encode() in records.texts:
        return name
    looked.append(CheckedPlace(name, records.answer))
    return None


async def _find(portal: Portal, network: Live, control: Control, looked: list[CheckedPlace]) -> str | None:
    """Looks for the token in the file or a meta element of the home page: over https, else over http (weak)."""
    async for capture in _answers(network, control.host):
        if capture.status == 200:
            file = capture.url.endswith(FILE)
            words = [capture.body[:200].decode("utf-8", "replace").strip()]
            tokens = words if file else await _metas(portal, capture)
            if control.token in tokens:
                return capture.url
        looked.append(CheckedPlace(capture.url, _came(capture)))
    return None


def _came(capture: Capture) -> str:
    if capture.status != 200:
        return f"no answer: {capture.error}" if capture.error else str(capture.status)
    return "another text" if capture.url.endswith(FILE) else "no such element"


async def _answers(network: Live, host: str) -> AsyncIterator[Capture]:
    for scheme in ("https", "http"):
        for path in (FILE, "/"):
            yield await network.fetch(f"{scheme}://{host}{path}")


async def _metas(portal: Portal, capture: Capture) -> list[str]:
    """Returns the contents of all meta elements of the name, read by a worker; none if the page is too costly."""
    try:
        return await portal.pool.call(contents_of, capture, NAME)
    except TooCostly:
        return []


def _control(portal: Portal, secret: str) -> Control:
    with portal.reading() as connection:
        control = domain_verification.find(connection, secret, now())
    if control is None:
        raise HTTPException(404, "This link has run out, or was not copied whole: ask for a new one.")
    return control


def _page(request: Request, control: Control, secret: str, looked: list[CheckedPlace] | None = None) -> HTMLResponse:
    return render(
        request, "control.html", control=control, secret=secret, looked=looked, file=FILE, meta=NAME, record=RECORD,
        unicode=unicode_of(control.host), outcomes=OUTCOMES, meanings=MEANINGS, private=True,
    )  # fmt: skip


@router.get("/control/{secret}/{outcome}.csv")
def addresses_csv(portal: Here, secret: str, outcome: str) -> Response:
    """All addresses as CSV (RFC 4180), at most 100,000."""
    control = _proven(portal, secret, outcome)
    with portal.reading() as connection:
        found = domain_verification.addresses(connection, control, outcome, "", 100_000)
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(("url", "verdict", "at", "kept_at"))
    for one in found:
        table.writerow((one.url, one.verdict, one.at.isoformat(), one.kept_at.isoformat() if one.kept_at else ""))
    name = f"{control.host}-{outcome}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(out.getvalue(), media_type="text/csv", headers=headers)


@router.get("/control/{secret}/{outcome}")
def addresses(
    request: Request, portal: Here, secret: str, outcome: str, after: Annotated[str, Query(max_length=8192)] = ""
) -> HTMLResponse:
    """The addresses with one outcome, page by page."""
    control = _proven(portal, secret, outcome)
    with portal.reading() as connection:
        found = domain_verification.addresses(connection, control, outcome, after, A_PAGE + 1)
    base = f"/control/{quote(secret)}/{outcome}"
    following = f"{base}?{urlencode({'after': found[A_PAGE - 1].url})}" if len(found) > A_PAGE else ""
    return render(
        request, "addresses.html", control=control, unicode=unicode_of(control.host), outcome=outcome,
        meaning=MEANINGS[outcome], addresses=found[:A_PAGE], following=following, csv=f"{base}.csv",
        back=f"/control/{quote(secret)}", private=True,
    )  # fmt: skip


def _proven(portal: Portal, secret: str, outcome: str) -> Control:
    control = _control(portal, secret)
    if control.proven_at is None:
        raise HTTPException(
            403, "Addresses are shown once control of the site is proven: by https, or by a record in the DNS."
        )
    if outcome not in OUTCOMES:
        raise HTTPException(404)
    return control
