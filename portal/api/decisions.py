"""Decisions of the log, with their evidence and proofs."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from forbear.portal.api.caller import After, Limit, OfLog
from forbear.portal.dashboard.bundles import send_bundle
from forbear.portal.dashboard.filters import LogFilters, Name, cursor
from forbear.portal.web.errors import Refusal
from forbear.storage.reads import browse

router = APIRouter()


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
def decisions(caller: OfLog, asked: LogFilters, after: After = "", limit: Limit = 100) -> Response:
    """Decisions, newest first, by the same filters as the page."""
    with caller.portal.reading() as connection:
        page = browse.page(connection, asked.wanted(), cursor(after), limit)
    caller.record_access("view")
    rows = [Row.model_validate(row) for row in page.rows]
    return caller.answer(Rows(decisions=rows, next=str(page.following) if page.following else None))


_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {}}, "description": "A zip that can be checked without Forbear."},
    409: {"model": Refusal, "description": "Something is missing, such as a checkpoint that covers the decisions."},
}


@router.get("/bundle", response_class=Response, responses=_ZIP)
def bundle(caller: OfLog, asked: LogFilters) -> Response:
    """Decisions with their evidence, their proofs and a report, as `forbear log --bundle` writes them."""
    caller.record_access("export")
    return send_bundle(caller.portal, asked.wanted(), asked.named(), "log.zip")


class Statement(BaseModel):
    """A statement that was read, whether it decided or not."""

    protocol: str
    preference: str
    quote: str
    source: str
    where: str
    uses: list[str]
    force: str
    note: str


class Gap(BaseModel):
    """Something that could not be read."""

    protocol: str
    quote: str
    source: str
    where: str
    detail: str
    defers: list[str]


class Capture(BaseModel):
    """One request and what came back; `body` is base64, null if the content is gone."""

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
    caller.record_access("view")
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
            statements=[Statement.model_validate(row | {"where": row["place"]}) for row in whole.statements],
            gaps=[Gap.model_validate(row | {"where": row["place"]}) for row in whole.gaps],
            evidence=captures,
            proof=Proof(**whole.proof._asdict()) if whole.proof else None,
        )
    )
