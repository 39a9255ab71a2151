"""Writes jobs into the log: decision, children, evidence and the frontier's change, in one transaction (law 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from optout.model import Gap, Profile, Reason, Statement
from optout.readers.url import parse
from storage import chain, evidence, frontier, leaves, rollups, summary
from storage.dialects import add
from storage.leaves import Entry
from storage.names import domain_of, host_of
from storage.records import Add, CaptureRecord, Decided, DecisionRecord, Job, Kept, Link, PageRecord, Settle
from storage.schema import crawls, decision_captures, decisions, gaps, pages, reasons, statements

_VERDICTS = [(profile, f"verdict_{profile}") for profile in Profile]


class Written(NamedTuple):
    """How many URLs each job added to the frontier, and the rows that are still to go into the chain."""

    added: list[int]
    entries: list[Entry]


def write(connection: Connection, jobs: Sequence[Job]) -> list[int]:
    """Writes the jobs and their leaves in the chain, without committing; how many URLs each added to the frontier."""
    written = write_rows(connection, jobs)
    chain.append(connection, written.entries)
    rollups.update(connection, jobs)
    return written.added


def write_rows(connection: Connection, jobs: Sequence[Job]) -> Written:
    """Writes the jobs, grouped by table; the caller appends the entries to the chain, then counts the jobs (rollups).

    Raises what the database raises (a decision that is there already, a capture that is not), LookupError for a crawl
    that was never begun, NotAUrl.
    """
    decided = [job for job in jobs if isinstance(job, Decided)]
    entries = [leaves.entry("capture", row) for row in evidence.store(connection, _evidence(decided))]
    rows = _decisions(connection, [job.decision for job in decided])
    add(connection, decisions, rows)
    children = [_children(job.decision) for job in decided]
    for table in (decision_captures, reasons, statements, gaps):
        add(connection, table, [row for of in children for row in of[table.name]])
    for job, row, of in zip(decided, rows, children, strict=True):
        said = {name: of[name] for name in leaves.CHILDREN}
        entries.append(leaves.entry("decision", row, said, job.decision.captures))
    kept = [_page(job.page) for job in jobs if isinstance(job, Kept)]
    add(connection, pages, kept)
    entries += [leaves.entry("page", page) for page in kept]
    frontier.settle(connection, [settled for job in jobs for settled in _settled(job)])
    summary.update(connection, [_change(job) for job in jobs if isinstance(job, Decided | Kept)])
    return Written(frontier.add_all(connection, [_found(job) for job in jobs]), entries)


def is_written(connection: Connection, jobs: Sequence[Job]) -> bool:
    """Whether a transaction with these jobs was committed; those that leave no row of the log may be written again."""
    for job in jobs:
        if isinstance(job, Decided):
            mine = select(decisions.c.id).where(decisions.c.id == job.decision.id)
        elif isinstance(job, Kept):
            mine = select(pages.c.decision).where(pages.c.decision == job.page.decision)
        else:
            continue
        return connection.scalar(mine) is not None
    return False


def _evidence(decided: Iterable[Decided]) -> Iterable[tuple[str, CaptureRecord, list[str]]]:
    for job in decided:
        for record in job.captures:
            said = job.decision.decision.reasons
            yield job.decision.crawl, record, [reason.quote for reason in said if reason.source == record.capture.url]


def _decisions(connection: Connection, records: Sequence[DecisionRecord]) -> list[dict[str, Any]]:
    wanted = sorted({record.crawl for record in records})
    columns = (crawls.c.engine, crawls.c.policy, crawls.c.profile, crawls.c.use, crawls.c.agent)
    known = {
        row.id: {column.name: row._mapping[column] for column in columns}
        for row in connection.execute(select(crawls.c.id, *columns).where(crawls.c.id.in_(wanted)))
    }
    return [_decision(record) | known[record.crawl] for record in records]


def _decision(record: DecisionRecord) -> dict[str, Any]:
    host = host_of(parse(record.decision.url))
    verdicts = record.decision.verdicts
    return {
        "id": record.id,
        "at": record.at,
        "crawl": record.crawl,
        "url": record.url,
        "canonical": record.decision.url,
        "host": host,
        "domain": domain_of(host),
        "verdict": str(record.decision.verdict),
        "stage": str(record.decision.stage),
        "status": record.status,
        "content_sha256": record.content_sha256,
        "bytes": record.bytes,
        **{name: str(verdicts[profile]) for profile, name in _VERDICTS if profile in verdicts},
    }


def _children(record: DecisionRecord) -> Mapping[str, list[dict[str, Any]]]:
    said = record.decision
    rows = {
        "decision_captures": [{"capture": capture} for capture in record.captures],
        "reasons": [_reason(reason) for reason in said.reasons],
        "statements": [_statement(statement) for statement in said.statements],
        "gaps": [_gap(gap) for gap in said.gaps],
    }
    for children in rows.values():
        for position, child in enumerate(children):
            child |= {"decision": record.id, "position": position}
    return rows


def _words(said: Reason | Statement | Gap) -> dict[str, Any]:
    return {"protocol": said.protocol, "quote": said.quote, "source": said.source, "place": said.where}


def _reason(reason: Reason) -> dict[str, Any]:
    return _words(reason) | {"preference": str(reason.preference), "measure": reason.measure}


def _statement(statement: Statement) -> dict[str, Any]:
    return _words(statement) | {
        "preference": str(statement.preference),
        "uses": _sorted(statement.uses),
        "force": str(statement.force),
        "note": statement.note,
    }


@lru_cache(maxsize=64)
def _sorted(words: frozenset[StrEnum]) -> list[str]:
    """As plain text, which is what the chain takes."""
    return sorted(map(str, words))


def _gap(gap: Gap) -> dict[str, Any]:
    return _words(gap) | {"detail": gap.detail, "defers": _sorted(gap.defers)}


def _page(page: PageRecord) -> dict[str, Any]:
    return {name: getattr(page, name) for name in PageRecord.__slots__}


def _settled(job: Job) -> list[tuple[Settle, str | None]]:
    if isinstance(job, Add) or job.settle is None:
        return []
    if isinstance(job, Decided):
        return [(job.settle, job.decision.id)]
    return [(job.settle, job.page.decision if isinstance(job, Kept) else job.decision)]


def _change(job: Decided | Kept) -> summary.Change:
    if isinstance(job, Kept):
        page = job.page
        return summary.Change(page.url, host_of(parse(page.url)), None, page.kept_at, page.decision)
    record, said = job.decision, job.decision.decision
    return summary.Change(said.url, host_of(parse(said.url)), said.verdict, record.at, record.id, said.reasons)


def _found(job: Job) -> tuple[str, Sequence[Link]]:
    if isinstance(job, Decided):
        return job.decision.crawl, job.links
    if isinstance(job, Kept):
        return job.page.crawl, job.links
    return (job.crawl, job.links) if isinstance(job, Add) else ("", ())
