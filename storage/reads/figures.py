"""Figures for reports: decisions by measure, crawls, content by domain and type, and checks that must find nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, exists, func, select

from forbear.optout.model import Stage, Verdict
from forbear.storage.chain import chain
from forbear.storage.db.portal_tables import complaints
from forbear.storage.db.schema import (
    checkpoints,
    crawls,
    decisions,
    host_reasons,
    list_entries,
    list_sources,
    pages,
    policies,
    reasons,
    removals,
)

_STANDING = ~exists().where(removals.c.page == pages.c.decision)
"""Pages that have not been removed from the corpus."""


@dataclass(frozen=True, slots=True)
class ProtocolFigures:
    """How often the words of a protocol decided, for which measure, with which verdict, and when first and last."""

    measure: str
    protocol: str
    verdict: Verdict
    decisions: int
    hosts: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class CrawlRow:
    """A crawl, as in its row."""

    id: str
    started_at: datetime
    finished_at: datetime | None
    state: str
    engine: str
    agent: str
    user_agent: str
    contact: str
    use: str
    profile: str
    shadow: bool
    policy: str
    configuration: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Share:
    """Kept content of a domain or a media type, in decoded bytes."""

    name: str
    pages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """How many pages were removed from the corpus by words that serve a measure, and when last."""

    measure: str
    pages: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must not be in a log, and how often it is there; None if it could not be counted."""

    name: str
    about: str
    found: int | None


def served_measures(connection: Connection) -> list[ProtocolFigures]:
    """Yields sums over all reasons, by measure, protocol and verdict."""
    columns = host_reasons.c
    kinds = (columns.measure, columns.protocol, columns.verdict)
    wanted = select(
        *kinds,
        func.sum(columns.decisions).label("decisions"),
        func.count(columns.host.distinct()).label("hosts"),
        func.min(columns.first_at).label("first_at"),
        func.max(columns.last_at).label("last_at"),
    )
    rows = connection.execute(wanted.group_by(*kinds).order_by(*kinds))
    return [
        ProtocolFigures(
            row.measure, row.protocol, Verdict(row.verdict), int(row.decisions), row.hosts, row.first_at, row.last_at
        )
        for row in rows
    ]


def verdicts(connection: Connection) -> dict[str, int]:
    """Counts decisions by verdict."""
    counts = select(decisions.c.verdict, func.count()).group_by(decisions.c.verdict)
    return {row[0]: row[1] for row in connection.execute(counts)}


def runs(connection: Connection, *, use: str | None = None) -> list[CrawlRow]:
    """Returns all crawls, oldest first; with ``use``, those for that use, without rehearsals."""
    columns = [crawls.c[name] for name in CrawlRow.__slots__]
    wanted = select(*columns).order_by(crawls.c.started_at, crawls.c.id)
    if use:
        wanted = wanted.where(crawls.c.use == use, crawls.c.shadow.is_(False))
    return [CrawlRow(**row._mapping) for row in connection.execute(wanted)]


def by_domain(connection: Connection, some: Sequence[str]) -> list[Share]:
    """Returns the content of these crawls that is still kept, by registrable domain, largest first."""
    return _shares(connection, decisions.c.domain, some)


def by_type(connection: Connection, some: Sequence[str]) -> list[Share]:
    """Returns the content of these crawls that is still kept, by media type, largest first."""
    return _shares(connection, pages.c.media_type, some)


def _shares(connection: Connection, column: Any, some: Sequence[str]) -> list[Share]:
    octets = func.sum(pages.c.bytes)
    wanted = select(column, func.count(), octets).join_from(pages, decisions, decisions.c.id == pages.c.decision)
    wanted = wanted.where(pages.c.crawl.in_(some), _STANDING)
    rows = connection.execute(wanted.group_by(column).order_by(octets.desc(), column))
    return [Share(name, count, int(total)) for name, count, total in rows]


def period(connection: Connection, some: Sequence[str]) -> tuple[datetime, datetime] | None:
    """Returns when these crawls kept the first and last page that is still kept; None without pages."""
    wanted = select(func.min(pages.c.kept_at), func.max(pages.c.kept_at)).where(pages.c.crawl.in_(some), _STANDING)
    first, last = connection.execute(wanted).one()
    return None if first is None else (first, last)


def removed(connection: Connection, some: Sequence[str]) -> int:
    """Counts the pages of these crawls that were removed from the corpus."""
    wanted = select(func.count()).select_from(removals).join(pages, pages.c.decision == removals.c.page)
    return connection.scalar(wanted.where(pages.c.crawl.in_(some))) or 0


def withdrawn(connection: Connection) -> list[Withdrawn]:
    """Returns removed pages by the measures of the reasons against them; a page may count under two."""
    columns = (reasons.c.measure, func.count(removals.c.page.distinct()), func.max(removals.c.at))
    wanted = select(*columns).join_from(removals, reasons, reasons.c.decision == removals.c.decision)
    rows = connection.execute(wanted.group_by(reasons.c.measure).order_by(reasons.c.measure))
    return [Withdrawn(*row) for row in rows]


def checks(connection: Connection) -> Iterator[Check]:
    """Counts what must never be found."""
    count = select(func.count())
    silent = decisions.c.verdict != Verdict.ALLOWED.value
    unreasoned = count.select_from(decisions).where(silent, ~exists().where(reasons.c.decision == decisions.c.id))
    about = "decisions other than allowed that have no reason with a quotation"
    yield Check("no reason without a quotation", about, connection.scalar(unreasoned))
    allowed = exists().where(
        decisions.c.id == pages.c.decision,
        decisions.c.verdict == Verdict.ALLOWED.value,
        decisions.c.stage == Stage.PAGE.value,
    )
    strays = count.select_from(pages).where(~allowed)
    yield Check("no page without a row", "kept pages that no decision allowed", connection.scalar(strays))
    unknown = count.select_from(decisions).where(~exists().where(policies.c.digest == decisions.c.policy))
    about = "decisions whose policy is not on record"
    yield Check("each decision's policy is on record", about, connection.scalar(unknown))
    nobody = count.select_from(crawls).where(crawls.c.contact == "")
    yield Check("each crawl can be reached", "crawls without a contact", connection.scalar(nobody))
    now = datetime.now(UTC)
    late = count.select_from(complaints).where(complaints.c.due_at < now)
    yield Check("complaints are handled in time", "complaints whose next step is overdue", connection.scalar(late))
    waiting = count.select_from(list_entries).where(
        list_entries.c.held != "", list_entries.c.accepted_at.is_(None), list_entries.c.until.is_(None)
    )
    about = "entries of lists of infringing sites that wait for a person"
    yield Check("lists of infringing sites are settled", about, connection.scalar(waiting))
    covered = connection.scalar(select(func.max(checkpoints.c.size))) or 0
    size = chain.size(connection)
    about = "rows written since the last checkpoint was signed"
    yield Check("a checkpoint covers the log", about, max(0, size - covered - 1) if covered else size)


def lists_on_record(connection: Connection) -> int:
    """Counts the imported publications of infringing sites."""
    return connection.scalar(select(func.count()).select_from(list_sources)) or 0


def complaint_states(connection: Connection) -> dict[str, int]:
    """Counts complaints by state."""
    counts = select(complaints.c.state, func.count()).group_by(complaints.c.state)
    return {row[0]: row[1] for row in connection.execute(counts)}
