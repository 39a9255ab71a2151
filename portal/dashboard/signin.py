"""Sign-in and sign-out: name, password and one-time code; the first time, the QR code for an authenticator app."""

from __future__ import annotations

import io
from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from markupsafe import Markup

from forbear.portal.dashboard.auth import SIGN_IN, OfLog, keep_session, session_of
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.limits import address_of, client_of
from forbear.portal.web.rendering import render
from forbear.storage.accounts import accounts, attempts, sessions
from forbear.storage.accounts.accounts import Account
from forbear.storage.db.records import now

router = APIRouter(include_in_schema=False)

Here = Annotated[Portal, Depends(portal_of)]

REFUSED = "That was not right, or too many tries were wrong: look at name, password and code, or wait a while."
"""One sentence for every reason, so that the answer does not reveal which names exist."""


def safe(target: str) -> str:
    """Returns where to go after signing in: ``target`` if it is a page of the dashboard, else the overview."""
    plain = target.startswith("/dashboard") and target.isprintable() and "\\" not in target
    return target if plain and not target.startswith(SIGN_IN) else "/dashboard"


@router.get(SIGN_IN)
def form(request: Request, portal: Here, next_: Annotated[str, Query(alias="next", max_length=4000)] = "") -> Response:
    """The form; leads on if there is a session already."""
    session = session_of(request, portal)
    if session is not None and session.stage == sessions.FULL:
        return RedirectResponse(safe(next_), 303)
    return _form(request, safe(next_))


def _form(request: Request, target: str, wrong: str = "", status: int = 200) -> HTMLResponse:
    return render(request, "sign_in.html", status=status, private=True, target=target, wrong=wrong)


@router.post(SIGN_IN)
def sign_in(
    request: Request,
    portal: Here,
    name: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=accounts.LONGEST)] = "",
    code: Annotated[str, Form(max_length=20)] = "",
    next_: Annotated[str, Form(alias="next", max_length=4000)] = "",
) -> Response:
    """Checks the credentials, and begins a session with a new secret."""
    portal.limits.checks.check(client_of(request))
    account = _checked(request, portal, name, password, code)
    if account is None:
        return _form(request, safe(next_), REFUSED, 403)
    return begin(request, portal, account, safe(next_))


def _checked(request: Request, portal: Portal, name: str, password: str, code: str) -> Account | None:
    """Returns the account if the credentials are right and no wait is due; logs the attempt."""
    client, at = client_of(request), now()
    with portal.reading() as connection:
        known = accounts.credentials(connection, name)
    with portal.writing() as connection:
        admitted = attempts.begin_attempt(connection, name, client, at)
    checked = accounts.check(known, password, code, at)
    with portal.writing() as connection:
        account = accounts.sign_in(connection, known, checked, password) if admitted else None
        event = "password" if account else "wrong code" if checked.knew_password else "refused"
        if admitted:
            attempts.finish_attempt(
                connection, name, client, at, succeeded=account is not None, knew=checked.knew_password
            )
        else:
            event = "delayed"
        sessions.log_access(connection, name, address_of(request), event, SIGN_IN, at)
    return account


def begin(request: Request, portal: Portal, account: Account, target: str) -> Response:
    """Begins a session for a verified account; one without codes sets them up first."""
    at = now()
    with portal.writing() as connection:
        secret = sessions.begin(connection, account, at)
        if account.enrolled:
            sessions.log_access(connection, account.name, address_of(request), "signed in", SIGN_IN, at)
    response = RedirectResponse(target if account.enrolled else "/dashboard/enrolment", 303)
    keep_session(request, response, secret)
    return response


def _enrolling(request: Request, portal: Here) -> Account:
    session = session_of(request, portal)
    if session is None or session.stage != sessions.ENROL or session.account.enrolled:
        raise HTTPException(303, "Sign in first.", {"Location": SIGN_IN})
    return session.account


Enrolling = Annotated[Account, Depends(_enrolling)]


@router.get("/dashboard/enrolment")
def enrolment(request: Request, portal: Here, account: Enrolling) -> HTMLResponse:
    """Shows the secret of the codes as a QR code and as text."""
    return _enrolment(request, portal, account)


def _enrolment(request: Request, portal: Portal, account: Account, wrong: str = "", status: int = 200) -> HTMLResponse:
    with portal.reading() as connection:
        code_secret = accounts.code_secret(connection, account)
    drawn = io.BytesIO()
    segno.make(accounts.otpauth_uri(code_secret, account.name, f"Forbear, {portal.settings.name}")).save(
        drawn, "svg", scale=5, xmldecl=False, svgns=False, omitsize=True, title="QR code", light="#fff", nl=False
    )
    # The library draws the picture, and escapes what it is given.
    picture = Markup(drawn.getvalue().decode())  # noqa: S704
    secret = " ".join(code_secret[start : start + 4] for start in range(0, len(code_secret), 4))
    return render(
        request, "enrolment.html", status=status, private=True, picture=picture, secret=secret, wrong=wrong,
        uri=accounts.otpauth_uri(code_secret, account.name, portal.settings.name),
    )  # fmt: skip


@router.post("/dashboard/enrolment")
def enrol(
    request: Request, portal: Here, account: Enrolling, code: Annotated[str, Form(max_length=20)] = ""
) -> Response:
    """Accepts the first code, and begins a session with all scopes of the role."""
    portal.limits.checks.check(client_of(request))
    at = now()
    with portal.writing() as connection:
        enrolled = accounts.enrol(connection, account, code, at)
        if enrolled:
            sessions.end(connection, account)
        found = accounts.find(connection, account.name)
    if not (enrolled and found):
        wrong = "This code is not right: wait for the next one, and look at the clock of your device."
        return _enrolment(request, portal, account, wrong, 403)
    return begin(request, portal, found, "/dashboard")


@router.post("/dashboard/sign-out")
def sign_out(request: Request, user: OfLog) -> Response:
    """Ends every session of the account."""
    user.record_access("signed out")
    with user.portal.writing() as connection:
        sessions.end(connection, user.account)
    response = RedirectResponse("/", 303)
    keep_session(request, response, "")
    response.headers["Clear-Site-Data"] = '"cache"'
    return response
