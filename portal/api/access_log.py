"""The access log: who signed in, and who looked at what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from forbear.portal.api.caller import After, Limit, OfAudit
from forbear.storage.accounts import sessions

router = APIRouter()


class AccessEntry(BaseModel):
    """A sign-in or a view."""

    id: str
    at: datetime
    name: str
    client: str
    event: str
    what: str


class AccessLog(BaseModel):
    """A page of the access log, newest first."""

    entries: list[AccessEntry]
    next: str | None


@router.get("/access-log", response_model=AccessLog)
def access_log(
    caller: OfAudit, name: Annotated[str, Query(max_length=100)] = "", after: After = "", limit: Limit = 100
) -> Response:
    """Lists every sign-in, and every view of what names URLs or people."""
    with caller.portal.reading() as connection:
        found = sessions.access_log(connection, name, after, limit + 1)
    caller.record_access("view")
    shown = [AccessEntry.model_validate(one) for one in found[:limit]]
    return caller.answer(AccessLog(entries=shown, next=shown[-1].id if len(found) > limit else None))
