"""Lists of infringing sites (measure 1.2(1)(b)): imported with provenance, in force, held back, ended."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from forbear.optout.protocols.infringing_list import to_csv
from forbear.storage.chain import chain, leaves
from forbear.storage.chain.mutable_state import ENDED, LET_IN
from forbear.storage.db.records import new_id
from forbear.storage.db.schema import list_entries, list_sources
from forbear.storage.db.types import printable


@dataclass(frozen=True, slots=True)
class ListedSite:
    """A site in a publication; ``held`` is why a person must look at it first, or empty."""

    domain: str
    country: str
    authority: str
    basis: str
    decided: date | None
    held: str


@dataclass(frozen=True, slots=True)
class Issue:
    """One file of a publication; if ``whole``, sites it does not name have ended. ``unread``: rows without a site."""

    layout: str
    name: str
    published: date
    whole: bool
    content: bytes
    unread: Sequence[str]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import changed: entries that are new or ended, and the new ones that are held back."""

    new: int
    out: int
    held: int


@dataclass(frozen=True, slots=True)
class PublicationStatus:
    """A publication: its latest issue, its entries in force, and those that wait for a person."""

    layout: str
    published: date
    imported_at: datetime
    sha256: str
    in_force: int
    held: int


class AlreadyKnown(ValueError):
    """The same file, or a later issue, has been imported; the message is a sentence for a person."""


def import_list(connection: Connection, issue: Issue, entries: Sequence[ListedSite], at: datetime) -> ImportResult:
    """Imports an issue of a publication. Raises AlreadyKnown if it, or a later issue, has been imported."""
    sha256 = hashlib.sha256(issue.content).hexdigest()
    sources = list_sources.c
    if connection.scalar(select(sources.at).where(sources.sha256 == sha256)) is not None:
        raise AlreadyKnown(f"{issue.name} has been imported already; nothing was changed")
    latest = connection.scalar(select(func.max(sources.published)).where(sources.layout == issue.layout))
    if issue.whole and latest is not None and latest > issue.published:
        raise AlreadyKnown(f"A later issue, of {latest}, has been imported already; this one is of {issue.published}")
    row = {
        "sha256": sha256,
        "layout": issue.layout,
        "name": issue.name,
        "published": issue.published,
        "at": at,
        "whole": issue.whole,
        "named": len(entries),
        "unread": list(issue.unread),
        "content": zlib.compress(issue.content),
    }
    connection.execute(list_sources.insert(), row)
    chained = [leaves.new_leaf("list", row)]
    columns = list_entries.c
    listed = select(columns.domain, columns.id).where(columns.layout == issue.layout, columns.until.is_(None))
    open_now = {row.domain: row.id for row in connection.execute(listed)}
    new = [entry for entry in entries if entry.domain not in open_now]
    if new:
        rows = [_row(entry, issue, sha256) for entry in new]
        connection.execute(list_entries.insert(), rows)
        chained += [leaves.new_leaf("listing", row) for row in rows]
    gone = sorted(set(open_now) - {entry.domain for entry in entries}) if issue.whole else []
    for domain in gone:
        connection.execute(list_entries.update().where(columns.id == open_now[domain]).values(until=issue.published))
    chain.append(connection, chained)
    if gone:
        ended = {"entries": [open_now[domain] for domain in gone], "until": issue.published.isoformat()}
        chain.append_event(connection, ENDED, ended | {"issue": sha256}, at)
    return ImportResult(len(new), len(gone), sum(bool(entry.held) for entry in new))


def _row(entry: ListedSite, issue: Issue, sha256: str) -> dict[str, Any]:
    known = {name: getattr(entry, name) for name in ListedSite.__slots__}
    return known | {"id": new_id(), "layout": issue.layout, "since": issue.published, "source": sha256}


def accept(connection: Connection, domain: str, *, by: str, why: str, at: datetime) -> int:
    """Accepts the entries of a domain that were held back; returns how many."""
    columns = list_entries.c
    waiting = (columns.domain == domain, columns.held != "", columns.accepted_at.is_(None))
    accepted = {"accepted_at": at, "accepted_by": by, "accepted_why": why}
    entries = connection.scalars(list_entries.update().where(*waiting).values(accepted).returning(columns.id)).all()
    if entries:
        event = {"domain": domain, "entries": sorted(entries), "by": printable(by), "why": printable(why)}
        chain.append_event(connection, LET_IN, event, at)
    return len(entries)


def current(connection: Connection) -> bytes | None:
    """Returns the list as protocol infringing-list reads it: every entry ever in force. None without imports.

    Ended entries stay in it, with their day: repeating a decision for an earlier day gives the same result.
    """
    if connection.scalar(select(func.count()).select_from(list_sources)) == 0:
        return None
    columns = list_entries.c
    wanted = select(list_entries).where(or_(columns.held == "", columns.accepted_at.is_not(None)))
    return to_csv(_fields(row) for row in connection.execute(wanted))


def _fields(row: Any) -> tuple[str, ...]:
    days = [day.isoformat() if day else "" for day in (row.decided, row.since, row.until)]
    accepted = row.accepted_at.date().isoformat() if row.accepted_at else ""
    return (row.domain, row.country, row.authority, row.basis, *days, f"sha256:{row.source}", accepted)


def publication_statuses(connection: Connection) -> Iterator[PublicationStatus]:
    """Yields every imported publication, by name."""
    columns = list_entries.c
    kinds = (columns.layout, columns.held, columns.accepted_at)
    counts: Counter[tuple[str, bool]] = Counter()
    for row in connection.execute(
        select(*kinds, func.count().label("n")).where(columns.until.is_(None)).group_by(*kinds)
    ):
        counts[row.layout, row.held != "" and row.accepted_at is None] += row.n
    seen: set[str] = set()
    latest = select(list_sources).order_by(
        list_sources.c.layout, list_sources.c.published.desc(), list_sources.c.at.desc()
    )
    for row in connection.execute(latest):
        if row.layout not in seen:
            seen.add(row.layout)
            yield PublicationStatus(
                row.layout, row.published, row.at, row.sha256, counts[row.layout, False], counts[row.layout, True]
            )


def entries(connection: Connection, layout: str | None = None, *, held: bool = False) -> Iterator[dict[str, Any]]:
    """Yields entries with their provenance, by domain; with ``held``, only those that wait for a person."""
    columns = list_entries.c
    wanted = select(list_entries).order_by(columns.domain, columns.layout, columns.id)
    if layout:
        wanted = wanted.where(columns.layout == layout)
    if held:
        wanted = wanted.where(columns.held != "", columns.accepted_at.is_(None), columns.until.is_(None))
    for row in connection.execute(wanted):
        yield dict(row._mapping)
