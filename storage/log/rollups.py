"""Totals by day, protocol, host and domain, for plots, kept in the same transaction as the log.

They are written last, after the chain's leaves: on PostgreSQL the writer holds the chain's lock by then, so that two
processes that count the same day never wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, func, select

from forbear.optout.model import Verdict
from forbear.storage.db.dialects import Tuples, insert_rows, select_in, upsert
from forbear.storage.db.hostnames import digest, domain_of, host_in
from forbear.storage.db.records import DecisionRecord, Job, RecordDecision, RecordPage
from forbear.storage.db.schema import crawls
from forbear.storage.db.sum_tables import adopted, daily_reasons, daily_verdicts, domain_bytes, protocol_hosts
from forbear.storage.db.types import printable
from forbear.storage.db.write_cache import WriteCache
from forbear.storage.log import crawl_sums

UNREACHABLE = "unreachable"
_CAUSE = 40


def update(connection: Connection, jobs: Iterable[Job], cache: WriteCache) -> None:
    """Counts what the jobs wrote; call it after ``chain.append``, last in the transaction."""
    verdicts: Counter[tuple[str, ...]] = Counter()
    by_reason: Counter[tuple[str, ...]] = Counter()
    speaking: dict[tuple[str, str, str], None] = {}
    kept: dict[str, list[int]] = {}
    jobs = list(jobs)
    for job in jobs:
        if isinstance(job, RecordDecision):
            _count(job.decision, verdicts, by_reason)
            host = host_in(job.decision.decision.url)
            speaking |= {(one.protocol, str(one.preference), host): None for one in job.decision.decision.statements}
        elif isinstance(job, RecordPage):
            sums = kept.setdefault(domain_of(host_in(job.page.url)), [0, 0])
            sums[0] += 1
            sums[1] += job.page.bytes
    count(connection, daily_verdicts, [(*key, number) for key, number in verdicts.items()])
    count(connection, daily_reasons, [(*key, number) for key, number in by_reason.items()])
    new = [one for one in speaking if one not in cache.speaking]
    count_protocol_hosts(connection, {digest(*one): one[:2] for one in new})
    cache.speaking.note(new)
    count(connection, domain_bytes, [(domain, *sums) for domain, sums in kept.items()])
    crawl_sums.update(connection, jobs, cache)


def _count(record: DecisionRecord, verdicts: Counter[tuple[str, ...]], by_reason: Counter[tuple[str, ...]]) -> None:
    decision = record.decision
    day, verdict = day_of(record.at), str(decision.verdict)
    verdicts[day, record.crawl, verdict, str(decision.stage)] += 1
    if decision.verdict is not Verdict.ALLOWED:
        for protocol, measure, cause in {(one.protocol, one.measure, _cause(one)) for one in decision.reasons}:
            by_reason[day, record.crawl, verdict, protocol, measure, cause] += 1


def _cause(reason: Any) -> str:
    return printable(reason.quote)[:_CAUSE] if reason.protocol == UNREACHABLE else ""


def day_of(at: datetime) -> str:
    """Returns the day of a moment, in UTC."""
    return at.astimezone(UTC).date().isoformat()


def count_protocol_hosts(connection: Connection, speaking: dict[bytes, tuple[str, str]]) -> None:
    """Counts each host that states something in a protocol once, by protocol and preference."""
    known = {key for (key,) in select_in(connection, "SELECT key FROM protocol_hosts WHERE key", sorted(speaking))}
    fresh = [key for key in sorted(speaking) if key not in known]
    insert_rows(connection, protocol_hosts, [(key,) for key in fresh])
    count(connection, adopted, [(*pair, number) for pair, number in Counter(speaking[key] for key in fresh).items()])


def count(connection: Connection, table: Table, rows: Tuples) -> None:
    """Adds numbers to the rows of their keys, which are created if missing."""
    names = [column.name for column in table.c if not column.primary_key]
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in names)
    upsert(connection, table, sorted(rows), sums)


class Figure(NamedTuple):
    """Numbers for a plot: ``labels`` name the series; each row has a heading and a number for each series."""

    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]


MOST_SERIES = 8
"""Series of a plot; the rest is summed up as *other*."""


MOST_MONTHS = 36
"""How far back figures over time go."""

_MOST_DAYS = 62


def over_time(connection: Connection, column: str) -> Figure:
    """Returns excluding decisions by day and ``protocol`` or ``measure``; by month if there are many days."""
    of = daily_reasons.c
    first, last = _span(connection)
    is_long = bool(first) and date.fromisoformat(last) - date.fromisoformat(first) > timedelta(_MOST_DAYS)
    when = func.substr(of.day, 1, 7 if is_long else 10)
    wanted = select(when, of[column], func.sum(of.decisions))
    wanted = wanted.where(of.day >= first, of.verdict == str(Verdict.EXCLUDED)).group_by(when, of[column])
    return _table([(row[0], row[1], int(row[2])) for row in connection.execute(wanted)])


def _span(connection: Connection) -> tuple[str, str]:
    """Returns the first and last day of figures over time; empty without decisions."""
    of = daily_reasons.c
    first, last = (connection.scalar(select(end(of.day))) or "" for end in (func.min, func.max))
    if not last:
        return "", ""
    year, month = divmod(int(last[:4]) * 12 + int(last[5:7]) - MOST_MONTHS, 12)
    return max(first, f"{year:04}-{month + 1:02}-01"), last


def adoption(connection: Connection) -> Figure:
    """Returns how many hosts ever stated something, by protocol and preference."""
    rows = connection.execute(select(adopted.c.protocol, adopted.c.preference, adopted.c.hosts))
    return _largest(_table([(row.protocol, row.preference, row.hosts) for row in rows]))


def deferred(connection: Connection) -> Figure:
    """Returns deferred decisions, by what stood in the way."""
    of = daily_reasons.c
    cause = func.coalesce(func.nullif(of.cause, ""), of.protocol)
    wanted = select(cause, func.sum(of.decisions)).where(of.day >= _span(connection)[0]).group_by(cause)
    wanted = wanted.where(of.verdict == str(Verdict.DEFERRED))
    return _largest(Figure(("decisions",), tuple((row[0], (int(row[1]),)) for row in connection.execute(wanted))))


def heaviest(connection: Connection, limit: int = 20) -> Figure:
    """Returns the domains of which most bytes were kept."""
    of = domain_bytes.c
    found = connection.execute(select(of.domain, of.bytes).order_by(of.bytes.desc()).limit(limit))
    return Figure(("bytes",), tuple((row.domain, (row.bytes,)) for row in found))


def by_crawl(connection: Connection, limit: int = 12) -> Figure:
    """Returns decisions of the newest crawls by verdict, oldest crawl first."""
    newest = select(crawls.c.id, crawls.c.started_at).order_by(crawls.c.started_at.desc()).limit(limit).subquery()
    of = daily_verdicts.c
    joined = select(newest.c.started_at, newest.c.id, of.verdict, func.sum(of.decisions)).join_from(
        newest, daily_verdicts, of.crawl == newest.c.id
    )
    rows = connection.execute(joined.group_by(newest.c.started_at, newest.c.id, of.verdict).order_by(newest.c.id)).all()
    figure = _table([(f"{row[0]:%Y-%m-%d %H:%M} {row[1][-4:]}", row[2], int(row[3])) for row in rows])
    order = [str(verdict) for verdict in (Verdict.EXCLUDED, Verdict.DEFERRED, Verdict.ALLOWED)]
    places = [figure.labels.index(name) if name in figure.labels else None for name in order]
    ordered = tuple(
        (head, tuple(0 if place is None else numbers[place] for place in places)) for head, numbers in figure.rows
    )
    return Figure(tuple(order), ordered)


def changes(connection: Connection) -> Figure:
    """Returns excluding decisions by protocol, in the newest crawl and the one before."""
    newest = select(crawls.c.id).order_by(crawls.c.started_at.desc()).limit(2)
    pair = list(connection.scalars(newest))[::-1]
    of = daily_reasons.c
    wanted = select(of.protocol, of.crawl, func.sum(of.decisions)).where(
        of.crawl.in_(pair), of.verdict == str(Verdict.EXCLUDED)
    )
    sums: dict[str, list[int]] = {}
    for protocol, crawl, number in connection.execute(wanted.group_by(of.protocol, of.crawl)):
        sums.setdefault(protocol, [0] * len(pair))[pair.index(crawl)] = int(number)
    labels = ("before", "newest")[-len(pair) :] if pair else ()
    return _largest(Figure(labels, tuple((name, tuple(numbers)) for name, numbers in sums.items())))


def _table(cells: Sequence[tuple[str, str, int]]) -> Figure:
    """Builds a figure by heading and series, largest series first; small ones are summed up."""
    totals: Counter[str] = Counter()
    for _, series, number in cells:
        totals[series] += number
    ranked = sorted(totals, key=lambda series: (-totals[series], series))
    labels = tuple(ranked[:MOST_SERIES] if len(ranked) <= MOST_SERIES else [*ranked[: MOST_SERIES - 1], "other"])
    rows: dict[str, list[int]] = {}
    for heading, series, number in cells:
        place = labels.index(series) if series in labels else len(labels) - 1
        rows.setdefault(heading, [0] * len(labels))[place] += number
    return Figure(labels, tuple((heading, tuple(rows[heading])) for heading in sorted(rows)))


def _largest(figure: Figure, limit: int = 20) -> Figure:
    """Returns the headings with the largest numbers, largest first."""
    return figure._replace(rows=tuple(sorted(figure.rows, key=lambda row: (-sum(row[1]), row[0]))[:limit]))
