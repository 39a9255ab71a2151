"""Questions of legal teams, beyond single decisions; rows have the columns of columns.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, cast, exists, func, null, or_, select, union_all

from forbear.optout.captures import REFUSED
from forbear.optout.model import Preference, Verdict
from forbear.optout.readers.text import readable, to_utf8
from forbear.storage.db.dialects import chunks
from forbear.storage.db.errors import StorageError
from forbear.storage.db.hostnames import digest, domain_of, host_of, read
from forbear.storage.db.schema import (
    captures,
    crawls,
    decisions,
    host_reasons,
    hosts,
    pages,
    reasons,
    removals,
    statements,
    urls,
)
from forbear.storage.db.types import Instant
from forbear.storage.log import crawl_sums, evidence
from forbear.storage.reads.columns import BEFORE_OPTOUT, CHANGES, MEASURES, UNREADABLE
from forbear.storage.reads.queries import Filter, conditions, of_domain, reasons_of

Rows = Iterator[dict[str, Any]]

_SEVERAL = {"yield_per": 500}


def measures(connection: Connection, wanted: Filter) -> Rows:
    """Yields how many decisions each measure of the Code was served by, by protocol and verdict. Raises NotAUrl.

    For a crawl or the whole log these are stored sums; other decisions are counted one by one.
    """
    if wanted == Filter(crawl=wanted.crawl, verdict=wanted.verdict):
        for row in crawl_sums.measures(connection, wanted.crawl or crawl_sums.ALL):
            if wanted.verdict in (None, row.verdict):
                yield {name: _plain(row._mapping[name]) for name in MEASURES.names}
        return
    why, of = reasons.c, decisions.c
    counted = (
        select(
            why.measure, why.protocol, of.verdict, func.count(of.id.distinct()).label("decisions"),
            func.count(of.host.distinct()).label("hosts"),
            func.min(of.at).label("first_at"), func.max(of.at).label("last_at"),
        )
        .join_from(reasons, decisions, of.id == why.decision)
        .where(*conditions(wanted))
        .group_by(why.measure, why.protocol, of.verdict)
        .order_by(why.measure, why.protocol, of.verdict)
    )  # fmt: skip
    for row in connection.execute(counted):
        yield {name: _plain(row._mapping[name]) for name in MEASURES.names}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def before_optout(connection: Connection, domain: str | None = None) -> Rows:
    """Yields kept copies that were later found reserved; some have left the corpus. Raises NotAUrl."""
    copies = union_all(_standing(domain), _removed(domain)).subquery()
    found = select(copies).order_by(copies.c.host, copies.c.url, copies.c.kept_at)
    for rows in connection.execute(found, execution_options=_SEVERAL).partitions():
        because = reasons_of(connection, [row.decision for row in rows])
        for row in rows:
            known = {**row._mapping, "reasons": because.get(row.decision, [])}
            yield {name: _plain(known[name]) for name in BEFORE_OPTOUT.names}


_COPY = (pages.c.decision.label("page"), pages.c.crawl, pages.c.warc_file, pages.c.warc_offset, pages.c.warc_length)


def _standing(domain: str | None) -> Select[Any]:
    of = urls.c
    wanted = select(
        of.url, of.host, hosts.c.domain, pages.c.kept_at, of.at.label("excluded_at"), of.decision, *_COPY,
        cast(null(), Instant).label("removed_at"),
    )  # fmt: skip
    wanted = wanted.join_from(urls, hosts, hosts.c.host == of.host).join(pages, pages.c.url == of.url)
    wanted = wanted.where(of.verdict == str(Verdict.EXCLUDED), of.kept_at.is_not(None), pages.c.kept_at < of.at)
    wanted = wanted.where(~exists().where(removals.c.page == pages.c.decision))
    return wanted.where(*_below(domain)) if domain is not None else wanted


def _removed(domain: str | None) -> Select[Any]:
    because, of = decisions.alias("because"), decisions.c
    wanted = select(
        pages.c.url, of.host, of.domain, pages.c.kept_at, because.c.at, removals.c.decision, *_COPY, removals.c.at
    )
    wanted = wanted.join_from(removals, pages, pages.c.decision == removals.c.page)
    wanted = wanted.join(decisions, of.id == removals.c.page).join(because, because.c.id == removals.c.decision)
    wanted = wanted.where(because.c.verdict == str(Verdict.EXCLUDED), pages.c.url != "")
    return wanted.where(*of_domain(domain, subdomains=True)) if domain is not None else wanted


def unreadable(connection: Connection, domain: str | None = None) -> Rows:
    """Yields sites whose robots.txt was unreadable or refused, which deferred decisions. Raises NotAUrl."""
    columns = host_reasons.c
    failed = (
        select(host_reasons, hosts.c.domain)
        .join_from(host_reasons, hosts, hosts.c.host == columns.host)
        .where(columns.verdict == str(Verdict.DEFERRED), columns.protocol.in_(("unreachable", REFUSED)))
        .where(columns.source.endswith("/robots.txt"))
        .order_by(columns.host, columns.first_at)
    )
    if domain is not None:
        failed = failed.where(*_below(domain))
    for row in connection.execute(failed, execution_options=_SEVERAL):
        known = {**row._mapping, "failure": row.quote}
        yield {name: _plain(known[name]) for name in UNREADABLE.names}


def _below(domain: str) -> Iterator[Any]:
    """Yields conditions for a domain's hosts, or for a host and all below it."""
    host = host_of(read(domain))
    yield hosts.c.domain == domain_of(host)
    if host != domain_of(host):
        yield or_(hosts.c.host == host, hosts.c.host.endswith(f".{host}", autoescape=True))


def disagreements(connection: Connection, wanted: Filter) -> Rows:
    """Yields decisions that one protocol excluded although another allows the use. Raises NotAUrl."""
    stated, of, words = statements.c, decisions.c, reasons.c
    both_decided = (
        select(
            of.id, of.at, of.crawl, of.url, of.host, of.domain, of.use,
            stated.protocol.label("allowed_by"), stated.quote.label("allowed_quote"),
            stated.source.label("allowed_source"), stated.place.label("allowed_where"), stated.uses,
            words.protocol.label("reserved_by"), words.quote.label("reserved_quote"),
            words.source.label("reserved_source"), words.place.label("reserved_where"),
        )
        .join_from(decisions, statements, stated.decision == of.id)
        .join(reasons, and_(words.decision == of.id, words.protocol != stated.protocol))
        .where(of.verdict == str(Verdict.EXCLUDED), words.preference == str(Preference.DISALLOW))
        .where(stated.preference == str(Preference.ALLOW), stated.force == "standing", *conditions(wanted))
        .order_by(of.at, of.id, stated.position, words.position)
    )  # fmt: skip
    for row in connection.execute(both_decided, execution_options=_SEVERAL):
        if row.use in row.uses:
            found = {name: _plain(value) for name, value in row._mapping.items() if name not in ("use", "uses")}
            yield {"decision": found.pop("id"), **found}


def changes(connection: Connection, first: str, second: str) -> Rows:
    """Yields what excluded in one of two crawls only, for hosts that both decided about; the second is the later.

    Words of a reservation file count as withdrawn only if the second crawl saw the file without them, and as new only
    if the first one did: a crawl may not have reached where they apply. A page's own words count only if the other
    crawl reached that page. Raises StorageError for an unknown crawl.
    """
    known = {row.id: row for row in connection.execute(select(crawls).where(crawls.c.id.in_((first, second))))}
    for crawl in (first, second):
        if crawl not in known:
            raise StorageError(f"There is no crawl {crawl!r} in this log: `forbear log sql` can list log_crawls.")
    verdict = str(Verdict.EXCLUDED)
    gone = _by_site(crawl_sums.only_in(connection, first, second, verdict))
    new = _by_site(crawl_sums.only_in(connection, second, first, verdict))
    compared = _Compared(connection, known[first], known[second])
    sites = sorted(gone.keys() | new.keys())
    for some in chunks(sites):
        compared.read_files(known[second], (source for site in some for source in gone.get(site, {}).values()))
        compared.read_files(known[first], (source for site in some for source in new.get(site, {}).values()))
        for site in some:
            yield from _changed(compared, site, gone.get(site, {}), new.get(site, {}))


Site = tuple[str, str, str]
"""Host, its domain, and the protocol of words."""


def _by_site(words: Iterable[Row[Any]]) -> dict[Site, dict[str, str]]:
    """Groups words by site, each with a source."""
    found: dict[Site, dict[str, str]] = {}
    for row in words:
        found.setdefault((row.host, row.domain, row.protocol), {})[row.quote] = row.source
    return found


def _changed(compared: _Compared, site: Site, gone: dict[str, str], new: dict[str, str]) -> Rows:
    host, domain, _ = site
    if not compared.both_decided(host, domain, bool(gone), bool(new)):
        return
    then = [(quote, source) for quote, source in sorted(gone.items()) if compared.did_not_see(quote, source, domain, 1)]
    now = [(quote, source) for quote, source in sorted(new.items()) if compared.did_not_see(quote, source, domain, 0)]
    for number in range(max(len(then), len(now))):
        old, newer = (some[number] if number < len(some) else (None, None) for some in (then, now))
        change = "withdrawn" if newer[0] is None else "new" if old[0] is None else "changed"
        yield dict(zip(CHANGES.names, (change, *site, *old, *newer), strict=True))


class _Compared:
    """Two crawls, and what each of them saw."""

    def __init__(self, connection: Connection, first: Row[Any], second: Row[Any]) -> None:
        self._connection = connection
        self._crawls = (first, second)
        self._texts: dict[tuple[str, str], str] = {}
        self._files: set[str] = set()

    def both_decided(self, host: str, domain: str, *known: bool) -> bool:
        """Returns whether both crawls decided about a host; ``known`` is what the words show for each."""
        return all(
            found or self._decided(crawl, host, domain) for crawl, found in zip(self._crawls, known, strict=True)
        )

    def _decided(self, crawl: Row[Any], host: str, domain: str) -> bool:
        of = decisions.c
        asked = exists().where(of.domain == domain, of.host == host, of.crawl == crawl.id, *_during(crawl))
        return bool(self._connection.scalar(select(asked)))

    def read_files(self, crawl: Row[Any], sources: Iterable[str]) -> None:
        """Reads the reservation files among these as a crawl saw them, many at a time."""
        of = captures.c
        newest: dict[str, tuple[datetime, str]] = {}
        for some in chunks(sorted(set(sources))):
            seen = select(of.id, of.url, of.fetched_at).where(of.url_key.in_([digest(source) for source in some]))
            for row in self._connection.execute(seen.where(of.url.in_(some), of.expires_at.is_not(None))):
                self._files.add(row.url)
                if not crawl.finished_at or row.fetched_at <= crawl.finished_at:
                    newest[row.url] = max(newest.get(row.url, (row.fetched_at, row.id)), (row.fetched_at, row.id))
        found = evidence.stored_captures(self._connection, [id_ for _, id_ in newest.values()])
        for source, (_, id_) in newest.items():
            if id_ in found:
                self._texts[crawl.id, source] = readable(to_utf8(found[id_].capture.body))

    def did_not_see(self, quote: str, source: str, domain: str, crawl: int) -> bool:
        """Checks whether the first (0) or second (1) crawl saw no such words where the other one did.

        False if a file as it saw it had them, or if they are on a page that it did not reach.
        """
        row = self._crawls[crawl]
        if source in self._files or "://" not in source:
            return quote not in self._texts.get((row.id, source), "")
        of = decisions.c
        page = exists().where(of.domain == domain, of.crawl == row.id, or_(of.url == source, of.canonical == source))
        return bool(self._connection.scalar(select(page.where(*_during(row)))))


def _during(crawl: Row[Any]) -> list[ColumnElement[bool]]:
    """Returns conditions for decisions made during a crawl."""
    ended = [decisions.c.at <= crawl.finished_at] if crawl.finished_at else []
    return [decisions.c.at >= crawl.started_at, *ended]
