"""Authentication on the dashboard: sessions, scopes and access records (OWASP ASVS 5.0, chapters 6 and 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from forbear.portal.web.access import address_asked, record_access
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.rendering import render
from forbear.storage.accounts import sessions
from forbear.storage.accounts.accounts import Account, Scope
from forbear.storage.accounts.sessions import Session
from forbear.storage.db.records import now
from forbear.storage.reads.columns import Shape
from forbear.storage.reads.exports import FORMS

Answer = TypeVar("Answer", bound=Response)

PAGES = (
    ("/dashboard", "Overview", Scope.LOG),
    ("/dashboard/log", "Log", Scope.LOG),
    ("/dashboard/figures", "Figures", Scope.LOG),
    ("/dashboard/complaints", "Complaints", Scope.COMPLAINTS),
    ("/dashboard/access-log", "Access log", Scope.AUDIT),
)
"""Addresses and names of the pages, and the scope that each needs."""

SIGN_IN = "/dashboard/sign-in"


def _cookie_name(portal: Portal) -> str:
    return "__Host-session" if portal.settings.is_https else "session"


def keep_session(request: Request, response: Response, secret: str) -> None:
    """Sets the cookie with the secret of a session; an empty secret deletes it."""
    portal = portal_of(request)
    name, https = _cookie_name(portal), portal.settings.is_https
    if secret:
        response.set_cookie(name, secret, path="/", secure=https, httponly=True, samesite="lax")
    else:
        response.delete_cookie(name, path="/", secure=https, httponly=True, samesite="lax")


def session_of(request: Request, portal: Portal) -> Session | None:
    """Returns the session of a request, if there is one; renews its cookie when due."""
    secret = request.cookies.get(_cookie_name(portal), "")
    if not secret:
        return None
    at = now()
    with portal.reading() as connection:
        found = sessions.find_session(connection, secret, at)
        due = found is not None and sessions.needs_refresh(connection, secret, at)
    if due:
        with portal.writing() as connection:
            request.state.session_secret = sessions.refresh(connection, secret, at)
    return found


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """The account that is signed in, and its request."""

    request: Request
    portal: Portal
    account: Account

    def may(self, scope: Scope) -> bool:
        """Returns whether they have this scope."""
        return scope in self.account.scopes

    def record_access(self, event: str, what: str = "") -> None:
        """Records what they look at or do, before they see it."""
        record_access(self.portal, self.request, self.account.name, event, what)

    def render(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Renders a page that is not cached, with links to the others."""
        pages = [(address, label) for address, label, scope in PAGES if self.may(scope)]
        page = render(self.request, template, status=status, private=True, account=self.account, pages=pages, **values)
        return self._renewed(page)

    def export(self, name: str, shape: Shape, rows: Iterable[dict[str, Any]]) -> Response:
        """Returns rows as a file of this name, in the format of its extension. Raises HTTPException 404."""
        form = FORMS.get(name.rpartition(".")[2])
        if form is None:
            raise HTTPException(404, f"There is no such export: take {', '.join(FORMS)}.")
        self.record_access("export")
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingResponse(form.write(shape, rows), media_type=form.media_type, headers=headers)

    def go(self, address: str) -> Response:
        """Redirects to another page after a form."""
        return self._renewed(RedirectResponse(address, 303))

    def _renewed(self, response: Answer) -> Answer:
        secret = getattr(self.request.state, "session_secret", "")
        if secret:
            keep_session(self.request, response, secret)
        return response


def signed_in(scope: Scope) -> Callable[..., SignedInUser]:
    """Returns FastAPI's dependency for a session with this scope; others are led to the sign-in, or refused (403)."""

    def check(request: Request, portal: Annotated[Portal, Depends(portal_of)]) -> SignedInUser:
        session = session_of(request, portal)
        if session is None or session.stage != sessions.FULL:
            where = address_asked(request)
            target = f"?next={quote(where)}" if request.method == "GET" and where != "/dashboard" else ""
            raise HTTPException(303, "Sign in first.", {"Location": SIGN_IN + target})
        if scope not in session.account.scopes:
            raise HTTPException(403, f"Your role, {session.account.role}, may not see this: ask an administrator.")
        return SignedInUser(request, portal, session.account)

    return check


OfLog = Annotated[SignedInUser, Depends(signed_in(Scope.LOG))]
OfComplaints = Annotated[SignedInUser, Depends(signed_in(Scope.COMPLAINTS))]
OfAudit = Annotated[SignedInUser, Depends(signed_in(Scope.AUDIT))]
