"""The audit log page by page, newest first, and single decisions with all their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, func, literal_column, or_, select

from forbear.optout.model import Verdict
from forbear.optout.readers.text import quoted
from forbear.storage.chain import chain
from forbear.storage.chain.merkle import root_from_inclusion
from forbear.storage.db.schema import captures, crawls, decision_captures, decisions, gaps, pages, reasons, statements
from forbear.storage.log import evidence
from forbear.storage.proof import checkpoints
from forbear.storage.reads.queries import Filter, conditions, reasons_of


class Cursor(NamedTuple):
    """The end of a page: the time and id of its last decision."""

    at: datetime
    id: str

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Reads a cursor written by ``str``; raises ValueError."""
        at, _, id_ = text.partition("~")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not id_:
            raise ValueError(f"{text!r} is not a cursor")
        return cls(moment, id_)

    def __str__(self) -> str:
        return f"{self.at.isoformat(timespec='microseconds')}~{self.id}"


class LogPage(NamedTuple):
    """Decisions, newest first, as ``queries.log`` yields them, and where the next page begins; None at the end.

    If the page is not full but another follows, the log was searched back to ``looked``.
    """

    rows: list[dict[str, Any]]
    following: Cursor | None
    looked: datetime | None = None


_COLUMNS = (
    "id", "at", "crawl", "url", "host", "domain", "verdict", "stage", "status", "content_sha256", "bytes", "engine",
    "policy", "verdict_standard", "verdict_strict",
)  # fmt: skip

MOST_LOOKED = 10_000
"""Decisions examined for one page, however few of them match."""

_LOWEST = "0"
"""Less than every id."""


def page(connection: Connection, wanted: Filter, after: Cursor | None, size: int) -> LogPage:
    """Returns up to ``size`` decisions after a cursor, newest first. Raises NotAUrl.

    An index gives the order, by the rarest condition that has one; the other conditions are checked row by row, on a
    limited number of rows, so that no page takes long.
    """
    has_reason = wanted.protocol is not None or wanted.measure is not None
    is_of_reasons = has_reason and wanted.domain is None and wanted.url_prefix is None
    rows, end = (_by_reason if is_of_reasons else _by_time)(connection, wanted, after)
    found = connection.execute(rows.limit(size + 1)).all()
    shown = found[:size]
    because = reasons_of(connection, [row.id for row in shown])
    listed = [
        {name: row._mapping[name] for name in _COLUMNS}
        | {"at": row.at.isoformat(), "reasons": because.get(row.id, [])}
        for row in shown
    ]  # fmt: skip
    if len(found) > size:
        return LogPage(listed, Cursor(shown[-1].at, shown[-1].id))
    return LogPage(listed, end, end.at if end else None)


_Rows = tuple[Select[Any], Cursor | None]


def _by_reason(connection: Connection, wanted: Filter, after: Cursor | None) -> _Rows:
    """Follows an index of reasons, in the order of ids, which is that of time to the millisecond (UUIDv7)."""
    of, twin = reasons.c, reasons.alias().c
    begun = _reason_conditions(of, wanted)[:1]  # the protocol, if given: it selects fewer rows than a measure
    if after is not None:
        begun.append(of.decision < after.id)
    last = connection.scalar(_last(select(of.decision).where(*begun), of.decision))
    at = connection.scalar(select(decisions.c.at).where(decisions.c.id == last)) if last else None
    first = select(func.min(twin.position)).where(twin.decision == of.decision, *_reason_conditions(twin, wanted))
    also = [
        *begun,
        *_reason_conditions(of, wanted),
        of.position == first.scalar_subquery(),
    ]  # a decision with two such reasons is listed once
    if last is not None:
        also.append(of.decision >= last)
    also += _other_conditions(wanted)
    rows = select(*_columns()).join_from(reasons, decisions, decisions.c.id == of.decision).where(*also)
    return rows.order_by(of.decision.desc()), Cursor(at, last) if last and at else None


def _by_time(connection: Connection, wanted: Filter, after: Cursor | None) -> _Rows:
    """Follows an index of decisions: of a domain, of a verdict other than allowed, of a crawl, or of all."""
    of = decisions.c
    begun = _indexed_conditions(wanted)
    if wanted.until is not None:
        begun.append(of.at < wanted.until)
    if after is not None:
        begun += [of.at <= after.at, or_(of.at < after.at, of.id < after.id)]
    last = connection.scalar(_last(select(of.at).where(*begun), of.at))
    also = [*begun, *_other_conditions(wanted)]
    if wanted.protocol or wanted.measure:  # checked row by row, without a list of millions
        because = _reason_conditions(reasons.c, wanted)
        also.append(select(reasons.c.decision).where(reasons.c.decision == of.id, *because).exists())
    if last is not None:
        also.append(of.at >= last)
    rows = select(*_columns()).where(*also).order_by(of.at.desc(), of.id.desc())
    return rows, Cursor(last, _LOWEST) if last is not None else None


def _indexed_conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """Returns the conditions whose index gives the order, the rarest first; none for that of all decisions.

    The index of verdicts omits allowed ones, and is used only if the query excludes them literally.
    """
    of = decisions.c
    if wanted.domain is not None or wanted.url_prefix is not None:
        return [next(conditions(Filter(domain=wanted.domain, url_prefix=wanted.url_prefix)))]
    if wanted.verdict is not None and wanted.verdict is not Verdict.ALLOWED:
        return [of.verdict == str(wanted.verdict), of.verdict != literal_column("'allowed'")]
    return [of.crawl == wanted.crawl] if wanted.crawl is not None else []


def _other_conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """Returns all conditions but those of reasons; the crawl's as an expression, so that its index is not used."""
    others = list(conditions(replace(wanted, protocol=None, measure=None, crawl=None)))
    return others if wanted.crawl is None else [*others, decisions.c.crawl.concat("") == wanted.crawl]


def _last(rows: Select[Any], by: Any) -> Select[Any]:
    """Selects where the search down an index ends; nothing if the index ends before."""
    return rows.order_by(by.desc()).limit(1).offset(MOST_LOOKED - 1)


def _columns() -> list[Any]:
    return [decisions.c[name] for name in _COLUMNS]


def _reason_conditions(of: Any, wanted: Filter) -> list[ColumnElement[bool]]:
    asked = ((of.protocol, wanted.protocol), (of.measure, wanted.measure))
    return [column == value for column, value in asked if value is not None]


class Proof(NamedTuple):
    """Proves that a decision is in the chain: hashes in hexadecimal; ``holds`` if they lead to the root.

    ``checkpoint`` is the signed note that covers the leaf, None if there is none yet.
    """

    position: int
    size: int
    leaf: str
    path: list[str]
    root: str
    holds: bool
    record: str
    checkpoint: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A capture that a decision rests on; ``body`` is None if the content is gone."""

    id: str
    url: str
    fetched_at: datetime
    status: int | None
    error: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    whole: bool
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DecisionDetail:
    """A decision with everything that it rests on."""

    decision: dict[str, Any]
    crawl: dict[str, Any]
    reasons: list[dict[str, str]]
    statements: list[dict[str, Any]]
    gaps: list[dict[str, Any]]
    evidence: list[Evidence]
    page: dict[str, Any] | None
    proof: Proof | None


def decision(connection: Connection, id_: str) -> DecisionDetail | None:
    """Returns a decision by its id; None if there is none. Raises StorageError."""
    row = connection.execute(select(decisions).where(decisions.c.id == id_)).one_or_none()
    if row is None:
        return None
    crawl = connection.execute(select(crawls).where(crawls.c.id == row.crawl)).one()
    kept = connection.execute(select(pages).where(pages.c.decision == id_)).one_or_none()
    return DecisionDetail(
        dict(row._mapping),
        dict(crawl._mapping),
        reasons_of(connection, [id_]).get(id_, []),
        _children(connection, statements, id_),
        _children(connection, gaps, id_),
        _evidence(connection, id_),
        dict(kept._mapping) if kept else None,
        proof(connection, id_),
    )


def _children(connection: Connection, table: Table, id_: str) -> list[dict[str, Any]]:
    found = connection.execute(select(table).where(table.c.decision == id_).order_by(table.c.position))
    return [dict(row._mapping) for row in found]


def _evidence(connection: Connection, id_: str) -> list[Evidence]:
    of = captures.c
    wanted = (
        select(of.id, of.url, of.fetched_at, of.status, of.error, of.headers, of.body_bytes, of.body_sha256)
        .join_from(decision_captures, captures, of.id == decision_captures.c.capture)
        .where(decision_captures.c.decision == id_)
        .order_by(decision_captures.c.position)
    )
    rows = connection.execute(wanted).all()
    held = evidence.stored_captures(connection, [row.id for row in rows])
    return [
        Evidence(
            row.id, row.url, row.fetched_at, row.status, row.error,
            tuple((quoted(name), quoted(value)) for name, value in row.headers),
            held[row.id].capture.body if row.id in held else None, row.id in held and held[row.id].whole,
            row.body_bytes, row.body_sha256,
        )
        for row in rows
    ]  # fmt: skip


def proof(connection: Connection, id_: str) -> Proof | None:
    """Returns the inclusion proof (RFC 9162 2.1.3) of a decision in the checkpoint that covers it, or in the chain."""
    sealed = chain.chain_rows(connection, "decision", [id_])
    if not sealed:
        return None
    [row] = sealed
    signed = checkpoints.latest(connection, row.position)
    size = signed.size if signed else chain.size(connection)
    tree = chain.tree(connection, size)
    path, root = tree.inclusion(row.position), tree.root()
    holds = root_from_inclusion(row.leaf, row.position, size, path) == root
    return Proof(
        row.position, size, row.leaf.hex(), [node.hex() for node in path], root.hex(), holds, row.record,
        signed.note if signed else None,
    )  # fmt: skip


def newest_crawls(connection: Connection, limit: int = 50) -> Sequence[dict[str, Any]]:
    """Returns crawls, newest first: id, times, state, agent, profile and use."""
    of = crawls.c
    wanted = select(of.id, of.started_at, of.finished_at, of.state, of.agent, of.profile, of.use)
    return [dict(row._mapping) for row in connection.execute(wanted.order_by(of.started_at.desc()).limit(limit))]
