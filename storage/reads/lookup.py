"""Answers a rightsholder's question from the sums over the log: what is known of a domain or a URL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from forbear.optout.model import Preference, Reason, Verdict
from forbear.optout.readers.url import Url, parse
from forbear.storage.db.hostnames import digest, host_of, read, unicode_of
from forbear.storage.db.schema import decisions, host_outcomes, host_reasons, hosts, pages, reasons, removals, urls
from forbear.storage.frontier.hosts import domain_in
from forbear.storage.log.summary import KEPT, REMOVED, reason_key

WORDS = 50
"""Most reasons listed per verdict: a site may have different words on every page."""

EXAMPLES = 3
"""URLs shown per outcome."""

HOSTS = 20
"""Hosts of a domain from which words and examples are taken."""


OPERATOR = "operator"
"""``optout.protocols.operator.NAME``, without loading every protocol's readers for a look-up."""


class Answer(StrEnum):
    """What happened, in a word; of several outcomes, the one that matters most to the person who asks."""

    KEPT = "kept"
    EXCLUDED = "excluded"
    DEFERRED = "deferred"
    ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class DecidingWords:
    """The words that decided, how often, and since when."""

    verdict: Verdict
    protocol: str
    quote: str
    source: str
    where: str
    measure: str
    first_at: datetime
    last_at: datetime
    decisions: int

    @property
    def is_failure(self) -> bool:
        """Whether ``quote`` is the name of a failure to read, not somebody's words."""
        return self.verdict is Verdict.DEFERRED

    @property
    def is_own(self) -> bool:
        """Whether it is an entry of the operator's own list."""
        return self.protocol == OPERATOR

    def merged(self, other: Self) -> Self:
        """Returns the same words with the times and decisions of both."""
        return replace(
            self,
            first_at=min(self.first_at, other.first_at),
            last_at=max(self.last_at, other.last_at),
            decisions=self.decisions + other.decisions,
        )


class RemovedCopy(NamedTuple):
    """A copy that was kept once: since when, and when it began to leave the corpus."""

    url: str
    kept_at: datetime
    left_at: datetime


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What crawls did with a URL, a host and all below it, or a registrable domain.

    ``name`` is the canonical URL or A-label name, ``unicode`` the same for people. ``urls`` counts URLs: ``kept`` if
    there is a copy, the others by their latest decision (kept ones are counted there too), ``removed`` if a copy was
    removed. ``since`` is the first exclusion, ``words`` are newest first, ``left`` are removed copies: all of a URL,
    some of a domain.
    """

    name: str
    unicode: str
    scope: str
    answer: Answer
    first_seen: datetime
    last_seen: datetime
    since: datetime | None
    urls: dict[str, int]
    words: tuple[DecidingWords, ...]
    examples: dict[str, tuple[str, ...]]
    left: tuple[RemovedCopy, ...] = ()


def lookup(connection: Connection, asked: str) -> LookupResult | None:
    """Looks up ``bücher.example``, ``https://a.example`` (the same as the name) or ``https://a.example/page``.

    Returns None if no crawl ever decided about it, so none ever requested it. Raises NotAUrl.
    """
    url = read(asked)
    if url.target != "/":
        return _of_url(connection, url, asked)
    return _of_host(connection, host_of(url))


def _of_host(connection: Connection, host: str) -> LookupResult | None:
    registrable = domain_in(connection, host)
    below: ColumnElement[bool] = hosts.c.domain == registrable
    if host != registrable:
        below = and_(below, or_(hosts.c.host == host, hosts.c.host.endswith(f".{host}", autoescape=True)))
    sums = connection.execute(
        select(
            host_outcomes.c.outcome,
            func.sum(host_outcomes.c.urls),
            func.min(host_outcomes.c.first_at),
            func.max(host_outcomes.c.last_at),
        )
        .join_from(host_outcomes, hosts, hosts.c.host == host_outcomes.c.host)
        .where(below)
        .group_by(host_outcomes.c.outcome)
    ).all()
    if not sums:
        return None
    counts = {outcome: int(count) for outcome, count, _, _ in sums if count}
    words = [words for verdict in (Verdict.EXCLUDED, Verdict.DEFERRED) for words in _words(connection, below, verdict)]
    return LookupResult(
        name=host,
        unicode=unicode_of(host),
        scope="domain" if host == registrable else "host",
        answer=_answer(counts),
        first_seen=min(first for _, _, first, _ in sums),
        last_seen=max(last for _, _, _, last in sums),
        since=next((first for outcome, count, first, _ in sums if count and outcome == Verdict.EXCLUDED), None),
        urls=counts,
        words=tuple(words),
        examples={outcome: _examples(connection, below, outcome) for outcome in counts if outcome != REMOVED},
        left=_removed_copies(connection, *_decided(host, registrable), limit=EXAMPLES) if REMOVED in counts else (),
    )


def _decided(host: str, registrable: str) -> Iterator[ColumnElement[bool]]:
    """Yields conditions for decisions about a host and all below it."""
    yield decisions.c.domain == registrable
    if host != registrable:
        yield or_(decisions.c.host == host, decisions.c.host.endswith(f".{host}", autoescape=True))


def _answer(counts: dict[str, int]) -> Answer:
    return next(answer for answer in Answer if counts.get(answer))


def _latest_hosts(connection: Connection, below: ColumnElement[bool], outcome: str) -> Sequence[str]:
    """Returns the hosts with the latest of an outcome; only a few, since a domain may have a million."""
    found = (
        select(host_outcomes.c.host)
        .join_from(host_outcomes, hosts, hosts.c.host == host_outcomes.c.host)
        .where(below, host_outcomes.c.outcome == outcome)
        .order_by(host_outcomes.c.last_at.desc(), host_outcomes.c.host)
        .limit(HOSTS)
    )
    return connection.scalars(found).all()


def _words(connection: Connection, below: ColumnElement[bool], verdict: Verdict) -> list[DecidingWords]:
    """Returns the newest words of all the hosts; the same line of the same file is listed once."""
    columns = host_reasons.c
    newest = select(host_reasons).where(columns.verdict == str(verdict)).order_by(columns.last_at.desc()).limit(WORDS)
    merged: dict[tuple[str, ...], DecidingWords] = {}
    for host in _latest_hosts(connection, below, verdict):
        for row in connection.execute(newest.where(columns.host == host)):
            words = _read(row)
            key = (words.protocol, words.quote, words.source, words.where, words.measure)
            merged[key] = words.merged(merged[key]) if key in merged else words
    return sorted(merged.values(), key=lambda words: words.last_at, reverse=True)[:WORDS]


def _read(row: Row[Any]) -> DecidingWords:
    fields = (row.protocol, row.quote, row.source, row.place, row.measure)
    return DecidingWords(Verdict(row.verdict), *fields, row.first_at, row.last_at, row.decisions)


def _examples(connection: Connection, below: ColumnElement[bool], outcome: str) -> tuple[str, ...]:
    kept = outcome == KEPT
    condition, newest = (
        (urls.c.kept_at.is_not(None), urls.c.kept_at) if kept else (urls.c.verdict == outcome, urls.c.at)
    )
    examples: list[str] = []
    for host in _latest_hosts(connection, below, outcome):
        found = select(urls.c.url).where(urls.c.host == host, condition).order_by(newest.desc())
        examples += connection.scalars(found.limit(EXAMPLES - len(examples)))
        if len(examples) == EXAMPLES:
            break
    return tuple(examples)


def _of_url(connection: Connection, url: Url, asked: str) -> LookupResult | None:
    hrefs = [url.href]
    if "://" not in asked:  # typed without a scheme: either may have been crawled
        hrefs.append(parse(f"http://{asked.strip()}").href)
    rows = connection.execute(select(urls).where(urls.c.key.in_([digest(href) for href in hrefs]))).all()
    if not rows:
        return None
    row = max(rows, key=lambda row: (row.kept_at is not None, row.at))
    words = _words_of(connection, row)
    left = _removed_copies(connection, pages.c.url == row.url)
    counts = {row.verdict: 1} | ({KEPT: 1} if row.kept_at else {}) | ({REMOVED: 1} if left else {})
    return LookupResult(
        name=row.url,
        unicode=row.url.replace(url.host, url.unicode_host, 1),
        scope="url",
        answer=_answer(counts),
        first_seen=row.first_at,
        last_seen=max(row.at, row.kept_at or row.at),
        since=min((one.first_at for one in words if row.verdict == Verdict.EXCLUDED), default=None),
        urls=counts,
        words=words,
        examples=dict.fromkeys(counts, (row.url,)),
        left=left,
    )


def _removed_copies(
    connection: Connection, *where: ColumnElement[bool], limit: int | None = None
) -> tuple[RemovedCopy, ...]:
    """Returns removed copies, oldest first."""
    found = select(pages.c.url, pages.c.kept_at, removals.c.at).join_from(removals, pages)
    found = found.join(decisions, decisions.c.id == pages.c.decision).where(pages.c.url != "", *where).limit(limit)
    return tuple(sorted((RemovedCopy(*row) for row in connection.execute(found)), key=lambda one: one.kept_at))


def _words_of(connection: Connection, row: Row[Any]) -> tuple[DecidingWords, ...]:
    """Returns the words behind the latest decision about a URL, and since when they hold for its host."""
    if row.verdict == Verdict.ALLOWED:
        return ()
    verdict = Verdict(row.verdict)
    rows = connection.execute(select(reasons).where(reasons.c.decision == row.decision).order_by(reasons.c.position))
    keys = [
        reason_key(
            row.host,
            verdict,
            Reason(one.protocol, Preference(one.preference), one.quote, one.source, one.place, one.measure),
        )
        for one in rows
    ]
    found = connection.execute(select(host_reasons).where(host_reasons.c.key.in_(keys))).all()
    return tuple(_read(one) for one in sorted(found, key=lambda one: keys.index(one.key)))
