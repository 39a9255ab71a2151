"""Sign-in through an OpenID Connect issuer, if the operator names one; accounts are tied to subjects."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from forbear.portal.dashboard.auth import keep_session
from forbear.portal.dashboard.signin import safe
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.limits import address_of, client_of
from forbear.portal.web.oidc_client import Issuer, NotSignedIn
from forbear.storage.accounts import accounts, sessions
from forbear.storage.db.records import now

router = APIRouter(include_in_schema=False)

CALLBACK = "/dashboard/oidc/callback"
_MINUTES = 10

Here = Annotated[Portal, Depends(portal_of)]


def _issuer(portal: Here) -> Issuer:
    issuer = portal.settings.issuer
    if issuer is None:
        raise HTTPException(404, "Nobody but this portal signs people in: use a password.")
    return issuer


Named = Annotated[Issuer, Depends(_issuer)]


def _cookie(portal: Portal) -> str:
    return "__Host-oidc" if portal.settings.is_https else "oidc"


def _derived(portal: Portal, seed: str, what: str) -> str:
    """Derives state, nonce and verifier from one seed that only this browser's cookie has."""
    return hmac.new(portal.settings.secret, f"{what} {seed}".encode(), hashlib.sha256).hexdigest()


@router.get("/dashboard/oidc")
def begin(
    request: Request, portal: Here, issuer: Named, next_: Annotated[str, Query(alias="next", max_length=2000)] = ""
) -> Response:
    """Redirects to the issuer; the way back is bound to this browser."""
    portal.limits.checks.check(client_of(request))
    seed = secrets.token_hex(16)
    state, nonce, verifier = (_derived(portal, seed, what) for what in ("state", "nonce", "verifier"))
    try:
        address = issuer.begin(portal.address(CALLBACK), state, nonce, verifier)
    except NotSignedIn as error:
        raise HTTPException(502, str(error)) from None
    response = RedirectResponse(address, 303)
    response.set_cookie(
        _cookie(portal), f"{seed} {safe(next_)}", max_age=_MINUTES * 60, path="/", secure=portal.settings.is_https,
        httponly=True, samesite="lax",
    )  # fmt: skip
    return response


@router.get(CALLBACK)
def callback(
    request: Request,
    portal: Here,
    issuer: Named,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
) -> Response:
    """Comes back from the issuer: begins a session for the account that is tied to the subject."""
    portal.limits.checks.check(client_of(request))
    seed, _, target = request.cookies.get(_cookie(portal), "").partition(" ")
    known = _derived(portal, seed, "state")
    if not (seed and code and hmac.compare_digest(state.encode("utf-8", "surrogatepass"), known.encode())):
        raise HTTPException(403, "This sign-in was begun elsewhere, or too long ago: begin it anew.")
    nonce, verifier = (_derived(portal, seed, what) for what in ("nonce", "verifier"))
    address, at = address_of(request), now()
    try:
        subject = issuer.finish(portal.address(CALLBACK), code, nonce, verifier)
    except NotSignedIn as error:
        with portal.writing() as connection:
            sessions.log_access(connection, issuer.url, address, "refused", CALLBACK, at)
        raise HTTPException(403, str(error)) from None
    with portal.writing() as connection:
        account = accounts.by_subject(connection, subject)
        sessions.log_access(connection, account.name if account else subject, address, _said(account), CALLBACK, at)
        secret = sessions.begin(connection, account, at, full=True) if account else ""
    if not secret:
        raise HTTPException(403, f"No account is tied to {subject!r}: an administrator has to make one.")
    response = RedirectResponse(safe(target), 303)
    response.delete_cookie(_cookie(portal), path="/", secure=portal.settings.is_https, httponly=True, samesite="lax")
    keep_session(request, response, secret)
    return response


def _said(account: accounts.Account | None) -> str:
    return "signed in" if account else "refused"
