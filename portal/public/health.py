"""Whether the portal works: for load balancers and monitors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse
from sqlalchemy import select

from forbear.portal.web.context import Portal, portal_of

router = APIRouter(include_in_schema=False)


@router.get("/health")
def health(portal: Annotated[Portal, Depends(portal_of)]) -> PlainTextResponse:
    """200 while the database answers, 503 when it does not."""
    with portal.reading() as connection:
        connection.execute(select(1))
    return PlainTextResponse("ok\n")
