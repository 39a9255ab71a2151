"""Checks that mutable rows (complaint state, list entries) agree with the events in the chain.

Rows of the chain never change. The state of a complaint, what it blocks, how long a site is listed and who accepted it
do change, and each change is recorded as a row of its own; here the two are compared.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, func, select

from forbear.storage.db.portal_tables import complaint_blocks, complaint_files, complaint_steps, complaints
from forbear.storage.db.schema import events, list_entries, list_sources
from forbear.storage.db.types import iso_utc

LET_IN = "listing let in"
"""The event of a person who accepts entries that were held back."""

ENDED = "listing ended"
"""The event of an issue that no longer names entries."""

Difference = tuple[str, str, str]
"""Kind and id of a row, and a sentence."""


def differences(connection: Connection) -> Iterator[Difference]:
    """Yields the rows that do not agree with the chain."""
    yield from _complaints(connection)
    yield from _attachments(connection)
    yield from _sources(connection)
    yield from _entries(connection)


def _complaints(connection: Connection) -> Iterator[Difference]:
    steps = complaint_steps.c
    newest = func.row_number().over(partition_by=steps.complaint, order_by=steps.position.desc())
    last = select(complaint_steps, newest.label("age")).subquery()
    left = (last.c.state.label("left"), last.c.duplicate_of.label("repeats"), last.c.by, last.c.blocks)
    wanted = select(complaints.c.id, complaints.c.state, complaints.c.duplicate_of, *left)
    wanted = wanted.join_from(complaints, last, last.c.complaint == complaints.c.id).where(last.c.age == 1)
    blocked: dict[str, list[str]] = {}
    for complaint, match in connection.execute(select(complaint_blocks.c.complaint, complaint_blocks.c.match)):
        blocked.setdefault(complaint, []).append(match)
    for row in connection.execute(wanted.order_by(complaints.c.id)):
        if row.state != row.left:
            yield "complaint", row.id, f"It is {row.state}, and its last step left it {row.left}."
        if row.duplicate_of != row.repeats:
            yield "complaint", row.id, "It does not repeat the complaint that its last step named."
        erased = not row.by  # what it blocks stays in force
        if not erased and sorted(blocked.get(row.id, [])) != sorted(row.blocks or []):
            yield "complaint", row.id, "What it blocks is not what its last step named."


def _attachments(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(select(complaint_files).where(complaint_files.c.sha256 != "")):
        if hashlib.sha256(row.content).hexdigest() != row.sha256:
            yield (
                "attachment",
                f"{row.complaint}/{row.position}",
                "Its content does not have the digest that was written.",
            )


def _sources(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(select(list_sources.c.sha256, list_sources.c.content)):
        content = b""
        with suppress(zlib.error):
            content = zlib.decompress(row.content)
        if hashlib.sha256(content).hexdigest() != row.sha256:
            yield "list", row.sha256, "The content does not have the digest that is its name."


def _entries(connection: Connection) -> Iterator[Difference]:
    ended: dict[str, Any] = {}
    let_in: dict[str, tuple[Any, ...]] = {}
    recorded = select(events).where(events.c.event.in_([ENDED, LET_IN])).order_by(events.c.at, events.c.id)
    for event in connection.execute(recorded):
        with suppress(TypeError, KeyError):  # an unreadable event has no effect
            content = event.content
            if event.event == ENDED:
                ended |= dict.fromkeys(content["entries"], content["until"])
            else:
                let_in |= dict.fromkeys(content["entries"], (iso_utc(event.at), content["by"], content["why"]))
    columns = list_entries.c
    wanted = select(columns.id, columns.until, columns.accepted_at, columns.accepted_by, columns.accepted_why)
    for row in connection.execute(wanted):
        until = row.until and row.until.isoformat()
        if until != ended.get(row.id):
            yield "listing", row.id, f"It is listed until {until}, and by the record until {ended.get(row.id)}."
        accepted = (row.accepted_at and iso_utc(row.accepted_at), row.accepted_by, row.accepted_why)
        if accepted != let_in.get(row.id, (None, None, None)):
            yield "listing", row.id, "Who let it in, when or why is not what the record says."
