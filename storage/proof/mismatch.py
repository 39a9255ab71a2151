"""Explains a leaf-hash mismatch by searching for the value that the row used to have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row

from forbear.optout.model import Profile, Stage, Use, Verdict
from forbear.storage.chain import leaves, merkle
from forbear.storage.chain.leaves import NewLeaf
from forbear.storage.db.canonical_json import canonical
from forbear.storage.db.types import iso_utc

_VERDICTS = tuple(str(verdict) for verdict in Verdict)
_BEFORE: dict[str, Sequence[Any]] = {
    "verdict": _VERDICTS,
    "verdict_standard": _VERDICTS,
    "verdict_strict": _VERDICTS,
    "stage": tuple(str(stage) for stage in Stage),
    "profile": tuple(str(profile) for profile in Profile),
    "use": tuple(str(use) for use in Use),
    "status": (None, *range(100, 600)),
}
"""Columns with few possible values."""

_MOST = 1000
"""Rows that are examined: where more are changed, the details matter less."""


class Suspect(NamedTuple):
    """A row of the chain, the row of the log, and when the previous row was written."""

    row: Row[Any]
    entry: NewLeaf
    before: datetime | None


def explain(suspects: Sequence[Suspect]) -> Iterator[tuple[str, str, str, int, str]]:
    """Yields what was changed, in which row, and how: change, kind, id, position, sentence."""
    places = [suspect.row.position for suspect in suspects[:_MOST]]
    shift = 0
    for number, suspect in enumerate(suspects):
        row = suspect.row
        change, detail = "edited", "It, or what belongs to it, is not what was written."
        if number < _MOST:
            was = _find_position(suspect, [row.position + shift, *places])
            if was is not None:
                shift = was - row.position
                change, detail = "reordered", f"It is at position {row.position}, and was written at {was}."
            else:
                change, detail = _find_change(suspect) or (change, detail)
        yield change, row.kind, row.ref, row.position, detail


def _find_position(suspect: Suspect, places: Sequence[int]) -> int | None:
    return next((place for place in places if _matches(suspect, position=place)), None)


def _find_change(suspect: Suspect) -> tuple[str, str] | None:
    row, entry = suspect.row, suspect.entry
    if suspect.before is not None and _matches(suspect, at=suspect.before):
        return "back-dated", f"It was not written at {iso_utc(row.at)}, as its row states."
    if entry.payload is not None and row.salt is not None:
        payload = leaves.commitment(row.salt, entry.payload)
        if _matches(suspect, payload=payload):
            return "edited", "The commitment to its words is not the one that was written."
    now = json.loads(entry.row)
    for name in _BEFORE.keys() & leaves.FORMS[entry.kind].table.c.keys():
        for value in _BEFORE[name]:
            changed = {key: old for key, old in {**now, name: value}.items() if old is not None}
            if _matches(suspect, fixed=canonical(changed)):
                return "edited", f"Its {name} was {value}, and is now {now.get(name)}."
    return None


def _matches(
    suspect: Suspect,
    *,
    position: int | None = None,
    at: datetime | None = None,
    payload: str | None = None,
    fixed: str | None = None,
) -> bool:
    row = suspect.row
    record = leaves.record(
        row.kind,
        row.at if at is None else at,
        row.payload if payload is None else payload,
        row.position if position is None else position,
        suspect.entry.row if fixed is None else fixed,
    )
    return merkle.leaf_hash(record.encode()) == bytes(row.leaf)
