"""What was said in each crawl and by which measure it counts: kept in step with the log, in the same transaction.

Like all rollups they are written while the writer holds the chain's turn, so that no two processes count at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, LargeBinary, Table, Text, and_, delete, exists, select

from forbear.storage.dialects import add_new, chunks, count_up
from forbear.storage.memo import Memo
from forbear.storage.names import digest, host_in
from forbear.storage.records import Decided, Job
from forbear.storage.schema import decisions, hosts, metadata, reasons
from forbear.storage.summary import wider
from forbear.storage.types import Count, Instant, Shown, shown, written

ALL = ""
"""Instead of a crawl: the whole log."""

crawl_measures = Table(
    "crawl_measures",
    metadata,
    Column("crawl", Text, primary_key=True, comment="The crawl; empty for the whole log."),
    Column("measure", Text, primary_key=True, comment="Paragraph of the Copyright chapter."),
    Column("protocol", Text, primary_key=True, comment="The protocol of a reason."),
    Column("verdict", Text, primary_key=True, comment="What followed."),
    Column("decisions", Count, nullable=False, comment="How many decisions have such a reason."),
    Column("hosts", Count, nullable=False, comment="About how many hosts."),
    Column("first_at", Instant, nullable=False, comment="The first of them (UTC)."),
    Column("last_at", Instant, nullable=False, comment="The last of them (UTC)."),
    comment="Sum over reasons: how many decisions each measure was served by.",
)

measure_hosts = Table(
    "measure_hosts",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="16-octet BLAKE2b digest of a row's key there and a host."),
    comment="Which hosts are in crawl_measures, to count each once.",
)

crawl_words = Table(
    "crawl_words",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="16-octet BLAKE2b digest of crawl, host, verdict and words."),
    Column("crawl", Text, nullable=False, comment="The crawl."),
    Column("host", Text, nullable=False, comment="The host that was decided about."),
    Column("verdict", Text, nullable=False, comment="excluded or deferred."),
    Column("protocol", Text, nullable=False, comment="The protocol of the words."),
    Column("quote", Shown, nullable=False, comment="The words of the site; or the failure's name."),
    Column("source", Shown, nullable=False, comment="A URL that they come from."),
    Index(None, "crawl", "verdict", "host"),
    comment="Sum over reasons: whose words decided about which host in which crawl.",
)

Key = tuple[str, str, str, str]
"""Crawl, measure, protocol, verdict."""


def update(connection: Connection, jobs: Iterable[Job], memo: Memo) -> None:
    """Counts what the jobs wrote; to be called after ``chain.append``."""
    times: dict[Key, list[datetime]] = {}
    hosts: dict[tuple[str, ...], None] = {}
    words: dict[tuple[str, ...], str] = {}
    for job in jobs:
        if not isinstance(job, Decided) or not job.decision.decision.reasons:
            continue
        record, decision = job.decision, job.decision.decision
        verdict, host = str(decision.verdict), host_in(decision.url)
        for measure, protocol in {(one.measure, one.protocol) for one in decision.reasons}:
            for of in (record.crawl, ALL):
                times.setdefault((of, measure, protocol, verdict), []).append(record.at)
                hosts[of, measure, protocol, verdict, host] = None
        for one in decision.reasons:
            words.setdefault((record.crawl, host, verdict, one.protocol, shown(one.quote)), shown(one.source))
    met = Counter(key[:4] for key in _meet(connection, [key for key in hosts if key not in memo.measured]))
    sums = [(*key, len(at), met[key], written(min(at)), written(max(at))) for key, at in sorted(times.items())]
    count_up(connection, crawl_measures, sums, _SUMS)
    say(connection, {key: source for key, source in words.items() if key not in memo.words})
    memo.measured.note(hosts)
    memo.words.note(key for key, source in words.items() if source.endswith("/robots.txt"))  # never erased with a page


_SUMS = (
    "decisions = crawl_measures.decisions + excluded.decisions, hosts = crawl_measures.hosts + excluded.hosts, "
    + wider("crawl_measures")
)


def _meet(connection: Connection, hosts: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Of rows of crawl_measures with a host, those that are not counted yet; they are from now on."""
    keys = {digest(*one): one for one in hosts}
    made = add_new(connection, measure_hosts, [(key,) for key in sorted(keys)], ["key"], "key")
    return [keys[key] for key in made]


def say(connection: Connection, words: Mapping[tuple[str, ...], str]) -> None:
    """Adds rows to crawl_words that are not there yet: crawl, host, verdict, protocol and quote, with a source."""
    rows = sorted((digest(*key), *key, source) for key, source in words.items())
    add_new(connection, crawl_words, rows, crawl_words.c.keys(), "key")


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Words of pages that are about to be erased: they stay where another page said the same, which is named then."""
    of, said, sums = decisions.c, reasons.c, crawl_words.c
    mine = select(of.crawl, of.host, of.verdict, said.protocol, said.quote, of.url, of.canonical, of.domain)
    mine = mine.join_from(decisions, reasons, said.decision == of.id)
    pages: dict[bytes, set[str]] = {}
    domains: dict[bytes, str] = {}
    for row in connection.execute(mine.where(of.id.in_(ids), said.source.in_((of.url, of.canonical)))):
        key = digest(*row[:5])
        pages.setdefault(key, set()).update((row.url, row.canonical))
        domains[key] = row.domain
    for some in chunks(sorted(pages)):
        for row in connection.execute(select(crawl_words).where(sums.key.in_(some))).all():
            if row.source in pages[row.key]:
                _leave(connection, row, domains[row.key], ids)


def _leave(connection: Connection, row: Any, domain: str, ids: Sequence[str]) -> None:
    """Takes words out that came from a page which is erased, or names another one that has them."""
    of, said, this = decisions.c, reasons.c, crawl_words.c.key == row.key
    other = select(said.source).join_from(decisions, reasons, said.decision == of.id)
    other = other.where(of.domain == domain, of.host == row.host, of.crawl == row.crawl, of.verdict == row.verdict)
    other = other.where(of.id.not_in(ids), said.protocol == row.protocol, said.quote == row.quote)
    source = connection.scalar(other.where(said.source != row.source).limit(1))
    if source is None:
        connection.execute(delete(crawl_words).where(this))
    else:
        connection.execute(crawl_words.update().where(this).values(source=source))


def measures(connection: Connection, crawl: str = ALL) -> Iterator[Any]:
    """The rows of crawl_measures of a crawl, or of the whole log, by measure, protocol and verdict."""
    of = crawl_measures.c
    rows = select(crawl_measures).where(of.crawl == crawl).order_by(of.measure, of.protocol, of.verdict)
    yield from connection.execute(rows)


def only_in(connection: Connection, crawl: str, other: str, verdict: str) -> Iterator[Any]:
    """``host``, ``domain``, ``protocol``, ``quote``, ``source`` of words that decided in one crawl, not in another."""
    mine, theirs = crawl_words.alias("mine"), crawl_words.alias("theirs")
    same = and_(
        theirs.c.crawl == other, theirs.c.verdict == verdict, theirs.c.host == mine.c.host,
        theirs.c.protocol == mine.c.protocol, theirs.c.quote == mine.c.quote,
    )  # fmt: skip
    wanted = select(mine.c.host, hosts.c.domain, mine.c.protocol, mine.c.quote, mine.c.source)
    wanted = wanted.join_from(mine, hosts, hosts.c.host == mine.c.host)
    wanted = wanted.where(mine.c.crawl == crawl, mine.c.verdict == verdict, ~exists().where(same))
    yield from connection.execute(wanted, execution_options={"yield_per": 1000})
