"""All routes of the JSON API, under ``/api/v1``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from forbear.portal.api import access_log, complaints, decisions, figures
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.errors import Refusal
from forbear.portal.web.limits import client_of

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": about}
    for status, about in (
        (401, "No token, or one that has expired."),
        (403, "The token may not do this."),
        (404, "Not found."),
        (422, "The request is not valid."),
        (429, "Too many requests."),
    )
}
_REFUSALS[304] = {"description": "Nothing has changed since the ETag that was sent."}


def _counted(request: Request, portal: Annotated[Portal, Depends(portal_of)]) -> None:
    portal.limits.pages.check(client_of(request))


router = APIRouter(prefix="/api/v1", tags=["signed in"], responses=_REFUSALS, dependencies=[Depends(_counted)])
for _subject in (decisions, figures, complaints, access_log):
    router.include_router(_subject.router)
