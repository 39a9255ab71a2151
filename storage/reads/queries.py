"""Reads the audit log: filtered, streamed, newest last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from forbear.optout.model import Preference, Stage, StatementStatus, Verdict
from forbear.optout.readers.url import NotAUrl
from forbear.storage.db.hostnames import domain_of, host_of, read
from forbear.storage.db.schema import decisions, reasons, statements

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on decisions; None does not restrict.

    ``domain`` is a host name in any spelling, or a URL of it, with subdomains if ``subdomains``; ``url_prefix`` is the
    start of canonical URLs; ``protocol`` and ``measure`` are those of a reason; ``verdict`` is the verdict in force,
    ``standard`` and ``strict`` those of these profiles; ``since`` is inclusive, ``until`` exclusive; ``limit`` takes
    the newest. ``decision`` is a single id.
    """

    domain: str | None = None
    subdomains: bool = True
    url_prefix: str | None = None
    protocol: str | None = None
    measure: str | None = None
    verdict: Verdict | None = None
    standard: Verdict | None = None
    strict: Verdict | None = None
    stage: Stage | None = None
    crawl: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    decision: str | None = None


def log(connection: Connection, wanted: Filter) -> Iterator[dict[str, Any]]:
    """Yields decisions as rows of ``forbear log --format jsonl`` (cli.md), newest last, a few in memory at a time.

    Raises NotAUrl for an invalid domain or URL prefix.
    """
    found = connection.execute(_statement(wanted), execution_options={"yield_per": _CHUNK})
    for rows in found.partitions():
        because = reasons_of(connection, [row.id for row in rows])
        for row in rows:
            yield _row(row, because.get(row.id, []))


def ids(connection: Connection, wanted: Filter, size: int = _CHUNK) -> Iterator[list[str]]:
    """Yields the ids of decisions in batches, in the order of the log; raises NotAUrl as ``log`` does."""
    rows = _statement(wanted).with_only_columns(decisions.c.id) if wanted.limit is None else _statement(wanted)
    for some in connection.execute(rows, execution_options={"yield_per": size}).partitions():
        yield [row.id for row in some]


def ignored_reservations(connection: Connection, crawl: str) -> dict[str, tuple[str, str, str]]:
    """Returns, for allowing decisions of a crawl, the first reservation that did not exclude.

    By decision: protocol, words and place. Such words count in another profile only, or are for people to judge.
    """
    columns = statements.c
    wanted = (
        select(columns.decision, columns.protocol, columns.quote, columns.place)
        .join(decisions, decisions.c.id == columns.decision)
        .where(decisions.c.crawl == crawl, decisions.c.verdict == str(Verdict.ALLOWED))
        .where(columns.preference == str(Preference.DISALLOW), columns.force != str(StatementStatus.SUPERSEDED))
        .order_by(columns.decision, columns.position.desc())
    )
    return {row.decision: (row.protocol, row.quote, row.place) for row in connection.execute(wanted)}


def _statement(wanted: Filter) -> Select[Any]:
    columns = decisions.c
    rows = select(
        columns.id, columns.at, columns.crawl, columns.url, columns.host, columns.domain, columns.verdict,
        columns.stage, columns.status, columns.content_sha256, columns.bytes, columns.engine, columns.policy,
        columns.verdict_standard, columns.verdict_strict,
    ).where(*conditions(wanted))  # fmt: skip
    if wanted.limit is None:
        return rows.order_by(columns.at, columns.id)
    newest = rows.order_by(columns.at.desc(), columns.id.desc()).limit(wanted.limit).subquery()
    return select(newest).order_by(newest.c.at, newest.c.id)


def conditions(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    """Yields the SQL conditions of a filter, except its limit; raises NotAUrl."""
    columns = decisions.c
    if wanted.decision is not None:
        yield columns.id == wanted.decision
    if wanted.domain is not None:
        yield from of_domain(wanted.domain, wanted.subdomains)
    if wanted.url_prefix is not None:
        yield from _with_prefix(wanted.url_prefix)
    asked = {reasons.c.protocol: wanted.protocol, reasons.c.measure: wanted.measure}
    because = [column == value for column, value in asked.items() if value is not None]
    if because:  # one reason must have both
        yield columns.id.in_(select(reasons.c.decision).where(*because))
    for column, value in (
        (columns.verdict, wanted.verdict),
        (columns.verdict_standard, wanted.standard),
        (columns.verdict_strict, wanted.strict),
        (columns.stage, wanted.stage),
    ):
        if value is not None:
            yield column == str(value)
    if wanted.crawl is not None:
        yield columns.crawl == wanted.crawl
    if wanted.since is not None:
        yield columns.at >= wanted.since
    if wanted.until is not None:
        yield columns.at < wanted.until


def of_domain(domain: str, subdomains: bool) -> Iterator[ColumnElement[bool]]:
    """Yields conditions for a host, or a host and all below it, using the index on the registrable domain."""
    host = host_of(read(domain))
    registrable = domain_of(host)
    yield decisions.c.domain == registrable
    if not subdomains:
        yield decisions.c.host == host
    elif host != registrable:
        yield or_(decisions.c.host == host, decisions.c.host.endswith(f".{host}", autoescape=True))


def _with_prefix(prefix: str) -> Iterator[ColumnElement[bool]]:
    """Returns the condition for canonical URLs with a prefix. LIKE would not do: SQLite's takes a for A."""
    scheme = "" if "://" in prefix else "https://"
    url = read(scheme + prefix)
    if url.target == "/" and not prefix.endswith("/"):
        raise NotAUrl(f"{prefix!r} ends in the middle of a host: write {url.href!r}, or filter by domain")
    yield decisions.c.domain == domain_of(host_of(url))
    yield func.substr(decisions.c.canonical, 1, len(url.href)) == url.href


def reasons_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """Returns the reasons of decisions, in order, as ``forbear log`` shows them."""
    because: dict[str, list[dict[str, str]]] = {}
    columns = reasons.c
    found = select(reasons).where(columns.decision.in_(ids)).order_by(columns.decision, columns.position)
    for row in connection.execute(found):
        because.setdefault(row.decision, []).append(
            {
                "protocol": row.protocol,
                "preference": row.preference,
                "quote": row.quote,
                "source": row.source,
                "where": row.place,
                "measure": row.measure,
            }
        )
    return because


def _row(row: Row[Any], because: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at.isoformat(),
        "crawl": row.crawl,
        "url": row.url,
        "host": row.host,
        "domain": row.domain,
        "verdict": row.verdict,
        "reasons": because,
        "stage": row.stage,
        "status": row.status,
        "content_sha256": row.content_sha256,
        "bytes": row.bytes,
        "engine": row.engine,
        "policy": row.policy,
        "verdict_standard": row.verdict_standard,
        "verdict_strict": row.verdict_strict,
    }
