"""Writes jobs into the log: decision, children, evidence and the frontier's change, all in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import chain as joined
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from forbear.optout.model import Gap, Profile, Reason, Statement
from forbear.storage.chain import chain, leaves
from forbear.storage.chain.leaves import NewLeaf, Tuples
from forbear.storage.db.canonical_json import canonical
from forbear.storage.db.dialects import insert_rows, select_in
from forbear.storage.db.hostnames import domain_of, host_in
from forbear.storage.db.records import (
    AddLinks,
    DecisionRecord,
    EntryUpdate,
    Job,
    Link,
    PageRecord,
    RecordDecision,
    RecordPage,
)
from forbear.storage.db.schema import decision_captures, decisions, gaps, pages, reasons, statements
from forbear.storage.db.types import iso_utc, printable
from forbear.storage.db.write_cache import WriteCache
from forbear.storage.frontier import frontier
from forbear.storage.log import evidence, rollups, summary


class Superseded(Exception):
    """A page was to be kept that another process has taken over, or ended, meanwhile."""


class Written(NamedTuple):
    """How many URLs each job added to the frontier, and the leaves still to be appended to the chain."""

    added: list[int]
    entries: list[NewLeaf]


def write(connection: Connection, jobs: Sequence[Job]) -> list[int]:
    """Writes the jobs and their leaves, without committing; returns how many URLs each added to the frontier."""
    cache = WriteCache()
    done = write_rows(connection, jobs, cache)
    chain.append(connection, done.entries)
    rollups.update(connection, jobs, cache)
    return done.added


def write_rows(connection: Connection, jobs: Sequence[Job], cache: WriteCache) -> Written:
    """Writes the jobs, grouped by table; the caller then appends the leaves to the chain and counts the jobs (rollups).

    Raises what the database raises (a duplicate decision, a missing capture), LookupError for an unknown crawl,
    NotAUrl, and Superseded.
    """
    decided = [job for job in jobs if isinstance(job, RecordDecision)]
    shown_by = {
        record.id: (job.decision.crawl, record, job.decision.decision.reasons)
        for job in decided
        for record in job.captures
        if record.id not in cache.captures
    }
    made = evidence.store(connection, shown_by)
    cache.captures.note(shown_by)
    entries = [leaves.capture_leaf(row) for row in made]
    decision_rows = _decision_rows(connection, [job.decision for job in decided])
    tables = (decisions, decision_captures, reasons, statements, gaps)
    for table, rows in zip(tables, decision_rows.tables, strict=True):
        insert_rows(connection, table, rows)
    kept = [_page(job.page) for job in jobs if isinstance(job, RecordPage)]
    _refuse_ended(connection, [job for job in jobs if isinstance(job, RecordPage)])
    insert_rows(connection, pages, kept)
    entries += decision_rows.entries
    entries += map(leaves.page_leaf, kept)
    frontier.set_states(connection, [settled for job in jobs for settled in _entry_updates(job)])
    summary.update(connection, [_url_change(job) for job in jobs if isinstance(job, RecordDecision | RecordPage)])
    return Written(frontier.add_all(connection, [_links(job) for job in jobs], cache.links), entries)


def _refuse_ended(connection: Connection, jobs: Sequence[RecordPage]) -> None:
    wanted = {job.settle.entry: job.page.url for job in jobs if job.settle}
    for ended in wanted.keys() - frontier.lock_open_entries(connection, sorted(wanted)):
        raise Superseded(f"{wanted[ended]} is not kept here: another process has it now.")


def is_written(connection: Connection, jobs: Sequence[Job]) -> bool:
    """Checks whether these jobs were committed; those that leave no row of the log may be written again."""
    for job in jobs:
        if isinstance(job, RecordDecision):
            mine = select(decisions.c.id).where(decisions.c.id == job.decision.id)
        elif isinstance(job, RecordPage):
            mine = select(pages.c.decision).where(pages.c.decision == job.page.decision)
        else:
            continue
        return connection.scalar(mine) is not None
    return False


class _Decisions(NamedTuple):
    """Rows of the decision tables, as they are stored, and their leaves."""

    tables: Sequence[Tuples]
    entries: list[NewLeaf]


def _decision_rows(connection: Connection, records: Sequence[DecisionRecord]) -> _Decisions:
    columns = "SELECT id, engine, policy, profile, use, agent FROM crawls WHERE id"
    crawls = {id_: of for id_, *of in select_in(connection, columns, sorted({record.crawl for record in records}))}
    rows = [_decision(record, crawls[record.crawl]) for record in records]
    why = [[_reason(record.id, *one) for one in enumerate(record.decision.reasons)] for record in records]
    stated = [[_statement(record.id, *one) for one in enumerate(record.decision.statements)] for record in records]
    unread = [[_gap(record.id, *one) for one in enumerate(record.decision.gaps)] for record in records]
    rests = [(record.id, *one) for record in records for one in enumerate(record.captures)]
    entries = [
        leaves.decision_leaf(row, record.captures, *children)
        for row, record, *children in zip(rows, records, why, stated, unread, strict=True)
    ]
    children = (list(joined.from_iterable(some)) for some in (why, stated, unread))
    return _Decisions((rows, rests, *children), entries)


def _decision(record: DecisionRecord, crawl: Sequence[str]) -> tuple[Any, ...]:
    url = record.decision.url
    host = host_in(url)
    verdicts = record.decision.verdicts
    return (
        record.id,
        iso_utc(record.at),
        record.crawl,
        printable(record.url),
        printable(url),
        host,
        domain_of(host),
        str(record.decision.verdict),
        str(record.decision.stage),
        record.status,
        record.content_sha256,
        record.bytes,
        *crawl,
        str(verdicts[Profile.STANDARD]),
        str(verdicts[Profile.STRICT]),
    )


def _words(id_: str, position: int, part: Reason | Statement | Gap) -> tuple[Any, ...]:
    return id_, position, part.protocol, printable(part.quote), printable(part.source), printable(part.where)


def _reason(id_: str, position: int, reason: Reason) -> tuple[Any, ...]:
    return *_words(id_, position, reason), str(reason.preference), reason.measure


def _statement(id_: str, position: int, statement: Statement) -> tuple[Any, ...]:
    more = str(statement.preference), _sorted(statement.uses), str(statement.force), printable(statement.note)
    return _words(id_, position, statement) + more


def _gap(id_: str, position: int, gap: Gap) -> tuple[Any, ...]:
    return *_words(id_, position, gap), printable(gap.detail), _sorted(gap.defers)


@lru_cache(maxsize=64)
def _sorted(words: frozenset[StrEnum]) -> str:
    """Returns sorted words as JSON."""
    return canonical(sorted(map(str, words)))


def _page(page: PageRecord) -> tuple[Any, ...]:
    return (
        page.decision,
        page.crawl,
        printable(page.url),
        iso_utc(page.kept_at),
        printable(page.warc_file),
        page.warc_offset,
        page.warc_length,
        page.sha256,
        printable(page.media_type),
        page.bytes,
    )


def _entry_updates(job: Job) -> list[tuple[EntryUpdate, str | None]]:
    if isinstance(job, AddLinks) or job.settle is None:
        return []
    if isinstance(job, RecordDecision):
        return [(job.settle, job.decision.id)]
    return [(job.settle, job.page.decision if isinstance(job, RecordPage) else job.decision)]


def _url_change(job: RecordDecision | RecordPage) -> summary.Change:
    if isinstance(job, RecordPage):
        page = job.page
        return summary.Change(page.url, host_in(page.url), None, page.kept_at, page.decision)
    record, decision = job.decision, job.decision.decision
    return summary.Change(decision.url, host_in(decision.url), decision.verdict, record.at, record.id, decision.reasons)


def _links(job: Job) -> tuple[str, Sequence[Link]]:
    if isinstance(job, RecordDecision):
        return job.decision.crawl, job.links
    if isinstance(job, RecordPage):
        return job.page.crawl, job.links
    return (job.crawl, job.links) if isinstance(job, AddLinks) else ("", ())
