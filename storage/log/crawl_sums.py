"""Sums of the words and measures of each crawl's decisions, kept in the same transaction as the log.

Like all rollups they are written while the writer holds the chain's lock, so no two processes count at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, select

from forbear.storage.db.dialects import chunks, insert_new, upsert
from forbear.storage.db.hostnames import digest, host_in
from forbear.storage.db.records import Job, RecordDecision
from forbear.storage.db.schema import decisions, hosts, reasons
from forbear.storage.db.sum_tables import crawl_measures, crawl_words, measure_hosts
from forbear.storage.db.types import iso_utc, printable
from forbear.storage.db.write_cache import WriteCache
from forbear.storage.log.summary import widen_times

ALL = ""
"""Instead of a crawl: the whole log."""

Key = tuple[str, str, str, str]
"""Crawl, measure, protocol, verdict."""


def update(connection: Connection, jobs: Iterable[Job], cache: WriteCache) -> None:
    """Counts what the jobs wrote; call it after ``chain.append``."""
    times: dict[Key, list[datetime]] = {}
    hosts: dict[tuple[str, ...], None] = {}
    words: dict[tuple[str, ...], str] = {}
    for job in jobs:
        if not isinstance(job, RecordDecision) or not job.decision.decision.reasons:
            continue
        record, decision = job.decision, job.decision.decision
        verdict, host = str(decision.verdict), host_in(decision.url)
        for measure, protocol in {(one.measure, one.protocol) for one in decision.reasons}:
            for of in (record.crawl, ALL):
                times.setdefault((of, measure, protocol, verdict), []).append(record.at)
                hosts[of, measure, protocol, verdict, host] = None
        for one in decision.reasons:
            words.setdefault((record.crawl, host, verdict, one.protocol, printable(one.quote)), printable(one.source))
    met = Counter(key[:4] for key in _count_hosts(connection, [key for key in hosts if key not in cache.measured]))
    sums = [(*key, len(at), met[key], iso_utc(min(at)), iso_utc(max(at))) for key, at in sorted(times.items())]
    upsert(connection, crawl_measures, sums, _SUMS)
    add_words(connection, {key: source for key, source in words.items() if key not in cache.words})
    cache.measured.note(hosts)
    cache.words.note(key for key, source in words.items() if source.endswith("/robots.txt"))  # never erased with a page


_SUMS = (
    "decisions = crawl_measures.decisions + excluded.decisions, hosts = crawl_measures.hosts + excluded.hosts, "
    + widen_times("crawl_measures")
)


def _count_hosts(connection: Connection, hosts: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Returns the pairs of a crawl_measures row and a host that were not counted yet, and marks them as counted."""
    keys = {digest(*one): one for one in hosts}
    made = insert_new(connection, measure_hosts, [(key,) for key in sorted(keys)], ["key"], "key")
    return [keys[key] for key in made]


def add_words(connection: Connection, words: Mapping[tuple[str, ...], str]) -> None:
    """Adds missing rows to crawl_words: crawl, host, verdict, protocol and quote, each with a source."""
    rows = sorted((digest(*key), *key, source) for key, source in words.items())
    insert_new(connection, crawl_words, rows, crawl_words.c.keys(), "key")


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Removes words of pages to be erased; words that another page has too stay, with that page as source."""
    of, why, sums = decisions.c, reasons.c, crawl_words.c
    mine = select(of.crawl, of.host, of.verdict, why.protocol, why.quote, of.url, of.canonical, of.domain)
    mine = mine.join_from(decisions, reasons, why.decision == of.id)
    pages: dict[bytes, set[str]] = {}
    domains: dict[bytes, str] = {}
    for row in connection.execute(mine.where(of.id.in_(ids), why.source.in_((of.url, of.canonical)))):
        key = digest(*row[:5])
        pages.setdefault(key, set()).update((row.url, row.canonical))
        domains[key] = row.domain
    for some in chunks(sorted(pages)):
        for row in connection.execute(select(crawl_words).where(sums.key.in_(some))).all():
            if row.source in pages[row.key]:
                _remove_words(connection, row, domains[row.key], ids)


def _remove_words(connection: Connection, row: Any, domain: str, ids: Sequence[str]) -> None:
    """Removes words that came from an erased page, or names another page that has them."""
    of, why, this = decisions.c, reasons.c, crawl_words.c.key == row.key
    other = select(why.source).join_from(decisions, reasons, why.decision == of.id)
    other = other.where(of.domain == domain, of.host == row.host, of.crawl == row.crawl, of.verdict == row.verdict)
    other = other.where(of.id.not_in(ids), why.protocol == row.protocol, why.quote == row.quote)
    source = connection.scalar(other.where(why.source != row.source).limit(1))
    if source is None:
        connection.execute(delete(crawl_words).where(this))
    else:
        connection.execute(crawl_words.update().where(this).values(source=source))


def measures(connection: Connection, crawl: str = ALL) -> Iterator[Any]:
    """Yields the rows of crawl_measures of a crawl, or of the whole log, by measure, protocol and verdict."""
    of = crawl_measures.c
    rows = select(crawl_measures).where(of.crawl == crawl).order_by(of.measure, of.protocol, of.verdict)
    yield from connection.execute(rows)


def only_in(connection: Connection, crawl: str, other: str, verdict: str) -> Iterator[Any]:
    """Yields words that decided in one crawl and not in another: host, domain, protocol, quote and source."""
    mine, theirs = crawl_words.alias("mine"), crawl_words.alias("theirs")
    same = and_(
        theirs.c.crawl == other, theirs.c.verdict == verdict, theirs.c.host == mine.c.host,
        theirs.c.protocol == mine.c.protocol, theirs.c.quote == mine.c.quote,
    )  # fmt: skip
    wanted = select(mine.c.host, hosts.c.domain, mine.c.protocol, mine.c.quote, mine.c.source)
    wanted = wanted.join_from(mine, hosts, hosts.c.host == mine.c.host)
    wanted = wanted.where(mine.c.crawl == crawl, mine.c.verdict == verdict, ~exists().where(same))
    yield from connection.execute(wanted, execution_options={"yield_per": 1000})
