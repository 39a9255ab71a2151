"""What legal teams ask of the log, beside its decisions one by one; every row has the columns of columns.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, or_, select

from optout.model import Preference, Verdict
from optout.readers.text import readable, to_utf8
from storage import evidence
from storage.columns import BEFORE_OPTOUT, CHANGES, MEASURES, UNREADABLE
from storage.errors import StorageError
from storage.names import digest, domain_of, host_of, read
from storage.queries import Filter, conditions, reasons_of
from storage.schema import captures, crawls, decisions, host_reasons, hosts, reasons, statements, urls

Rows = Iterator[dict[str, Any]]

_SEVERAL = {"yield_per": 500}


def measures(connection: Connection, wanted: Filter) -> Rows:
    """How many decisions each measure of the Code was served by, by protocol and verdict. Raises NotAUrl."""
    said, of = reasons.c, decisions.c
    counted = (
        select(
            said.measure, said.protocol, of.verdict, func.count(of.id.distinct()).label("decisions"),
            func.count(of.host.distinct()).label("hosts"),
            func.min(of.at).label("first_at"), func.max(of.at).label("last_at"),
        )
        .join_from(reasons, decisions, of.id == said.decision)
        .where(*conditions(wanted))
        .group_by(said.measure, said.protocol, of.verdict)
        .order_by(said.measure, said.protocol, of.verdict)
    )  # fmt: skip
    for row in connection.execute(counted):
        yield {name: _plain(row._mapping[name]) for name in MEASURES.names}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def before_optout(connection: Connection, domain: str | None = None) -> Rows:
    """Pages of which a copy was kept, and that were found to be reserved since. Raises NotAUrl."""
    columns = urls.c
    kept = select(urls, hosts.c.domain).join_from(urls, hosts, hosts.c.host == columns.host)
    kept = kept.where(
        columns.verdict == str(Verdict.EXCLUDED), columns.kept_at.is_not(None), columns.kept_at < columns.at
    )
    if domain is not None:
        kept = kept.where(*_below(domain))
    for rows in connection.execute(kept.order_by(columns.host, columns.url), execution_options=_SEVERAL).partitions():
        because = reasons_of(connection, [row.decision for row in rows])
        for row in rows:
            known = {
                "kept_at": row.kept_at.isoformat(),
                "excluded_at": row.at.isoformat(),
                "reasons": because.get(row.decision, []),
            }
            yield {name: known[name] if name in known else row._mapping[name] for name in BEFORE_OPTOUT.names}


def unreadable(connection: Connection, domain: str | None = None) -> Rows:
    """Sites whose robots.txt could not be read, so that decisions were deferred. Raises NotAUrl."""
    columns = host_reasons.c
    failed = (
        select(host_reasons, hosts.c.domain)
        .join_from(host_reasons, hosts, hosts.c.host == columns.host)
        .where(columns.verdict == str(Verdict.DEFERRED), columns.protocol == "unreachable")
        .where(columns.source.endswith("/robots.txt"))
        .order_by(columns.host, columns.first_at)
    )
    if domain is not None:
        failed = failed.where(*_below(domain))
    for row in connection.execute(failed, execution_options=_SEVERAL):
        known = {**row._mapping, "failure": row.quote}
        yield {name: _plain(known[name]) for name in UNREADABLE.names}


def _below(domain: str) -> Iterator[Any]:
    """Hosts of a domain, or a host and all below it."""
    host = host_of(read(domain))
    yield hosts.c.domain == domain_of(host)
    if host != domain_of(host):
        yield or_(hosts.c.host == host, hosts.c.host.endswith(f".{host}", autoescape=True))


def disagreements(connection: Connection, wanted: Filter) -> Rows:
    """Decisions that excluded by the words of one protocol, though another one allows the use. Raises NotAUrl."""
    said, of, words = statements.c, decisions.c, reasons.c
    both = (
        select(
            of.id, of.at, of.crawl, of.url, of.host, of.domain, of.use,
            said.protocol.label("allowed_by"), said.quote.label("allowed_quote"),
            said.source.label("allowed_source"), said.place.label("allowed_where"), said.uses,
            words.protocol.label("reserved_by"), words.quote.label("reserved_quote"),
            words.source.label("reserved_source"), words.place.label("reserved_where"),
        )
        .join_from(decisions, statements, said.decision == of.id)
        .join(reasons, and_(words.decision == of.id, words.protocol != said.protocol))
        .where(of.verdict == str(Verdict.EXCLUDED), words.preference == str(Preference.DISALLOW))
        .where(said.preference == str(Preference.ALLOW), said.force == "standing", *conditions(wanted))
        .order_by(of.at, of.id, said.position, words.position)
    )  # fmt: skip
    for row in connection.execute(both, execution_options=_SEVERAL):
        if row.use in row.uses:
            found = {name: _plain(value) for name, value in row._mapping.items() if name not in ("use", "uses")}
            yield {"decision": found.pop("id"), **found}


def changes(connection: Connection, first: str, second: str) -> Rows:
    """What excluded in one crawl and not in the other, about hosts that both decided about; the second is the later.

    Words of a file with reservations count as withdrawn only if they no longer stand in it as the second crawl saw it,
    and as new only if they did not as the first one did: a crawl may just not have come to where they apply. Raises
    StorageError for a crawl that there is not.
    """
    known = {row.id: row for row in connection.execute(select(crawls).where(crawls.c.id.in_((first, second))))}
    for crawl in (first, second):
        if crawl not in known:
            raise StorageError(f"There is no crawl {crawl!r} in this log: `forbear log sql` can list log_crawls.")
    then, now = (_excluded(connection, crawl) for crawl in (first, second))
    compared = _Compared(connection, known[first], known[second])
    for key in sorted(then.keys() | now.keys()):
        host, domain, _ = key
        before, after = then.get(key, {}), now.get(key, {})
        if not compared.both(host, domain, bool(before), bool(after)):
            continue
        gone = [(quote, before[quote]) for quote in sorted(before.keys() - after.keys())]
        gone = [(quote, source) for quote, source in gone if not compared.stood(quote, source, known[second])]
        new = [(quote, after[quote]) for quote in sorted(after.keys() - before.keys())]
        new = [(quote, source) for quote, source in new if not compared.stood(quote, source, known[first])]
        for number in range(max(len(gone), len(new))):
            old, newer = (some[number] if number < len(some) else (None, None) for some in (gone, new))
            change = "withdrawn" if newer[0] is None else "new" if old[0] is None else "changed"
            yield dict(zip(CHANGES.names, (change, *key, *old, *newer), strict=True))


def _excluded(connection: Connection, crawl: str) -> dict[tuple[str, str, str], dict[str, str]]:
    """The words that excluded, each with a source, by host, domain and protocol."""
    of, said = decisions.c, reasons.c
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    words = (
        select(of.host, of.domain, said.protocol, said.quote, func.min(said.source).label("source"))
        .join_from(decisions, reasons, said.decision == of.id)
        .where(of.crawl == crawl, of.verdict == str(Verdict.EXCLUDED))
        .group_by(of.host, of.domain, said.protocol, said.quote)
    )
    for row in connection.execute(words, execution_options=_SEVERAL):
        found.setdefault((row.host, row.domain, row.protocol), {})[row.quote] = row.source
    return found


class _Compared:
    """Two crawls, and what each of them saw."""

    def __init__(self, connection: Connection, first: Row[Any], second: Row[Any]) -> None:
        self._connection = connection
        self._crawls = (first, second)
        self._visited: dict[tuple[str, str], bool] = {}
        self._texts: dict[tuple[str, str], str | None] = {}

    def both(self, host: str, domain: str, *known: bool) -> bool:
        """Whether both decided about a host; ``known`` is what the words say of each."""
        return all(said or self._decided(crawl, host, domain) for crawl, said in zip(self._crawls, known, strict=True))

    def _decided(self, crawl: Row[Any], host: str, domain: str) -> bool:
        of = decisions.c
        if (crawl.id, host) not in self._visited:
            when = [of.at >= crawl.started_at] + ([of.at <= crawl.finished_at] if crawl.finished_at else [])
            asked = exists().where(of.domain == domain, of.host == host, of.crawl == crawl.id, *when)
            self._visited[crawl.id, host] = bool(self._connection.scalar(select(asked)))
        return self._visited[crawl.id, host]

    def stood(self, quote: str, source: str, crawl: Row[Any]) -> bool:
        """Whether words stood in a file with reservations as a crawl saw it."""
        key = (crawl.id, source)
        if key not in self._texts:
            of = captures.c
            seen = select(of.id).where(of.url_key == digest(source), of.url == source, of.expires_at.is_not(None))
            seen = seen.where(of.fetched_at <= crawl.finished_at) if crawl.finished_at else seen
            newest = self._connection.scalar(seen.order_by(of.fetched_at.desc(), of.id.desc()).limit(1))
            held = evidence.held(self._connection, [newest]).get(newest) if newest else None
            self._texts[key] = readable(to_utf8(held.capture.body)) if held else None
        return quote in (self._texts[key] or "")
