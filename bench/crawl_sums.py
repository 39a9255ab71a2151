"""Counts the sums of each crawl over a whole log in SQL, which is faster than row by row as the writer does."""

from __future__ import annotations

from sqlalchemy import Connection, text

from forbear.storage.db.hostnames import digest

_AT_ONCE = 10_000
_REASONS = "FROM decisions d JOIN reasons r ON r.decision = d.id"
_MEASURES = (
    """
    INSERT INTO crawl_measures (crawl, measure, protocol, verdict, decisions, hosts, first_at, last_at)
    SELECT crawl, measure, protocol, verdict, count(*), 0, min(at), max(at) FROM (
        SELECT DISTINCT d.id, d.crawl, r.measure, r.protocol, d.verdict, d.at
        FROM decisions d JOIN reasons r ON r.decision = d.id
    ) AS each_once GROUP BY 1, 2, 3, 4
    """,
    """
    INSERT INTO crawl_measures (crawl, measure, protocol, verdict, decisions, hosts, first_at, last_at)
    SELECT '', measure, protocol, verdict, sum(decisions), 0, min(first_at), max(last_at) FROM crawl_measures
    GROUP BY 2, 3, 4
    """,
)


def count(connection: Connection) -> None:
    """Fills crawl_measures, measure_hosts and crawl_words, which are empty."""
    for statement in _MEASURES:
        connection.execute(text(statement))
    _count_hosts(connection)
    _count_words(connection)


def _count_hosts(connection: Connection) -> None:
    """Computes the digests here, since neither database has BLAKE2b."""
    hosts: dict[tuple[str, ...], set[bytes]] = {}
    for crawl, *rest, host in connection.execute(
        text(f"SELECT DISTINCT d.crawl, r.measure, r.protocol, d.verdict, d.host {_REASONS}")
    ):
        for key in ((crawl, *rest), ("", *rest)):
            hosts.setdefault(key, set()).add(digest(*key, host))
    for key, digests in sorted(hosts.items()):
        keys = [{"key": one} for one in sorted(digests)]
        connection.execute(text("INSERT INTO measure_hosts (key) VALUES (:key)"), keys)
        row = dict(zip(("crawl", "measure", "protocol", "verdict"), key, strict=True)) | {"hosts": len(digests)}
        same = "crawl = :crawl AND measure = :measure AND protocol = :protocol AND verdict = :verdict"
        connection.execute(text(f"UPDATE crawl_measures SET hosts = :hosts WHERE {same}"), row)


def _count_words(connection: Connection) -> None:
    names = ("key", "crawl", "host", "verdict", "protocol", "quote", "source")
    inserted = text(f"INSERT INTO crawl_words VALUES ({', '.join(f':{name}' for name in names)})")
    words = f"SELECT d.crawl, d.host, d.verdict, r.protocol, r.quote, min(r.source) {_REASONS} GROUP BY 1, 2, 3, 4, 5"
    found = connection.execute(text(words)).all()
    for rows in (found[start : start + _AT_ONCE] for start in range(0, len(found), _AT_ONCE)):
        connection.execute(inserted, [dict(zip(names, (digest(*row[:5]), *row), strict=True)) for row in rows])
