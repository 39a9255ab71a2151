"""Protects visitors: security header fields, forms that only our pages can send, limited requests.

Content-Security-Policy is level 3 (W3C; no inline script or style, nothing from elsewhere). Forms carry a token that is
the signature of a cookie (OWASP's signed double-submit cookie). A request that the browser marks as coming from another
site (Sec-Fetch-Site, Fetch Metadata) is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator

from fastapi import HTTPException, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forbear.portal.web.context import portal_of
from forbear.portal.web.limits import client_of

MOST_OCTETS = 32 * 1024 * 1024
"""Most bytes of a request's body: a complaint with its attachments."""

FIELD = "form_token"
"""The name of the form field with the token."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_COOKIE = re.compile(r"[0-9a-f]{32}")

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Keeps addresses of private pages here; no-referrer would also remove the Origin from our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}


class SecurityHeaders:
    """Adds the header fields to every answer that lacks them, and limits the body of every request."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if is_https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI 3.0)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        octets = 0

        async def bounded() -> Message:
            nonlocal octets
            message = await receive()
            octets += len(message.get("body", b""))
            if octets > MOST_OCTETS:
                raise HTTPException(413, f"More than {MOST_OCTETS // 1024 // 1024} MiB were sent: remove something.")
            return message

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, bounded, shielded)


async def protect(request: Request) -> AsyncIterator[None]:
    """Counts every request, and accepts a form only from our own pages. Raises HTTPException 403, 413, 429."""
    portal = portal_of(request)
    portal.limits.pages.check(client_of(request))
    if request.method in _SAFE:
        yield
        return
    portal.limits.forms.check(client_of(request))
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "This form was sent from another site: fill it in here.")
    form = await request.form()
    try:
        given, cookie = form.get(FIELD), _cookie(request)
        if not (cookie and isinstance(given, str) and _equal(given, _signature(request, cookie))):
            raise HTTPException(403, "This form is too old, or cookies are off: load its page again and send it again.")
        yield
    finally:
        await form.close()


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def form_token(request: Request) -> str:
    """Returns the token for a form on the page that answers a request; ``keep`` gives the cookie it belongs to."""
    if not hasattr(request.state, "form_cookie"):
        request.state.form_cookie = _cookie(request) or secrets.token_hex(16)
    return _signature(request, request.state.form_cookie)


def keep(request: Request, response: Response) -> None:
    """Sets the cookie of ``form_token``, if a form was made and the client does not have it."""
    cookie = getattr(request.state, "form_cookie", "")
    if cookie and cookie != _cookie(request):
        https = portal_of(request).settings.is_https
        response.set_cookie(_name(request), cookie, path="/", secure=https, httponly=True, samesite="lax")


def _name(request: Request) -> str:
    return "__Host-form" if portal_of(request).settings.is_https else "form"


def _cookie(request: Request) -> str:
    value = request.cookies.get(_name(request), "")
    return value if _COOKIE.fullmatch(value) else ""


def _signature(request: Request, cookie: str) -> str:
    return hmac.new(portal_of(request).settings.secret, cookie.encode(), hashlib.sha256).hexdigest()
