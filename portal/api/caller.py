"""The caller of the JSON API: the account behind a bearer token, what it may do, and how it is answered.

A list is read page by page: ``next`` is the cursor of the following page, null at the end. Every answer has an ETag
(RFC 9110 8.8.3); one that is sent back in If-None-Match is answered with 304 while nothing has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from forbear.portal.web.access import record_access
from forbear.portal.web.context import Portal, portal_of
from forbear.storage.accounts import sessions
from forbear.storage.accounts.accounts import Scope
from forbear.storage.db.records import now

MOST_ROWS = 500

_bearer = HTTPBearer(auto_error=False, description="A token made by `forbear user token`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a token, and their request."""

    request: Request
    portal: Portal
    name: str

    def record_access(self, event: str) -> None:
        """Records what they look at, before they see it."""
        record_access(self.portal, self.request, self.name, event)

    def answer(self, body: BaseModel, status: int = 200) -> Response:
        """Returns the answer with its ETag, or 304 if the client has it."""
        octets = body.model_dump_json().encode("utf-8", "surrogatepass")
        etag = f'"{hashlib.sha256(octets).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        given = [one.strip().removeprefix("W/") for one in self.request.headers.get("if-none-match", "").split(",")]
        if self.request.method == "GET" and (etag in given or "*" in given):
            return Response(status_code=304, headers=headers)
        return Response(octets, status, headers, "application/json")


def allowed(scope: Scope) -> Callable[..., Caller]:
    """Returns FastAPI's dependency for a token with this scope; it raises HTTPException 401, 403."""

    def check(
        request: Request,
        portal: Annotated[Portal, Depends(portal_of)],
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Caller:
        found = None
        if given is not None:
            with portal.reading() as connection:
                found = sessions.find_bearer(connection, given.credentials, now())
        if found is None:
            raise HTTPException(
                401, "Send a token that counts, as Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
            )
        if scope not in found.scopes:
            raise HTTPException(403, f"This token may not do {scope}.")
        return Caller(request, portal, found.name)

    return check


OfLog = Annotated[Caller, Depends(allowed(Scope.LOG))]
OfComplaints = Annotated[Caller, Depends(allowed(Scope.COMPLAINTS))]
OfAudit = Annotated[Caller, Depends(allowed(Scope.AUDIT))]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="How many at most.")]
After = Annotated[str, Query(max_length=200, pattern=r"^[ -~]*$", description="The cursor `next` of the page before.")]
