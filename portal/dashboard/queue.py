"""The queue of complaints for the legal team (measure 1.5(2)): most urgent first, each step with its reason."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Path, Query, Response
from fastapi.responses import HTMLResponse

from forbear.portal.dashboard.auth import OfComplaints
from forbear.portal.dashboard.filters import Name
from forbear.portal.public.complaints import MEANINGS
from forbear.storage.accounts import mails
from forbear.storage.database import Connection
from forbear.storage.db.records import now
from forbear.storage.log.complaints import (
    NEXT,
    BadStep,
    Complaint,
    ComplaintState,
    advance,
    attachment,
    find,
    open_complaints,
)

router = APIRouter(include_in_schema=False)

MOST_BLOCKS = 500


@router.get("/dashboard/complaints")
def queue(user: OfComplaints, state: Annotated[str, Query(max_length=20)] = "") -> HTMLResponse:
    """The open complaints, most urgent first, or those in one state."""
    try:
        wanted = ComplaintState(state) if state else None
    except ValueError:
        raise HTTPException(
            422, f"{state!r} is not a state: use one of {', '.join(map(str, ComplaintState))}."
        ) from None
    user.record_access("view")
    with user.portal.reading() as connection:
        found = open_complaints(connection, wanted)
    return user.render("queue.html", complaints=found, state=state, states=tuple(ComplaintState), now=now())


@router.get("/dashboard/complaints/{number}")
def one(user: OfComplaints, number: Name) -> HTMLResponse:
    """A complaint with everything that was sent, and the possible steps."""
    with user.portal.reading() as connection:
        complaint = find(connection, number)
    if complaint is None:
        raise HTTPException(404, f"There is no complaint {number}: look at the list.")
    user.record_access("view")
    return _show(user, complaint, {}, "", 200)


def _show(user: OfComplaints, complaint: Complaint, given: dict[str, str], wrong: str, status: int) -> HTMLResponse:
    return user.render(
        "handle.html", status=status, complaint=complaint, steps=NEXT[complaint.state], meanings=MEANINGS, now=now(),
        given=given, wrong=wrong,
    )  # fmt: skip


@router.post("/dashboard/complaints/{number}/steps")
def step(
    user: OfComplaints,
    number: Name,
    state: Annotated[str, Form(max_length=20)] = "",
    reason: Annotated[str, Form(max_length=10_000)] = "",
    blocks: Annotated[str, Form(max_length=100_000)] = "",
    duplicate_of: Annotated[str, Form(max_length=20, pattern=r"^[ -~]*$")] = "",
) -> Response:
    """Takes a step in the name of the account, and mails the person who complained."""
    given = {"state": state, "reason": reason, "blocks": blocks, "duplicate_of": duplicate_of}
    matches = tuple(dict.fromkeys(line.strip() for line in blocks.split("\n") if line.strip()))
    try:
        with user.portal.writing() as connection:
            take(connection, number, ComplaintState(state), user.account.name, reason, matches, duplicate_of.strip())
    except ValueError as error:  # BadStep is one
        with user.portal.reading() as connection:
            complaint = find(connection, number)
        if complaint is None:
            raise HTTPException(404, f"There is no complaint {number}: look at the list.") from None
        message = str(error) if isinstance(error, BadStep) else "Choose the next state."
        return _show(user, complaint, given, message, 422)
    user.record_access("step", f"/dashboard/complaints/{number} {state}")
    return user.go(f"/dashboard/complaints/{number}")


def take(
    connection: Connection,
    number: str,
    state: ComplaintState,
    by: str,
    reason: str,
    blocks: tuple[str, ...],
    duplicate_of: str,
) -> Complaint:
    """Takes a step and queues the mail about it. Raises BadStep."""
    if len(blocks) > MOST_BLOCKS:
        raise BadStep(f"Block at most {MOST_BLOCKS} places: a domain covers everything below it.")
    text = reason.replace("\r\n", "\n").strip()
    done = advance(
        connection, number, state, by=by, reason=text, at=now(), blocks=blocks, duplicate_of=duplicate_of
    )  # fmt: skip
    body = f"Complaint {number}: {done.state}.\n\n{text}\n\nThe link in our first mail shows every step.\n"
    mails.queue(connection, done.notice.email, f"Complaint {number}: {done.state}", body, now())
    return done


@router.get("/dashboard/complaints/{number}/files/{position}")
def file(user: OfComplaints, number: Name, position: Annotated[int, Path(ge=0, le=1000)]) -> Response:
    """An attachment, as a download: the portal never shows it."""
    with user.portal.reading() as connection:
        found = attachment(connection, number, position)
    if found is None:
        raise HTTPException(404, f"{number} has no such file.")
    user.record_access("file")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "no-store",
    }
    return Response(found.content, media_type="application/octet-stream", headers=headers)
