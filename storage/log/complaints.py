"""Complaints by rightsholders (measure 1.5(2)): received, then handled in steps, each with a reason and a deadline.

    received → acknowledged → in review → accepted | rejected | duplicate | unfounded

A complaint that is manifestly unfounded, or repeats a decided one, may be closed from any open state (1.5(2) allows
refusing these); a closed one can be reopened. What an accepted complaint blocks is in the operator's list for as long
as it stays accepted.
"""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, select

from forbear.optout.protocols import operator
from forbear.optout.readers.csv_list import BadList
from forbear.storage.chain import chain, leaves
from forbear.storage.db.portal_tables import complaint_blocks, complaint_files, complaint_steps, complaints
from forbear.storage.db.records import new_id
from forbear.storage.db.types import printable

_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # letters that sound alike on the telephone are left out


class ComplaintState(StrEnum):
    """The state of a complaint."""

    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    IN_REVIEW = "in review"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    UNFOUNDED = "unfounded"


_CLOSED = (ComplaintState.ACCEPTED, ComplaintState.REJECTED, ComplaintState.DUPLICATE, ComplaintState.UNFOUNDED)
_REFUSED = (ComplaintState.DUPLICATE, ComplaintState.UNFOUNDED)

NEXT: Mapping[ComplaintState, tuple[ComplaintState, ...]] = {
    ComplaintState.RECEIVED: (ComplaintState.ACKNOWLEDGED, *_REFUSED),
    ComplaintState.ACKNOWLEDGED: (ComplaintState.IN_REVIEW, *_REFUSED),
    ComplaintState.IN_REVIEW: _CLOSED,
    **dict.fromkeys(_CLOSED, (ComplaintState.IN_REVIEW,)),
}
"""The states that may follow each state."""

WITHIN: Mapping[ComplaintState, timedelta] = {
    ComplaintState.RECEIVED: timedelta(days=3),
    ComplaintState.ACKNOWLEDGED: timedelta(days=7),
    ComplaintState.IN_REVIEW: timedelta(days=30),
}
"""How long each open state may last: our reading of the measure's *within a reasonable time*."""


class BadStep(ValueError):
    """A step that is not possible; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attached file; ``media_type`` is detected from its first bytes."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """What is complained about; ``urls`` are domains or URLs, ``on_behalf`` is empty if for themselves."""

    name: str
    email: str
    on_behalf: str
    works: str
    urls: tuple[str, ...]
    what: str
    good_faith: bool
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A step in handling a complaint: when, by whom, the new state, and why."""

    at: datetime
    by: str
    state: ComplaintState
    reason: str


@dataclass(frozen=True, slots=True)
class AttachmentInfo:
    """An attachment without its content; ``position`` is its number within the complaint."""

    position: int
    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """A complaint as it is now; ``due_at`` is the deadline of its next step, None once it is decided."""

    id: str
    number: str
    received_at: datetime
    state: ComplaintState
    due_at: datetime | None
    notice: Notice
    steps: tuple[Step, ...]
    files: tuple[AttachmentInfo, ...]
    blocks: tuple[str, ...]
    duplicate_of: str | None

    def is_late(self, at: datetime) -> bool:
        """Checks whether its next step is overdue."""
        return self.due_at is not None and self.due_at < at


def receive(connection: Connection, notice: Notice, at: datetime) -> tuple[str, Complaint]:
    """Stores a new complaint; returns it and the secret of its private link, which is not stored."""
    secret = secrets.token_urlsafe(24)
    number = f"{at.astimezone(UTC):%Y}-" + "".join(secrets.choice(_LETTERS) for _ in range(6))
    complaint = {
        "id": new_id(), "number": number, "link": _digest(secret), "received_at": at,
        "state": str(ComplaintState.RECEIVED),
        "due_at": at + WITHIN[ComplaintState.RECEIVED], "name": notice.name, "email": notice.email,
        "on_behalf": notice.on_behalf, "works": notice.works, "urls": list(notice.urls), "what": notice.what,
        "good_faith": notice.good_faith,
    }  # fmt: skip
    connection.execute(complaints.insert(), complaint)
    rows = [leaves.new_leaf("complaint", complaint)]
    for position, file in enumerate(notice.attachments):
        row = {
            "complaint": complaint["id"], "position": position, "name": file.name, "media_type": file.media_type,
            "size": len(file.content), "sha256": hashlib.sha256(file.content).hexdigest(), "content": file.content,
        }  # fmt: skip
        connection.execute(complaint_files.insert(), row)
        rows.append(leaves.new_leaf("attachment", row))
    chain.append(connection, rows)
    _note(connection, str(complaint["id"]), Step(at, notice.name, ComplaintState.RECEIVED, "The complaint was sent."))
    return secret, _read(connection, connection.execute(_one(complaints.c.id == complaint["id"])).one())


def advance(
    connection: Connection,
    number: str,
    state: ComplaintState,
    *,
    by: str,
    reason: str,
    at: datetime,
    blocks: Sequence[str] = (),
    duplicate_of: str = "",
) -> Complaint:
    """Takes a step, in a write transaction. Raises BadStep.

    ``blocks`` are the domains or URL prefixes that an accepted complaint adds to the operator's list. ``duplicate_of``
    is the number of the earlier complaint.
    """
    row = connection.execute(_one(complaints.c.number == number).with_for_update()).one_or_none()
    if row is None:
        raise BadStep(f"There is no complaint {number}: look at the list for its number.")
    before = ComplaintState(row.state)
    if state not in NEXT[before]:
        raise BadStep(f"{number} is {before}, so it cannot become {state}: possible are {', '.join(NEXT[before])}.")
    if not (by.strip() and reason.strip()):
        raise BadStep("Every step has a person and a reason: say both.")
    if bool(blocks) != (state is ComplaintState.ACCEPTED):
        raise BadStep("An accepted complaint names what it blocks, and no other does: a domain, or how URLs begin.")
    if bool(duplicate_of) != (state is ComplaintState.DUPLICATE):
        raise BadStep("A duplicate names the number of the earlier complaint, and nothing else does.")
    matches = list(dict.fromkeys(map(str.strip, blocks)))
    for match in matches:
        _check(number, match, by, at)
    values: dict[str, Any] = {"state": str(state), "due_at": at + WITHIN[state] if state in WITHIN else None}
    values["duplicate_of"] = _earlier(connection, row, duplicate_of) if duplicate_of else None
    connection.execute(complaints.update().where(complaints.c.id == row.id).values(values))
    connection.execute(complaint_blocks.delete().where(complaint_blocks.c.complaint == row.id))
    for match in matches:
        entry = {"complaint": row.id, "match": match, "at": at, "by": by}
        connection.execute(complaint_blocks.insert(), entry)
    _note(connection, row.id, Step(at, by, state, reason), matches, values["duplicate_of"])
    return _read(connection, connection.execute(_one(complaints.c.id == row.id)).one())


def _earlier(connection: Connection, row: Row[Any], number: str) -> str:
    earlier = connection.scalar(select(complaints.c.id).where(complaints.c.number == number))
    if earlier is None or earlier == row.id:
        raise BadStep(f"{number!r} is not another complaint: name the earlier one by its number.")
    return str(earlier)


def _check(number: str, match: str, by: str, at: datetime) -> None:
    try:
        operator.with_lines(b"", [_line(match, by, at, number)])
    except BadList as error:
        raise BadStep(f"{match!r} cannot be blocked: {str(error).partition(': ')[2]}.") from None


def find(connection: Connection, number: str) -> Complaint | None:
    """Finds a complaint by its number."""
    row = connection.execute(_one(complaints.c.number == number)).one_or_none()
    return _read(connection, row) if row else None


def find_by_secret(connection: Connection, secret: str) -> Complaint | None:
    """Finds the complaint of a private link."""
    row = connection.execute(_one(complaints.c.link == _digest(secret))).one_or_none()
    return _read(connection, row) if row else None


def open_complaints(
    connection: Connection, state: ComplaintState | None = None, *, limit: int = 500
) -> list[Complaint]:
    """Returns complaints in a state, or all open ones; what is due first comes first."""
    columns = complaints.c
    wanted = columns.state == str(state) if state else columns.state.in_([str(open_) for open_ in WITHIN])
    rows = connection.execute(_one(wanted).order_by(columns.due_at, columns.received_at).limit(limit)).all()
    return _all(connection, rows)


def attachment(connection: Connection, number: str, position: int) -> Attachment | None:
    """Returns an attachment of a complaint."""
    files = complaint_files.c
    found = select(files.name, files.media_type, files.content).join_from(complaint_files, complaints)
    row = connection.execute(found.where(complaints.c.number == number, files.position == position)).one_or_none()
    return Attachment(*row) if row else None


def revision(connection: Connection) -> int:
    """Returns a number that changes whenever what accepted complaints block may have changed."""
    return connection.scalar(select(func.count()).select_from(complaint_steps)) or 0


def operator_lines(connection: Connection) -> tuple[str, ...]:
    """Returns the lines that accepted complaints add to the operator's list, oldest first."""
    columns = complaint_blocks.c
    accepted = (
        select(columns.match, columns.by, columns.at, complaints.c.number)
        .join_from(complaint_blocks, complaints)
        .where(complaints.c.state == str(ComplaintState.ACCEPTED))
        .order_by(columns.at, complaints.c.number, columns.match)
    )
    return tuple(_line(*row) for row in connection.execute(accepted))


def _line(match: str, by: str, at: datetime, number: str) -> str:
    out = io.StringIO()
    fields = ["block", match, by, f"{at.astimezone(UTC):%Y-%m-%d}", f"complaint {number} accepted", "", ""]
    csv.writer(out, lineterminator="").writerow([" ".join(field.split()) for field in fields])
    return out.getvalue()


def _one(condition: Any) -> Any:
    return select(complaints).where(condition)


def _note(
    connection: Connection, complaint: str, step: Step, blocks: Sequence[str] = (), duplicate_of: str | None = None
) -> None:
    steps = complaint_steps.c
    position = connection.scalar(select(func.count()).select_from(complaint_steps).where(steps.complaint == complaint))
    row = {
        "complaint": complaint, "position": position, "at": step.at, "by": step.by, "state": str(step.state),
        "reason": step.reason, "blocks": [printable(match) for match in blocks] or None, "duplicate_of": duplicate_of,
    }  # fmt: skip
    connection.execute(complaint_steps.insert(), row)
    chain.append(connection, [leaves.new_leaf("step", row)])


def _read(connection: Connection, row: Row[Any]) -> Complaint:
    return _all(connection, [row])[0]


def _all(connection: Connection, rows: Sequence[Row[Any]]) -> list[Complaint]:
    """Builds complaints with all that belongs to them, in as many statements as for one."""
    steps, files, blocks = complaint_steps.c, complaint_files.c, complaint_blocks.c
    ids = [row.id for row in rows]
    taken = _of(connection, ids, (steps.complaint, steps.at, steps.by, steps.state, steps.reason), steps.position)
    about = (files.complaint, files.position, files.name, files.media_type, files.size, files.sha256)
    sent = _of(connection, ids, about, files.position)
    matches = _of(connection, ids, (blocks.complaint, blocks.match), blocks.match)
    earlier = [row.duplicate_of for row in rows if row.duplicate_of]
    named = select(complaints.c.id, complaints.c.number).where(complaints.c.id.in_(earlier))
    numbers = {row.id: row.number for row in connection.execute(named)} if earlier else {}
    return [
        Complaint(
            id=row.id,
            number=row.number,
            received_at=row.received_at,
            state=ComplaintState(row.state),
            due_at=row.due_at,
            notice=Notice(row.name, row.email, row.on_behalf, row.works, tuple(row.urls), row.what, row.good_faith),
            steps=tuple(Step(at, by, ComplaintState(state), reason) for at, by, state, reason in taken.get(row.id, ())),
            files=tuple(AttachmentInfo(*file) for file in sent.get(row.id, ())),
            blocks=tuple(match for (match,) in matches.get(row.id, ())),
            duplicate_of=numbers.get(row.duplicate_of),
        )
        for row in rows
    ]


def _of(
    connection: Connection, ids: Sequence[str], columns: Sequence[Any], by: Any
) -> dict[str, list[tuple[Any, ...]]]:
    """Returns the rows of each complaint, by the id in their first column, in order of another."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for complaint, *values in connection.execute(select(*columns).where(columns[0].in_(ids)).order_by(by)):
        found.setdefault(complaint, []).append(tuple(values))
    return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
