"""Complaints, and the steps that are taken on them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from forbear.portal.api.caller import OfComplaints
from forbear.portal.dashboard import queue
from forbear.portal.dashboard.filters import Name
from forbear.storage.log.complaints import BadStep, Complaint, ComplaintState, find, open_complaints

router = APIRouter()


class ComplaintStep(BaseModel):
    """A step that was taken."""

    at: datetime
    by: str
    state: str
    reason: str


class Attachment(BaseModel):
    """An attached file."""

    position: int
    name: str
    media_type: str
    size: int
    sha256: str


class ComplaintAnswer(BaseModel):
    """A complaint in its present state."""

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
    steps: list[ComplaintStep]
    files: list[Attachment]


class Complaints(BaseModel):
    """Complaints, most urgent first."""

    complaints: list[ComplaintAnswer]


def _complaint(one: Complaint) -> ComplaintAnswer:
    plain = asdict(one)
    return ComplaintAnswer.model_validate(json.loads(json.dumps(plain["notice"] | plain, default=str)))


@router.get("/complaints", response_model=Complaints)
def complaints(caller: OfComplaints, state: ComplaintState | None = None) -> Response:
    """The open complaints, or those in one state; at most 500."""
    with caller.portal.reading() as connection:
        found = open_complaints(connection, state)
    caller.record_access("view")
    return caller.answer(Complaints(complaints=[_complaint(one) for one in found]))


@router.get("/complaints/{number}", response_model=ComplaintAnswer)
def complaint(caller: OfComplaints, number: Name) -> Response:
    """One complaint."""
    with caller.portal.reading() as connection:
        found = find(connection, number)
    if found is None:
        raise HTTPException(404, f"There is no complaint {number}.")
    caller.record_access("view")
    return caller.answer(_complaint(found))


class NextStep(BaseModel):
    """The next step of a complaint."""

    state: ComplaintState
    reason: str = Field(min_length=1, max_length=10_000, description="Why; the person who complained reads it.")
    blocks: list[Annotated[str, Field(max_length=2048)]] = Field([], max_length=queue.MOST_BLOCKS)
    duplicate_of: str = Field("", max_length=20, pattern=r"^[ -~]*$")


@router.post("/complaints/{number}/steps", response_model=ComplaintAnswer)
def step(caller: OfComplaints, number: Name, asked: NextStep) -> Response:
    """Takes a step in the name of the token's owner."""
    caller.record_access("step")
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
