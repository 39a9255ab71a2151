"""Recounts the sums over the log, and names those that differ: they prove nothing, but look-ups rely on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, except_, func, literal, select, union_all
from sqlalchemy.sql.selectable import SelectBase

from forbear.storage.db.schema import decisions, events, host_outcomes, reasons, urls
from forbear.storage.db.sum_tables import crawl_measures, crawl_words, daily_verdicts
from forbear.storage.log.crawl_sums import ALL
from forbear.storage.log.summary import KEPT, REMOVED


class Difference(NamedTuple):
    """A row of a table of sums that the log does not support, or that is missing there."""

    table: str
    row: tuple[Any, ...]
    missing: bool


class _Sum(NamedTuple):
    """A table of sums, and the same sums counted now."""

    stored: Select[Any]
    counted: SelectBase
    outlived: bool = False
    """Erasure takes names and words out of the log, so earlier counts may be higher."""


def differences(connection: Connection) -> Iterator[Difference]:
    """Yields everything that differs; reads the whole log."""
    erased = connection.scalar(select(events.c.id).where(events.c.event == "erasure").limit(1)) is not None
    day = func.substr(decisions.c.at, 1, 10)
    if connection.dialect.name == "postgresql":
        day = func.to_char(func.timezone("UTC", decisions.c.at), "YYYY-MM-DD")
    for table, sums in (*_outcomes(day), *_measured(), ("crawl_words", _words())):
        counted = select(sums.counted.subquery())
        pairs = [(True, except_(counted, sums.stored))]
        if not (erased and sums.outlived):
            pairs.append((False, except_(sums.stored, counted)))
        for missing, query in pairs:
            if missing and erased and sums.outlived and table == "crawl_measures":
                continue  # fewer hosts do not mean a missing row
            for row in connection.execute(query):
                yield Difference(table, tuple(row), missing)


def _outcomes(day: ColumnElement[str]) -> Iterator[tuple[str, _Sum]]:
    of, sums = decisions.c, daily_verdicts.c
    counted = select(day, of.crawl, of.verdict, of.stage, func.count()).group_by(day, of.crawl, of.verdict, of.stage)
    yield "daily_verdicts", _Sum(select(sums.day, sums.crawl, sums.verdict, sums.stage, sums.decisions), counted)
    now, of_host = urls.c, host_outcomes.c
    kept = select(now.host, literal(KEPT), func.count()).where(now.kept_at.is_not(None)).group_by(now.host)
    by_verdict = select(now.host, now.verdict, func.count()).group_by(now.host, now.verdict)
    stored = select(of_host.host, of_host.outcome, of_host.urls)
    yield (
        "host_outcomes",
        _Sum(stored.where(of_host.urls != 0, of_host.outcome != REMOVED), union_all(by_verdict, kept)),
    )


def _measured() -> Iterator[tuple[str, _Sum]]:
    of, why, sums = decisions.c, reasons.c, crawl_measures.c
    every = select(of.id, of.crawl, why.measure, why.protocol, of.verdict, of.at, of.host)
    once = every.join_from(decisions, reasons, why.decision == of.id).distinct().subquery().c
    key = (sums.crawl, sums.measure, sums.protocol, sums.verdict)

    def counted(numbers: Sequence[ColumnElement[Any]], *where: ColumnElement[bool]) -> SelectBase:
        by = (once.measure, once.protocol, once.verdict)
        return union_all(
            select(once.crawl, *by, *numbers).where(*where).group_by(once.crawl, *by),
            select(literal(ALL), *by, *numbers).where(*where).group_by(*by),
        )

    numbers = (func.count(), func.min(once.at), func.max(once.at))
    yield "crawl_measures", _Sum(select(*key, sums.decisions, sums.first_at, sums.last_at), counted(numbers))
    hosts = counted([func.count(once.host.distinct())], once.host != "")
    yield "crawl_measures", _Sum(select(*key, sums.hosts), hosts, outlived=True)


def _words() -> _Sum:
    of, why, sums = decisions.c, reasons.c, crawl_words.c
    counted = select(of.crawl, of.host, of.verdict, why.protocol, why.quote).where(of.host != "").distinct()
    stored = select(sums.crawl, sums.host, sums.verdict, sums.protocol, sums.quote)
    return _Sum(stored, counted.join_from(decisions, reasons, why.decision == of.id), outlived=True)
