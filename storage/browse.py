"""The audit log page by page, newest first, and one decision with everything that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select

from storage import chain, checkpoints, evidence
from storage.merkle import root_by_inclusion
from storage.queries import Filter, conditions, reasons_of
from storage.schema import captures, crawls, decision_captures, decisions, gaps, pages, reasons, statements


class Cursor(NamedTuple):
    """Where a page ended: the time and id of its last decision."""

    at: datetime
    id: str

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor of a text made by ``str``; raises ValueError."""
        at, _, id_ = text.partition("~")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not id_:
            raise ValueError(f"{text!r} is no cursor")
        return cls(moment, id_)

    def __str__(self) -> str:
        return f"{self.at.isoformat(timespec='microseconds')}~{self.id}"


class Page(NamedTuple):
    """Decisions, newest first, as ``queries.log`` has them, and where the next page begins; None if there is none."""

    rows: list[dict[str, Any]]
    following: Cursor | None


_COLUMNS = (
    "id", "at", "crawl", "url", "host", "domain", "verdict", "stage", "status", "content_sha256", "bytes", "engine",
    "policy", "verdict_standard", "verdict_strict",
)  # fmt: skip


def page(connection: Connection, wanted: Filter, after: Cursor | None, size: int) -> Page:
    """So many decisions after a cursor, newest first. Raises NotAUrl.

    By a protocol or measure alone, the index of the reasons gives the order, which is that of the ids (UUIDv7: of
    time, to the millisecond): no other way is quick where few, or nearly all, of millions of decisions have it.
    """
    columns = [decisions.c[name] for name in _COLUMNS]
    if wanted.protocol is not None and wanted.domain is None and wanted.url_prefix is None:
        of = reasons.c
        said = _said(of, wanted)
        twin = reasons.alias().c
        first = select(func.min(twin.position)).where(twin.decision == of.decision, *_said(twin, wanted))
        said.append(of.position == first.scalar_subquery())  # a decision with two such reasons is listed once
        rest = conditions(replace(wanted, protocol=None, measure=None))
        rows = select(*columns).join_from(reasons, decisions, decisions.c.id == of.decision).where(*said, *rest)
        rows = rows.order_by(of.decision.desc())
        if after is not None:
            rows = rows.where(of.decision < after.id)
    else:
        also = list(conditions(replace(wanted, protocol=None, measure=None)))
        if wanted.protocol or wanted.measure:  # asked of one decision after the other: no list of millions is made
            of = reasons.c
            also.append(select(of.decision).where(of.decision == decisions.c.id, *_said(of, wanted)).exists())
        rows = select(*columns).where(*also).order_by(decisions.c.at.desc(), decisions.c.id.desc())
        if after is not None:
            same = and_(decisions.c.at == after.at, decisions.c.id < after.id)
            rows = rows.where(decisions.c.at <= after.at, or_(decisions.c.at < after.at, same))
    found = connection.execute(rows.limit(size + 1)).all()
    shown = found[:size]
    because = reasons_of(connection, [row.id for row in shown])
    return Page(
        [
            {name: row._mapping[name] for name in _COLUMNS}
            | {"at": row.at.isoformat(), "reasons": because.get(row.id, [])}
            for row in shown
        ],
        Cursor(shown[-1].at, shown[-1].id) if len(found) > size else None,
    )


def _said(of: Any, wanted: Filter) -> list[ColumnElement[bool]]:
    asked = ((of.protocol, wanted.protocol), (of.measure, wanted.measure))
    return [column == value for column, value in asked if value is not None]


class Proof(NamedTuple):
    """That a decision is in the chain: hashes in hexadecimal, and whether they lead to the root.

    ``checkpoint`` is the signed note that covers the leaf, None if none does yet.
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
    """A capture that a decision rests on; ``body`` is None where the content is gone."""

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
class Whole:
    """A decision with everything that it rests on."""

    decision: dict[str, Any]
    crawl: dict[str, Any]
    reasons: list[dict[str, str]]
    statements: list[dict[str, Any]]
    gaps: list[dict[str, Any]]
    evidence: list[Evidence]
    page: dict[str, Any] | None
    proof: Proof | None


def decision(connection: Connection, id_: str) -> Whole | None:
    """A decision by its id; None if there is none. Raises StorageError."""
    row = connection.execute(select(decisions).where(decisions.c.id == id_)).one_or_none()
    if row is None:
        return None
    crawl = connection.execute(select(crawls).where(crawls.c.id == row.crawl)).one()
    kept = connection.execute(select(pages).where(pages.c.decision == id_)).one_or_none()
    return Whole(
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
    held = evidence.held(connection, [row.id for row in rows])
    return [
        Evidence(
            row.id, row.url, row.fetched_at, row.status, row.error, tuple((name, value) for name, value in row.headers),
            held[row.id].capture.body if row.id in held else None, row.id in held and held[row.id].whole,
            row.body_bytes, row.body_sha256,
        )
        for row in rows
    ]  # fmt: skip


def proof(connection: Connection, id_: str) -> Proof | None:
    """The inclusion proof of a decision (RFC 9162 2.1.3), in the tree of the checkpoint that covers it, or as it is."""
    sealed = chain.sealed(connection, "decision", [id_])
    if not sealed:
        return None
    [row] = sealed
    signed = checkpoints.latest(connection, row.position)
    size = signed.size if signed else chain.size(connection)
    tree = chain.tree(connection, size)
    path, root = tree.inclusion(row.position), tree.root()
    holds = root_by_inclusion(row.leaf, row.position, size, path) == root
    return Proof(
        row.position, size, row.leaf.hex(), [node.hex() for node in path], root.hex(), holds, row.record,
        signed.note if signed else None,
    )  # fmt: skip


def newest_crawls(connection: Connection, limit: int = 50) -> Sequence[dict[str, Any]]:
    """Crawls, the newest first: id, when it began, its state, and by whose name."""
    of = crawls.c
    wanted = select(of.id, of.started_at, of.finished_at, of.state, of.agent, of.profile, of.use)
    return [dict(row._mapping) for row in connection.execute(wanted.order_by(of.started_at.desc()).limit(limit))]
