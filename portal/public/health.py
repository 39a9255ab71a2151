"""The health check for load balancers and monitors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from forbear.portal.web.context import Portal, portal_of
from forbear.storage.database import ping

router = APIRouter(include_in_schema=False)


@router.get("/health")
def health(portal: Annotated[Portal, Depends(portal_of)]) -> PlainTextResponse:
    """200 while the database answers, 503 otherwise."""
    with portal.reading() as connection:
        ping(connection)
    return PlainTextResponse("ok\n")
