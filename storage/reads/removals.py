"""Pages that leave the corpus: which ones, by which later decision, and the new positions of those that stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from forbear.optout.model import Verdict
from forbear.storage.chain import chain, leaves
from forbear.storage.db.dialects import chunks
from forbear.storage.db.records import EntryState
from forbear.storage.db.schema import captures, decision_captures, decisions, frontier, pages, queues, removals
from forbear.storage.log import summary
from forbear.storage.reads.queries import reasons_of

_CHUNK = 1000
_MOST_STEPS = 20
"""Redirects followed from a page to its target."""

_staying = pages.c.decision.not_in(select(removals.c.page))


class Pending(NamedTuple):
    """A page that has to leave and, as far as the log knows, still has its bytes in the corpus."""

    decision: str
    warc_file: str
    sha256: str


class CorpusCopy(NamedTuple):
    """The corpus's copy of a URL: its header fields, digest (hexadecimal), and position."""

    status: int
    headers: tuple[tuple[str, str], ...]
    sha256: str
    warc_file: str
    warc_offset: int


def kept(connection: Connection, before: datetime) -> Iterator[Any]:
    """Yields ``url``, ``host``, ``decision`` and ``warc_file`` of pages kept before a time and not removed since.

    Host by host, the host with the oldest page first; within a host, the oldest page first.
    """
    oldest = func.min(pages.c.kept_at).over(partition_by=decisions.c.host)
    wanted = (
        select(pages.c.url, decisions.c.host, pages.c.decision, pages.c.warc_file)
        .join_from(pages, decisions)
        .where(_staying, pages.c.kept_at < before)
        .order_by(oldest, decisions.c.host, pages.c.kept_at, pages.c.decision)
    )
    yield from connection.execute(wanted, execution_options={"yield_per": _CHUNK})


def corpus_copy(connection: Connection, entry: int) -> CorpusCopy | None:
    """Returns the copy of the page that a frontier entry was made for; None if there is none."""
    row = connection.execute(
        select(pages, captures.c.status, captures.c.headers)
        .join_from(frontier, pages, pages.c.decision == frontier.c.decision)
        .join(decision_captures, decision_captures.c.decision == pages.c.decision)
        .join(captures, captures.c.id == decision_captures.c.capture)
        .where(frontier.c.id == entry, captures.c.body.is_(None), captures.c.body_sha256 == pages.c.sha256)
        .order_by(decision_captures.c.position.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    headers = tuple((name, value) for name, value in row.headers)
    return CorpusCopy(row.status, headers, row.sha256, row.warc_file, row.warc_offset)


def reserved(connection: Connection, crawl: str, *, deferred: bool) -> dict[str, str]:
    """Returns URLs that a recheck found reserved, with the decision; a moved URL counts by its target.

    With ``deferred``, also those that could not be decided in the end.
    """
    states = {EntryState.EXCLUDED.value} | (
        {EntryState.DEFERRED.value, EntryState.ABANDONED.value} if deferred else set()
    )
    columns = select(frontier.c.url, frontier.c.state, frontier.c.decision, decisions.c.canonical)
    mine = columns.join_from(frontier, queues).join(decisions, decisions.c.id == frontier.c.decision)
    found: dict[str, str] = {}
    moved: dict[str, str] = {}
    wanted = mine.where(queues.c.crawl == crawl, frontier.c.state.in_([*states, EntryState.REDIRECTED.value]))
    for row in connection.execute(wanted, execution_options={"yield_per": _CHUNK}):
        if row.state in states:
            found[row.url] = row.decision
        else:
            moved[row.url] = row.canonical
    return found | {url: found[end] for url in moved if (end := _end_of(url, moved)) in found}


def _end_of(url: str, moved: Mapping[str, str]) -> str:
    for _ in range(_MOST_STEPS):
        if url not in moved:
            break
        url = moved[url]
    return url


def record_removals(
    connection: Connection, crawl: str, because: Mapping[str, str], files: frozenset[str], at: datetime
) -> int:
    """Records that the pages of these URLs leave these files, and by which decisions; returns how many.

    Their URLs no longer count as kept, unless another corpus of this log still has a copy.
    """
    rows, elsewhere = [], set()
    copies = select(pages.c.url, pages.c.decision, pages.c.warc_file).where(_staying)
    for wanted in chunks(sorted(because)):
        for page in connection.execute(copies.where(pages.c.url.in_(wanted))):
            if page.warc_file in files:
                rows.append((page.url, page.decision))
            else:
                elsewhere.add(page.url)
    made = [{"page": page, "decision": because[url], "crawl": crawl, "at": at, "erased_at": None} for url, page in rows]
    for some in chunks(made):
        connection.execute(removals.insert(), some)
        chain.append(connection, [leaves.new_leaf("removal", row) for row in some])
    summary.mark_removed(connection, {url for url, _ in rows} - elsewhere, at)
    return len(made)


def pending(connection: Connection) -> list[Pending]:
    """Returns the pages that have to leave and whose files have not been rewritten yet."""
    columns = select(pages.c.decision, pages.c.warc_file, pages.c.sha256)
    rows = connection.execute(columns.join_from(removals, pages).where(removals.c.erased_at.is_(None)))
    return [Pending(*row) for row in rows]


def files_with(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Returns the WARC files where pages with this content stay."""
    found: set[str] = set()
    for some in chunks(sorted(set(digests))):
        found.update(connection.scalars(select(pages.c.warc_file).where(pages.c.sha256.in_(some), _staying).distinct()))
    return found


def remaining_pages(connection: Connection, warc_file: str) -> set[str]:
    """Returns the pages of a file that stay, by their decisions."""
    return set(connection.scalars(select(pages.c.decision).where(pages.c.warc_file == warc_file, _staying)))


def move_pages(connection: Connection, places: Mapping[str, tuple[int, int]]) -> None:
    """Records new positions of pages: offset and length by decision."""
    if places:
        connection.execute(
            update(pages)
            .where(pages.c.decision == bindparam("page"))
            .values(warc_offset=bindparam("start"), warc_length=bindparam("length")),
            [{"page": page, "start": start, "length": length} for page, (start, length) in places.items()],
        )


def mark_erased(connection: Connection, some: Sequence[str], at: datetime) -> None:
    """Records that these pages have left every file."""
    for part in chunks(some):
        connection.execute(update(removals).where(removals.c.page.in_(part)).values(erased_at=at))


def end_of_file(connection: Connection, warc_file: str) -> int | None:
    """Returns where the last known page of a WARC file ends."""
    ends = select(func.max(pages.c.warc_offset + pages.c.warc_length))
    end: int | None = connection.scalar(ends.where(pages.c.warc_file == warc_file, _staying))
    return end


def explain_pages(connection: Connection, some: Sequence[str]) -> list[dict[str, Any]]:
    """Returns pages by their decisions, sorted by URL; removed ones with ``at`` and ``reasons``."""
    found: list[dict[str, Any]] = []
    for part in chunks(some):
        wanted = select(pages.c.url, removals.c.at, removals.c.decision).where(pages.c.decision.in_(part))
        rows = connection.execute(wanted.outerjoin_from(pages, removals, removals.c.page == pages.c.decision)).all()
        because = reasons_of(connection, [row.decision for row in rows if row.decision])
        found += (
            {"url": row.url, "at": row.at and row.at.isoformat(), "reasons": because.get(row.decision, [])}
            for row in rows
        )
    return sorted(found, key=lambda page: str(page["url"]))


def count_by_verdict(connection: Connection, crawl: str) -> dict[str, int]:
    """Counts the pages that a recheck recorded as leaving, by the verdict against them."""
    counted = select(decisions.c.verdict, func.count()).join_from(removals, decisions)
    rows = connection.execute(counted.where(removals.c.crawl == crawl).group_by(decisions.c.verdict))
    return {str(Verdict(verdict)): count for verdict, count in rows}
