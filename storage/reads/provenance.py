"""The origin of a corpus: the crawls that kept its pages, and the policies that their sites point to."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from forbear.storage.db.schema import crawls, decisions, pages, removals, statements

_POLICY = "tdm-policy: "
"""How a TDMRep statement notes the policy beside it."""


class CrawlOf(NamedTuple):
    """A crawl with pages that are still kept, and how many; ``excluded`` counts its exclusions of URLs."""

    id: str
    started_at: datetime
    finished_at: datetime | None
    engine: str
    agent: str
    user_agent: str
    contact: str
    use: str
    profile: str
    policy: str
    pages: int
    excluded: int
    deferred: int


class SitePolicy(NamedTuple):
    """A policy that a site offers to those who want to mine its pages (TDMRep 5.2), and where it says so."""

    host: str
    url: str
    source: str
    place: str
    pages: int


_staying = pages.c.decision.not_in(select(removals.c.page))


def crawls_of(connection: Connection, files: Collection[str]) -> list[CrawlOf]:
    """Returns the crawls with pages in these WARC files, oldest first."""
    counted = select(pages.c.crawl, func.count().label("count")).where(pages.c.warc_file.in_(files), _staying)
    kept = {row.crawl: int(row._mapping["count"]) for row in connection.execute(counted.group_by(pages.c.crawl))}
    verdicts = select(decisions.c.crawl, decisions.c.verdict, func.count()).where(decisions.c.crawl.in_(kept))
    against: dict[tuple[str, str], int] = {
        (crawl, verdict): count
        for crawl, verdict, count in connection.execute(
            verdicts.group_by(decisions.c.crawl, decisions.c.verdict).where(decisions.c.verdict != "allowed")
        )
    }
    rows = connection.execute(select(crawls).where(crawls.c.id.in_(kept)).order_by(crawls.c.started_at, crawls.c.id))
    names = CrawlOf._fields[:10]
    return [
        CrawlOf(
            **{name: row._mapping[name] for name in names},
            pages=kept[row.id],
            excluded=against.get((row.id, "excluded"), 0),
            deferred=against.get((row.id, "deferred"), 0),
        )
        for row in rows
    ]


def site_policies(connection: Connection, files: Collection[str]) -> list[SitePolicy]:
    """Returns the policies named by sites with pages in these WARC files, by host."""
    named = (
        select(decisions.c.host, statements.c.note, statements.c.source, statements.c.place, func.count())
        .join_from(statements, pages, pages.c.decision == statements.c.decision)
        .join(decisions, decisions.c.id == pages.c.decision)
        .where(pages.c.warc_file.in_(files), _staying, statements.c.protocol == "tdmrep")
        .where(statements.c.note.startswith(_POLICY, autoescape=True))
        .group_by(decisions.c.host, statements.c.note, statements.c.source, statements.c.place)
        .order_by(decisions.c.host, statements.c.note, statements.c.source)
    )
    return [
        SitePolicy(host, note.removeprefix(_POLICY), source, place, count)
        for host, note, source, place, count in connection.execute(named)
    ]


def removed(connection: Connection, files: Collection[str]) -> int:
    """Counts the pages removed from these WARC files."""
    counted = select(func.count()).select_from(removals).join(pages, pages.c.decision == removals.c.page)
    return connection.scalar(counted.where(pages.c.warc_file.in_(files))) or 0
