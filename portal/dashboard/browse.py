"""The log on the dashboard: filters in the URL, saved queries, exports, and the page of a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Form, HTTPException, Query, Response
from fastapi.responses import HTMLResponse

from forbear.optout.model import Stage, Verdict
from forbear.portal.dashboard.auth import OfLog, SignedInUser
from forbear.portal.dashboard.bundles import send_bundle
from forbear.portal.dashboard.filters import Filters, LogFilters, Name, cursor
from forbear.portal.web.highlight import as_text, marked
from forbear.storage.accounts import sessions
from forbear.storage.db.records import now
from forbear.storage.reads import browse
from forbear.storage.reads.browse import Evidence
from forbear.storage.reads.columns import LOG
from forbear.storage.reads.exports import FORMS
from forbear.storage.reads.queries import Filter, log

router = APIRouter(include_in_schema=False)

A_PAGE = 50
MOST_QUERIES = 100
"""Saved queries of one account."""

MEASURES = ("1.2(1)(a)", "1.2(1)(b)", "1.3(1)(a)", "1.3(1)(b)", "1.5")


@router.get("/dashboard/log")
def view(user: OfLog, asked: LogFilters, after: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """Decisions, newest first."""
    user.record_access("view")
    with user.portal.reading() as connection:
        page = browse.page(connection, asked.wanted(), cursor(after), A_PAGE)
        crawls = browse.newest_crawls(connection)
        saved = sessions.queries(connection, user.account)
    following = asked.query(after=str(page.following)) if page.following else ""
    return user.render(
        "log.html", rows=page.rows, looked=page.looked, asked=asked, query=asked.query(), following=following,
        is_first=not after, saved=saved, crawls=crawls, protocols=user.portal.settings.policy.protocols,
        measures=MEASURES, verdicts=tuple(Verdict), stages=tuple(Stage), forms=FORMS,
    )  # fmt: skip


@router.get("/dashboard/log.zip")
def bundle(user: OfLog, asked: LogFilters) -> Response:
    """The decisions of a view as a bundle, which can be checked without Forbear."""
    user.record_access("export")
    return send_bundle(user.portal, asked.wanted(), asked.named(), "log.zip")


@router.get("/dashboard/log.{form}")
def export(user: OfLog, asked: LogFilters, form: str) -> Response:
    """The decisions of a view as a file, newest last."""
    wanted = asked.wanted()
    with user.portal.reading() as connection:
        browse.page(connection, wanted, None, 1)  # raises before the file begins
    return user.export(f"log.{form}", LOG, _rows(user, wanted))


def _rows(user: SignedInUser, wanted: Filter) -> Iterator[dict[str, object]]:
    with user.portal.reading() as connection:
        yield from log(connection, wanted)


@router.post("/dashboard/queries")
def save(
    user: OfLog,
    query: Annotated[str, Form(max_length=4000)] = "",
    label: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Saves the filters of a view under a name."""
    asked = Filters.model_validate({name: value for name, value in parse_qsl(query) if name in Filters.model_fields})
    asked.wanted()
    name = label.strip()
    if not name:
        raise HTTPException(422, "Give the query a name.")
    with user.portal.writing() as connection:
        if len(sessions.queries(connection, user.account)) >= MOST_QUERIES:
            raise HTTPException(422, f"There are {MOST_QUERIES} saved queries: remove one first.")
        sessions.save_query(connection, user.account, name, asked.query(), now())
    return user.go(f"/dashboard/log?{asked.query()}")


@router.post("/dashboard/queries/{query}/remove")
def remove(user: OfLog, query: Name) -> Response:
    """Removes a saved query."""
    with user.portal.writing() as connection:
        sessions.forget_query(connection, user.account, query)
    return user.go("/dashboard/log")


@router.get("/dashboard/decisions/{id_}.zip")
def decision_bundle(user: OfLog, id_: Name) -> Response:
    """One decision as a bundle, which can be checked without Forbear."""
    user.record_access("export")
    return send_bundle(user.portal, Filter(decision=id_), [("decision", id_)], "decision.zip")


@router.get("/dashboard/decisions/{id_}")
def decision(user: OfLog, id_: Name) -> HTMLResponse:
    """One decision, with everything that it rests on."""
    with user.portal.reading() as connection:
        whole = browse.decision(connection, id_)
    if whole is None:
        raise HTTPException(404, "There is no such decision: look for it in the log.")
    user.record_access("view")
    quotes: dict[str, list[str]] = {}
    for words in (*whole.reasons, *whole.statements, *whole.gaps):
        quotes.setdefault(words["source"], []).append(words["quote"])
    return user.render(
        "decision.html", whole=whole, protocols=user.portal.settings.policy.protocols,
        shown={one.id: _shown(one, quotes.get(one.url, [])) for one in whole.evidence},
        decisive={(words["protocol"], words["quote"], words["source"]) for words in whole.reasons},
    )  # fmt: skip


def _shown(one: Evidence, quotes: list[str]) -> dict[str, object]:
    """Returns header fields and content of a capture as text, with quotations marked."""
    values = [(name, marked(value, quotes)) for name, value in one.headers]
    return {"headers": values, "body": marked(as_text(one.body), quotes) if one.body else None}
