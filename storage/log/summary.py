"""Keeps ``urls``, ``host_outcomes`` and ``host_reasons`` in step with the decisions, in the same transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from forbear.optout.model import Reason, Verdict
from forbear.storage.db.dialects import chunks, execute_many, insert_new, select_in, upsert
from forbear.storage.db.hostnames import digest
from forbear.storage.db.schema import host_outcomes, host_reasons, urls
from forbear.storage.db.types import iso_utc, printable
from forbear.storage.frontier.hosts import ensure_hosts

KEPT = "kept"
REMOVED = "removed"


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
    """Removes the URLs whose latest decision is one of these, and one reason for each key in ``words``."""
    standing = connection.execute(
        urls.delete().where(urls.c.decision.in_(decisions)).returning(urls.c.host, urls.c.verdict, urls.c.kept_at)
    ).all()
    moves: Counter[tuple[str, str]] = Counter()
    for row in standing:
        moves[row.host, row.verdict] -= 1
        moves[row.host, KEPT] -= row.kept_at is not None
    _count_moves(connection, moves, {})
    columns = host_reasons.c
    for key, count in Counter(words).items():
        fewer = host_reasons.update().where(columns.key == key)
        connection.execute(fewer.values(decisions=columns.decisions - count))
        connection.execute(host_reasons.delete().where(columns.key == key, columns.decisions <= 0))


def _count_urls(connection: Connection, changes: Sequence[Change]) -> None:
    """Counts URLs by outcome; rows are locked, and made, in the same order by all processes."""
    of: dict[bytes, list[Change]] = {}
    for change in changes:
        of.setdefault(digest(change.url), []).append(change)
    moves: Counter[tuple[str, str]] = Counter()
    times: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    known = {row[0]: row for row in _lock_urls(connection, sorted(of))}
    new = sorted(of.keys() - known.keys())
    if new:
        ensure_hosts(connection, (of[key][0].host for key in new), min(of[key][0].at for key in new))
        first = [_apply(_NOWHERE, of[key], Counter(), {}) for key in new]
        rows = [_new_url(key, of[key][0], *state) for key, state in zip(new, first, strict=True)]
        made = insert_new(connection, urls, rows, urls.c.keys(), "key")
        for key in made:
            _apply(_NOWHERE, of[key], moves, times)
        known |= {row[0]: row for row in _lock_urls(connection, [key for key in new if key not in made])}
    execute_many(connection, _UPDATE, [(*_apply(known[key][1:], of[key], moves, times), key) for key in sorted(known)])
    _count_moves(connection, moves, times)


_NOWHERE = (None, None, None, None)
_UPDATE = "UPDATE urls SET verdict = ?, at = ?, decision = ?, kept_at = ? WHERE key = ?"


def _lock_urls(connection: Connection, keys: Sequence[bytes]) -> Iterator[tuple[Any, ...]]:
    """Returns what is recorded of these URLs, by key; locks the rows until the transaction ends."""
    wanted = "SELECT key, verdict, at, decision, kept_at FROM urls WHERE key"
    locked = " FOR NO KEY UPDATE" if connection.dialect.name == "postgresql" else ""
    return select_in(connection, wanted, keys, f" ORDER BY key{locked}")


def _apply(
    state: Sequence[Any],
    changes: Iterable[Change],
    moves: Counter[tuple[str, str]],
    times: dict[tuple[str, str], tuple[datetime, datetime]],
) -> tuple[Any, ...]:
    """Returns a URL's verdict, at, decision and kept_at after the changes, and counts what they move."""
    verdict_now, at, decision, kept_at = state
    since = datetime.fromisoformat(at) if isinstance(at, str) else at
    for change in changes:
        if change.verdict is None:
            moves[change.host, KEPT] += kept_at is None
            kept_at = iso_utc(change.at)
            _note(times, (change.host, KEPT), change.at)
        verdict = change.verdict or (None if verdict_now else Verdict.ALLOWED)  # what is kept was allowed
        if verdict and (since is None or change.at >= since):
            if verdict_now:
                moves[change.host, verdict_now] -= 1
            verdict_now = str(verdict)
            moves[change.host, verdict_now] += 1
            _note(times, (change.host, verdict_now), change.at)
            since, at, decision = change.at, iso_utc(change.at), change.decision
    return verdict_now, at, decision, kept_at


def _new_url(key: bytes, change: Change, verdict: str, at: str, decision: str, kept_at: str | None) -> tuple[Any, ...]:
    return key, printable(change.url), change.host, verdict, at, decision, iso_utc(change.at), kept_at


def mark_removed(connection: Connection, some: Iterable[str], at: datetime) -> None:
    """Records that no copy of these URLs is kept from that moment on."""
    for part in chunks(sorted(digest(url) for url in some)):
        locked = select(urls.c.key, urls.c.host, urls.c.kept_at).where(
            urls.c.key.in_(part), urls.c.kept_at.is_not(None)
        )
        rows = connection.execute(locked.order_by(urls.c.key).with_for_update(key_share=True)).all()
        connection.execute(urls.update().where(urls.c.key.in_([row.key for row in rows])).values(kept_at=None))
        moves: Counter[tuple[str, str]] = Counter()
        times: dict[tuple[str, str], tuple[datetime, datetime]] = {}
        for row in rows:
            moves[row.host, KEPT] -= 1
            moves[row.host, REMOVED] += 1
            _note(times, (row.host, REMOVED), row.kept_at)
            _note(times, (row.host, REMOVED), at)
        _count_moves(connection, moves, times)


def _note(times: dict[Any, tuple[datetime, datetime]], key: Any, at: datetime) -> None:
    """Widens the first and last time of a key; what is decided first may be written last."""
    first, last = times.get(key, (at, at))
    times[key] = min(first, at), max(last, at)


def _count_moves(
    connection: Connection, moves: Counter[tuple[str, str]], times: dict[tuple[str, str], tuple[datetime, datetime]]
) -> None:
    gaining, losing = [], []
    for (host, outcome), count in sorted(moves.items()):
        if (host, outcome) in times:
            gaining.append((host, outcome, count, *map(iso_utc, times[host, outcome])))
        else:  # the row exists, and keeps its times
            losing.append((count, host, outcome))
    upsert(
        connection, host_outcomes, gaining, f"urls = host_outcomes.urls + excluded.urls, {widen_times('host_outcomes')}"
    )
    execute_many(connection, "UPDATE host_outcomes SET urls = urls + ? WHERE host = ? AND outcome = ?", losing)


def _count_reasons(connection: Connection, changes: Sequence[Change]) -> None:
    first: dict[bytes, tuple[Change, Reason]] = {}
    times: dict[bytes, tuple[datetime, datetime]] = {}
    counts: Counter[bytes] = Counter()
    for change in changes:
        for reason in dict.fromkeys(change.reasons):
            if change.verdict is None or change.verdict is Verdict.ALLOWED:
                continue
            key = reason_key(change.host, change.verdict, reason)
            first.setdefault(key, (change, reason))
            counts[key] += 1
            _note(times, key, change.at)
    rows = [_reason(key, *first[key], times[key], counts[key]) for key in sorted(first)]
    sums = f"decisions = host_reasons.decisions + excluded.decisions, {widen_times('host_reasons')}"
    upsert(connection, host_reasons, rows, sums)


def _reason(
    key: bytes, change: Change, reason: Reason, times: tuple[datetime, datetime], decisions: int
) -> tuple[Any, ...]:
    words = printable(reason.quote), printable(reason.source), printable(reason.where)
    values = (str(change.verdict), reason.protocol, *words, reason.measure)
    return key, change.host, *values, *map(iso_utc, times), decisions


def reason_key(host: str, verdict: Verdict, reason: Reason) -> bytes:
    """Returns the key by which the same words about the same host are counted together."""
    return digest(host, verdict, reason.protocol, reason.quote, reason.source, reason.where)


def widen_times(table: str) -> str:
    """Returns SQL for the earlier of two first times, and the later of two last ones."""
    earlier, later = (f"excluded.{name} {sign} {table}.{name}" for name, sign in (("first_at", "<"), ("last_at", ">")))
    first = f"first_at = CASE WHEN {earlier} THEN excluded.first_at ELSE {table}.first_at END"
    return f"{first}, last_at = CASE WHEN {later} THEN excluded.last_at ELSE {table}.last_at END"
