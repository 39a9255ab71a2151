"""Keeps ``urls``, ``host_outcomes`` and ``host_reasons`` in step with the decisions, in the same transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, select

from optout.model import Reason, Verdict
from storage.dialects import chunks, insert
from storage.hosts import meet
from storage.names import digest
from storage.schema import host_outcomes, host_reasons, urls

KEPT = "kept"


class Change(NamedTuple):
    """A decision about a URL; or, without a verdict, that a copy of it was kept."""

    url: str
    host: str
    verdict: Verdict | None
    at: datetime
    decision: str
    reasons: Sequence[Reason] = ()


def update(connection: Connection, changes: Iterable[Change]) -> None:
    """Counts the changes, in order."""
    changes = list(changes)
    if changes:
        _count_urls(connection, changes)
        _count_reasons(connection, changes)


def _count_urls(connection: Connection, changes: Sequence[Change]) -> None:
    standing = _lock_urls(connection, changes)
    moves: Counter[tuple[str, str]] = Counter()
    times: dict[tuple[str, str], datetime] = {}
    for change in changes:
        row = standing[digest(change.url)]
        if change.verdict is None:
            moves[change.host, KEPT] += row["kept_at"] is None
            row["kept_at"] = times[change.host, KEPT] = change.at
        verdict = change.verdict or (None if row["verdict"] else Verdict.ALLOWED)  # what is kept was allowed
        if verdict and (row["at"] is None or change.at >= row["at"]):
            if row["verdict"]:
                moves[change.host, row["verdict"]] -= 1
            moves[change.host, verdict] += 1
            times[change.host, verdict] = change.at
            row |= {"verdict": str(verdict), "at": change.at, "decision": change.decision}
    rows = [{f"new_{name}": value for name, value in row.items()} for row in standing.values()]
    connection.execute(
        urls.update()
        .where(urls.c.key == bindparam("new_key"))
        .values({name: bindparam(f"new_{name}") for name in ("verdict", "at", "decision", "kept_at")}),
        rows,
    )
    _move(connection, moves, times)


def _lock_urls(connection: Connection, changes: Sequence[Change]) -> dict[bytes, dict[str, Any]]:
    """The rows of all URLs changed, made where there are none, locked in one order for all processes."""
    first = {digest(change.url): change for change in reversed(changes)}
    keys = sorted(first)
    known: dict[bytes, dict[str, Any]] = {}

    def read(some: Sequence[bytes]) -> None:
        locked = select(urls.c.key, urls.c.verdict, urls.c.at, urls.c.decision, urls.c.kept_at)
        locked = locked.where(urls.c.key.in_(some)).order_by(urls.c.key).with_for_update(key_share=True)
        known.update((row.key, dict(row._mapping)) for row in connection.execute(locked))

    for some in chunks(keys):
        read(some)
    new = [key for key in keys if key not in known]
    if new:
        meet(connection, (first[key].host for key in new), min(first[key].at for key in new))
        rows = [_new_url(key, first[key]) for key in new]
        inserted = insert(connection, urls).on_conflict_do_nothing().returning(urls.c.key)
        made = set(connection.scalars(inserted, rows))
        for key in made:
            known[key] = {"key": key, "verdict": None, "at": None, "decision": first[key].decision, "kept_at": None}
        for some in chunks([key for key in new if key not in made]):  # another process was faster
            read(some)
    return known


def _new_url(key: bytes, change: Change) -> dict[str, Any]:
    return {
        "key": key,
        "url": change.url,
        "host": change.host,
        "verdict": str(change.verdict or Verdict.ALLOWED),
        "at": change.at,
        "decision": change.decision,
        "first_at": change.at,
    }


def _move(connection: Connection, moves: Counter[tuple[str, str]], times: dict[tuple[str, str], datetime]) -> None:
    at = max(times.values(), default=None)
    rows = [
        {"host": host, "outcome": str(outcome), "urls": count, "first_at": time, "last_at": time}
        for (host, outcome), count in sorted(moves.items())
        if (time := times.get((host, outcome), at)) is not None
    ]
    # A row that only loses URLs exists already, and its times stay as they are.
    for losing in (False, True):
        some = [row for row in rows if ((row["host"], row["outcome"]) not in times) is losing]
        if not some:
            continue
        statement = insert(connection, host_outcomes)
        changed: dict[str, Any] = {"urls": host_outcomes.c.urls + statement.excluded.urls}
        if not losing:
            changed["last_at"] = _later(host_outcomes.c.last_at, statement.excluded.last_at)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[host_outcomes.c.host, host_outcomes.c.outcome], set_=changed
            ),
            some,
        )


def _count_reasons(connection: Connection, changes: Sequence[Change]) -> None:
    rows: dict[bytes, dict[str, Any]] = {}
    for change in changes:
        for reason in dict.fromkeys(change.reasons):
            if change.verdict is None or change.verdict is Verdict.ALLOWED:
                continue
            key = reason_key(change.host, change.verdict, reason)
            row = rows.setdefault(
                key,
                {
                    "key": key,
                    "host": change.host,
                    "verdict": str(change.verdict),
                    "protocol": reason.protocol,
                    "quote": reason.quote,
                    "source": reason.source,
                    "place": reason.where,
                    "measure": reason.measure,
                    "first_at": change.at,
                    "decisions": 0,
                },
            )
            row["decisions"] += 1
            row["last_at"] = change.at
    if rows:
        statement = insert(connection, host_reasons)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[host_reasons.c.key],
                set_={
                    "decisions": host_reasons.c.decisions + statement.excluded.decisions,
                    "last_at": _later(host_reasons.c.last_at, statement.excluded.last_at),
                },
            ),
            [rows[key] for key in sorted(rows)],
        )


def reason_key(host: str, verdict: Verdict, reason: Reason) -> bytes:
    """By what the same words about the same host are counted together."""
    return digest(host, verdict, reason.protocol, reason.quote, reason.source, reason.where)


def _later(old: Any, new: Any) -> Any:
    return case((new > old, new), else_=old)
