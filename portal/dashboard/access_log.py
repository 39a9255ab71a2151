"""The overview of an account and, for auditors, the access log: who signed in, and who opened or did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from forbear.portal.dashboard.auth import OfAudit, OfLog
from forbear.storage.accounts import accounts, sessions

router = APIRouter(include_in_schema=False)

A_PAGE = 100


@router.get("/dashboard")
def overview(user: OfLog) -> HTMLResponse:
    """Shows the account's own latest entries in the access log, so that its owner notices what they did not do."""
    with user.portal.reading() as connection:
        lately = sessions.access_log(connection, user.account.name, limit=10)
    return user.render("overview.html", lately=lately)


@router.get("/dashboard/access-log")
def access_log(
    user: OfAudit,
    name: Annotated[str, Query(max_length=100)] = "",
    before: Annotated[str, Query(max_length=64, pattern=r"^[ -~]*$")] = "",
) -> HTMLResponse:
    """Lists every sign-in, and every view of what names URLs or people."""
    user.record_access("view")
    with user.portal.reading() as connection:
        found = sessions.access_log(connection, name, before, A_PAGE + 1)
        people = accounts.list_accounts(connection)
    return user.render("access_log.html", entries=found[:A_PAGE], more=len(found) > A_PAGE, who=name, people=people)
