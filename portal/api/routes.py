"""The JSON API for whoever has a token (``forbear user token``): the log, its decisions, complaints, access log.

A list is read page by page: ``next`` is the cursor of the following page, null at the end. Every answer has an ETag
(RFC 9110 8.8.3); one that is sent back in If-None-Match is answered with 304 while nothing has changed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from forbear.portal.dashboard import queue
from forbear.portal.dashboard.bundles import bundled
from forbear.portal.dashboard.figures import PLOTS
from forbear.portal.dashboard.filters import Asked, Name, cursor
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.errors import Refusal
from forbear.portal.web.limits import address_of, client_of
from forbear.storage.accounts import sessions
from forbear.storage.accounts.accounts import Scope
from forbear.storage.db.records import now
from forbear.storage.log.complaints import BadStep, Complaint, ComplaintState, find, open_complaints
from forbear.storage.reads import browse

MOST_ROWS = 500

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": about}
    for status, about in (
        (401, "No token, or one that has ended."),
        (403, "The token may not do this."),
        (404, "There is no such thing."),
        (422, "What was asked is not right."),
        (429, "Too many requests."),
    )
}
_REFUSALS[304] = {"description": "Nothing has changed since the ETag that was sent."}


def _counted(request: Request, portal: Annotated[Portal, Depends(portal_of)]) -> None:
    portal.limits.pages.check(client_of(request))


router = APIRouter(prefix="/api/v1", tags=["signed in"], responses=_REFUSALS, dependencies=[Depends(_counted)])

_bearer = HTTPBearer(auto_error=False, description="A token made by `forbear user token`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and where."""

    request: Request
    portal: Portal
    name: str

    def note(self, event: str) -> None:
        """Writes down what is looked at, before it is told."""
        query = self.request.url.query
        where = f"{self.request.url.path}?{query}" if query else self.request.url.path
        with self.portal.writing() as connection:
            sessions.log_access(connection, self.name, address_of(self.request), event, where, now())

    def answer(self, body: BaseModel, status: int = 200) -> Response:
        """The answer with its ETag, or 304 where the client has it."""
        octets = body.model_dump_json().encode("utf-8", "surrogatepass")
        etag = f'"{hashlib.sha256(octets).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        given = [one.strip().removeprefix("W/") for one in self.request.headers.get("if-none-match", "").split(",")]
        if self.request.method == "GET" and (etag in given or "*" in given):
            return Response(status_code=304, headers=headers)
        return Response(octets, status, headers, "application/json")


def allowed(scope: Scope) -> Callable[..., Caller]:
    """FastAPI's dependency: whoever has a token that may do this; raises HTTPException 401, 403."""

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


class QuotedWords(BaseModel):
    """Words that decided."""

    protocol: str
    preference: str
    quote: str = Field(description="The site's own words, or the failure's name.")
    source: str
    where: str
    measure: str


class Row(BaseModel):
    """A decision of the log, as `forbear log --format jsonl` prints it."""

    id: str
    at: datetime
    crawl: str
    url: str
    host: str
    domain: str
    verdict: Literal["allowed", "excluded", "deferred"]
    reasons: list[QuotedWords]
    stage: Literal["request", "page"]
    status: int | None
    content_sha256: str | None
    bytes: int | None
    engine: str
    policy: str
    verdict_standard: str
    verdict_strict: str


class Rows(BaseModel):
    """A page of decisions, newest first; one that is not full may be followed by others."""

    decisions: list[Row]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


@router.get("/decisions", response_model=Rows)
def decisions(caller: OfLog, asked: Asked, after: After = "", limit: Limit = 100) -> Response:
    """Decisions, newest first, by the same filters as the page."""
    with caller.portal.reading() as connection:
        page = browse.page(connection, asked.wanted(), cursor(after), limit)
    caller.note("view")
    rows = [Row.model_validate(row) for row in page.rows]
    return caller.answer(Rows(decisions=rows, next=str(page.following) if page.following else None))


_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {}}, "description": "A zip that is checked without Forbear."},
    409: {"model": Refusal, "description": "Something is missing, such as a checkpoint that covers the decisions."},
}


@router.get("/bundle", response_class=Response, responses=_ZIP)
def bundle(caller: OfLog, asked: Asked) -> Response:
    """Decisions with their evidence, their proofs and a report, as `forbear log --bundle` writes them."""
    caller.note("export")
    return bundled(caller.portal, asked.wanted(), asked.told(), "log.zip")


class FigureRow(BaseModel):
    """A heading, and a number for each label."""

    heading: str
    numbers: list[int]


class OneFigure(BaseModel):
    """The numbers of a plot."""

    title: str
    about: str
    labels: list[str]
    rows: list[FigureRow]


class Figures(BaseModel):
    """The numbers of all plots, by name."""

    figures: dict[str, OneFigure]


@router.get("/figures", response_model=Figures)
def all_figures(caller: OfLog) -> Response:
    """The numbers of all plots: exclusions over time, adoption, what was deferred and why, domains, crawls."""
    caller.note("view")
    with caller.portal.reading() as connection:
        read = {name: plot.read(connection) for name, plot in PLOTS.items()}
    told = {
        name: OneFigure(
            title=PLOTS[name].title,
            about=PLOTS[name].about,
            labels=list(figure.labels),
            rows=[FigureRow(heading=heading, numbers=list(numbers)) for heading, numbers in figure.rows],
        )
        for name, figure in read.items()
    }
    return caller.answer(Figures(figures=told))


class Statement(BaseModel):
    """What was read, whether it decided or not."""

    protocol: str
    preference: str
    quote: str
    source: str
    where: str
    uses: list[str]
    force: str
    note: str


class Gap(BaseModel):
    """What could not be read."""

    protocol: str
    quote: str
    source: str
    where: str
    detail: str
    defers: list[str]


class Capture(BaseModel):
    """One request and what came back; `body` is base64, null where the content is gone."""

    id: str
    url: str
    fetched_at: datetime
    status: int | None
    error: str | None
    headers: list[tuple[str, str]]
    body: str | None
    whole: bool = Field(description="False: only what was quoted is stored.")
    size: int
    sha256: str


class Proof(BaseModel):
    """Inclusion in the log's Merkle tree (RFC 9162 2.1.3); hashes in hexadecimal."""

    position: int
    size: int
    leaf: str
    path: list[str]
    root: str
    holds: bool
    record: str
    checkpoint: str | None


class Decision(BaseModel):
    """A decision with everything that it rests on."""

    decision: Row
    canonical: str
    profile: str
    use: str
    agent: str
    statements: list[Statement]
    gaps: list[Gap]
    evidence: list[Capture]
    proof: Proof | None


@router.get("/decisions/{id_}", response_model=Decision)
def decision(caller: OfLog, id_: Name) -> Response:
    """One decision with its evidence and its proof of inclusion."""
    with caller.portal.reading() as connection:
        whole = browse.decision(connection, id_)
    if whole is None:
        raise HTTPException(404, "There is no such decision.")
    caller.note("view")
    it = whole.decision
    captures = [
        Capture(
            **asdict(one) | {"body": base64.b64encode(one.body).decode() if one.body is not None else None}
        )
        for one in whole.evidence
    ]  # fmt: skip
    return caller.answer(
        Decision(
            decision=Row.model_validate(it | {"reasons": whole.reasons}),
            canonical=it["canonical"],
            profile=it["profile"],
            use=it["use"],
            agent=it["agent"],
            statements=[Statement.model_validate(said | {"where": said["place"]}) for said in whole.statements],
            gaps=[Gap.model_validate(said | {"where": said["place"]}) for said in whole.gaps],
            evidence=captures,
            proof=Proof(**whole.proof._asdict()) if whole.proof else None,
        )
    )


class Taken(BaseModel):
    """A step that was taken."""

    at: datetime
    by: str
    state: str
    reason: str


class Attached(BaseModel):
    """A file that was sent along."""

    position: int
    name: str
    media_type: str
    size: int
    sha256: str


class OneComplaint(BaseModel):
    """A complaint as it stands."""

    number: str
    state: str
    received_at: datetime
    due_at: datetime | None
    name: str
    email: str
    on_behalf: str
    works: str
    urls: list[str]
    what: str
    blocks: list[str]
    duplicate_of: str | None
    steps: list[Taken]
    files: list[Attached]


class Complaints(BaseModel):
    """Complaints, the most urgent first."""

    complaints: list[OneComplaint]


def _complaint(one: Complaint) -> OneComplaint:
    plain = asdict(one)
    return OneComplaint.model_validate(json.loads(json.dumps(plain["notice"] | plain, default=str)))


@router.get("/complaints", response_model=Complaints)
def complaints(caller: OfComplaints, state: ComplaintState | None = None) -> Response:
    """What waits for its next step, or those in one state; 500 at most."""
    with caller.portal.reading() as connection:
        found = open_complaints(connection, state)
    caller.note("view")
    return caller.answer(Complaints(complaints=[_complaint(one) for one in found]))


@router.get("/complaints/{number}", response_model=OneComplaint)
def complaint(caller: OfComplaints, number: Name) -> Response:
    """One complaint."""
    with caller.portal.reading() as connection:
        found = find(connection, number)
    if found is None:
        raise HTTPException(404, f"There is no complaint {number}.")
    caller.note("view")
    return caller.answer(_complaint(found))


class NextStep(BaseModel):
    """The next step of a complaint."""

    state: ComplaintState
    reason: str = Field(min_length=1, max_length=10_000, description="Why; whoever complained reads it.")
    blocks: list[Annotated[str, Field(max_length=2048)]] = Field([], max_length=queue.MOST_BLOCKS)
    duplicate_of: str = Field("", max_length=20, pattern=r"^[ -~]*$")


@router.post("/complaints/{number}/steps", response_model=OneComplaint)
def step(caller: OfComplaints, number: Name, asked: NextStep) -> Response:
    """Takes a step in the name of the token's owner."""
    caller.note("step")
    try:
        with caller.portal.writing() as connection:
            done = queue.take(
                connection, number, asked.state, caller.name, asked.reason, tuple(asked.blocks), asked.duplicate_of
            )
    except BadStep as error:
        with caller.portal.reading() as connection:
            missing = find(connection, number) is None
        raise HTTPException(404 if missing else 422, str(error)) from None
    return caller.answer(_complaint(done))


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
    caller.note("view")
    shown = [AccessEntry.model_validate(one) for one in found[:limit]]
    return caller.answer(AccessLog(entries=shown, next=shown[-1].id if len(found) > limit else None))
