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


def forget(connection: Connection, decisions: Sequence[str], words: Iterable[bytes]) -> None:
    """Takes out the URLs that stand by these decisions, and as many reasons as ``words`` has keys."""
    standing = connection.execute(
        urls.delete().where(urls.c.decision.in_(decisions)).returning(urls.c.host, urls.c.verdict, urls.c.kept_at)
    ).all()
    moves: Counter[tuple[str, str]] = Counter()
    for row in standing:
        moves[row.host, row.verdict] -= 1
        moves[row.host, KEPT] -= row.kept_at is not None
    _move(connection, moves, {})
    columns = host_reasons.c
    for key, count in Counter(words).items():
        fewer = host_reasons.update().where(columns.key == key)
        connection.execute(fewer.values(decisions=columns.decisions - count))
        connection.execute(host_reasons.delete().where(columns.key == key, columns.decisions <= 0))


def _count_urls(connection: Connection, changes: Sequence[Change]) -> None:
    standing = _lock_urls(connection, changes)
    moves: Counter[tuple[str, str]] = Counter()
    times: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    for change in changes:
        row = standing[digest(change.url)]
        if change.verdict is None:
            moves[change.host, KEPT] += row["kept_at"] is None
            row["kept_at"] = change.at
            _note(times, (change.host, KEPT), change.at)
        verdict = change.verdict or (None if row["verdict"] else Verdict.ALLOWED)  # what is kept was allowed
        if verdict and (row["at"] is None or change.at >= row["at"]):
            if row["verdict"]:
                moves[change.host, row["verdict"]] -= 1
            moves[change.host, verdict] += 1
            _note(times, (change.host, verdict), change.at)
            row |= {"verdict": str(verdict), "at": change.at, "decision": change.decision}
    rows = [{f"new_{name}": value for name, value in row.items()} for row in standing.values()]
    connection.execute(
        urls.update()
        .where(urls.c.key == bindparam("new_key"))
        .values({name: bindparam(f"new_{name}") for name in ("verdict", "at", "decision", "kept_at")}),
        rows,
    )
    _move(connection, moves, times)


def uncount(connection: Connection, some: Iterable[str]) -> None:
    """No copy of these URLs is kept any more."""
    for part in chunks(sorted(digest(url) for url in some)):
        locked = select(urls.c.key, urls.c.host).where(urls.c.key.in_(part), urls.c.kept_at.is_not(None))
        rows = connection.execute(locked.order_by(urls.c.key).with_for_update(key_share=True)).all()
        connection.execute(urls.update().where(urls.c.key.in_([row.key for row in rows])).values(kept_at=None))
        _move(
            connection, Counter({(host, KEPT): -count for host, count in Counter(row.host for row in rows).items()}), {}
        )


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


def _note(times: dict[Any, tuple[datetime, datetime]], key: Any, at: datetime) -> None:
    """Widens the first and the last time of something; what is decided first may be written last."""
    first, last = times.get(key, (at, at))
    times[key] = min(first, at), max(last, at)


def _move(
    connection: Connection, moves: Counter[tuple[str, str]], times: dict[tuple[str, str], tuple[datetime, datetime]]
) -> None:
    gaining, losing = [], []
    for (host, outcome), count in sorted(moves.items()):
        row: dict[str, Any] = {"host": host, "outcome": str(outcome), "urls": count}
        if (host, outcome) in times:
            row["first_at"], row["last_at"] = times[host, outcome]
            gaining.append(row)
        else:
            losing.append({f"old_{name}": value for name, value in row.items()})
    columns = host_outcomes.c
    if gaining:
        statement = insert(connection, host_outcomes)
        sums = {"urls": columns.urls + statement.excluded.urls} | _wider(columns, statement.excluded)
        connection.execute(statement.on_conflict_do_update(index_elements=["host", "outcome"], set_=sums), gaining)
    if losing:  # such a row exists, and its times stay as they are
        those = (columns.host == bindparam("old_host"), columns.outcome == bindparam("old_outcome"))
        fewer = host_outcomes.update().where(*those).values(urls=columns.urls + bindparam("old_urls"))
        connection.execute(fewer, losing)


def _count_reasons(connection: Connection, changes: Sequence[Change]) -> None:
    rows: dict[bytes, dict[str, Any]] = {}
    times: dict[bytes, tuple[datetime, datetime]] = {}
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
                    "decisions": 0,
                },
            )
            row["decisions"] += 1
            _note(times, key, change.at)
    for key, row in rows.items():
        row["first_at"], row["last_at"] = times[key]
    if rows:
        columns, statement = host_reasons.c, insert(connection, host_reasons)
        sums = {"decisions": columns.decisions + statement.excluded.decisions} | _wider(columns, statement.excluded)
        update = statement.on_conflict_do_update(index_elements=["key"], set_=sums)
        connection.execute(update, [rows[key] for key in sorted(rows)])


def reason_key(host: str, verdict: Verdict, reason: Reason) -> bytes:
    """By what the same words about the same host are counted together."""
    return digest(host, verdict, reason.protocol, reason.quote, reason.source, reason.where)


def _wider(old: Any, new: Any) -> dict[str, Any]:
    return {
        "first_at": case((new.first_at < old.first_at, new.first_at), else_=old.first_at),
        "last_at": case((new.last_at > old.last_at, new.last_at), else_=old.last_at),
    }
