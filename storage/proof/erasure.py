"""Erases what rows of the log say about pages, as law or a retention period requires, and keeps the chain intact.

Erased are the payload of a row (URLs, hosts, headers, quotations; ``forbear.storage.chain.leaves``) and its salt. What
stays is that something was decided: when, by which protocol, with which result. An erasure is an event in the chain
that names the positions. Captures of well-known files are evidence about a site and stay, unless erased by their URL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, and_, or_, select, update

from forbear.optout.model import Preference, Reason, Verdict
from forbear.storage.chain import chain, leaves, ranges
from forbear.storage.database import writing
from forbear.storage.db import portal_tables, schema
from forbear.storage.db.dialects import chunks
from forbear.storage.db.hostnames import digest, read
from forbear.storage.db.records import EntryState, now
from forbear.storage.db.types import iso_utc
from forbear.storage.log import crawl_sums, evidence
from forbear.storage.log.summary import forget, reason_key

EVENT = "erasure"

_BATCH = 500
"""Decisions in one transaction, and in one event."""


def erased_positions(connection: Connection) -> ranges.PositionSet:
    """Returns the positions that erasures on record name; an event that cannot be read names none."""
    contents = connection.scalars(select(schema.events.c.content).where(schema.events.c.event == EVENT))
    return ranges.PositionSet(str(content.get("positions", "")) for content in contents if isinstance(content, dict))


def older_than(engine: Engine, moment: datetime, reason: str) -> Iterator[int]:
    """Erases what decisions before the moment say about pages; yields how many rows after each transaction."""
    decisions = schema.decisions.c
    return _erase(engine, decisions.at < moment, reason, {"older_than": iso_utc(moment)})


def by_url(engine: Engine, url: str, reason: str) -> Iterator[int]:
    """Erases all decisions about a URL and its captures; the event does not repeat it. Raises NotAUrl."""
    canonical = read(url).href
    decisions, rests, captures = schema.decisions.c, schema.decision_captures.c, schema.captures.c
    about = select(rests.decision).join_from(schema.decision_captures, schema.captures)
    about = about.where(captures.url_key == digest(canonical), captures.url == canonical, captures.body.is_(None))
    named = or_(decisions.url == url, decisions.canonical == canonical, decisions.id.in_(about))
    yield from _erase(engine, named, reason, {"url": "one, asked for by name"})
    alone = and_(captures.url_key == digest(canonical), captures.url == canonical)
    with _writing(engine) as connection:
        ids = connection.scalars(select(captures.id).where(alone)).all()
        if ids:
            yield _record(connection, {"capture": ids}, reason, {"url": "one, asked for by name"})


def by_complaint(engine: Engine, number: str, reason: str) -> Iterator[int]:
    """Erases who complained, about what, in which words, the reasons of the steps, and the attachments.

    Stays: when it came, how it was handled, and what it blocks while it is accepted.
    """
    sent, taken = portal_tables.complaint_files, portal_tables.complaint_steps
    with _writing(engine) as connection:
        columns = portal_tables.complaints.c
        of = connection.scalar(select(columns.id).where(columns.number == number))
        if of is not None:
            steps, files = (
                connection.scalars(select(leaves.FORMS[kind].ref).where(table.c.complaint == of)).all()
                for kind, table in (("step", taken), ("attachment", sent))
            )
            refs = {"complaint": [str(of)], "step": steps, "attachment": files}
            yield _record(connection, refs, reason, {"complaint": number})


def _erase(engine: Engine, condition: ColumnElement[bool], reason: str, because: dict[str, str]) -> Iterator[int]:
    decisions, leaf, after = schema.decisions.c, schema.chain.c, ""
    same = and_(leaf.ref == decisions.id, leaf.kind == "decision", leaf.salt.is_not(None))
    while True:
        with _writing(engine) as connection:
            wanted = select(decisions.id).join_from(schema.decisions, schema.chain, same)
            wanted = wanted.where(condition, decisions.id > after).order_by(decisions.id).limit(_BATCH)
            ids = connection.scalars(wanted).all()
            if not ids:
                return
            rests = _pages_of(connection, ids)
            yield _record(connection, {"decision": ids, "page": ids, "capture": rests}, reason, because)
        after = ids[-1]


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    """Opens a transaction whose deleted content is overwritten, where the database can (SQLite)."""
    with writing(engine) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        yield connection


def _pages_of(connection: Connection, ids: Sequence[str]) -> Sequence[str]:
    """Returns the captures of pages behind these decisions that no other decision with its words uses."""
    rests, captures, leaf = schema.decision_captures.c, schema.captures.c, schema.chain.c
    mine = select(rests.capture).where(rests.decision.in_(ids))
    others = select(rests.capture).join_from(
        schema.decision_captures, schema.chain, and_(leaf.ref == rests.decision, leaf.kind == "decision")
    )
    others = others.where(rests.capture == captures.id, leaf.salt.is_not(None), rests.decision.not_in(ids))
    return connection.scalars(
        select(captures.id).where(captures.id.in_(mine), captures.body.is_(None), ~others.exists())
    ).all()


def _record(connection: Connection, refs: Mapping[str, Sequence[str]], reason: str, because: dict[str, str]) -> int:
    """Erases the rows and records it in the chain; returns how many there were."""
    leaf = schema.chain.c
    places: list[int] = []
    for kind, some in ((kind, some) for kind, ids in refs.items() for some in chunks(ids)):
        live = and_(leaf.kind == kind, leaf.ref.in_(some), leaf.salt.is_not(None))
        places += connection.scalars(select(leaf.position).where(live)).all()
        _BLANK[kind](connection, some)
        connection.execute(update(schema.chain).where(live).values(salt=None))
    if places:
        content = {
            "reason": reason,
            "condition": because,
            "rows": len(places),
            "positions": ranges.join(sorted(places)),
        }
        chain.append_event(connection, EVENT, content, now())
    return len(places)


def _decisions(connection: Connection, ids: Sequence[str]) -> None:
    _sums(connection, ids)
    connection.execute(
        schema.frontier.delete().where(schema.frontier.c.decision.in_(ids), schema.frontier.c.state.in_(_ENDED))
    )
    about = update(schema.decisions).where(schema.decisions.c.id.in_(ids))
    connection.execute(about.values(url="", canonical="", host=""))
    for table in leaves.CHILDREN.values():
        words = {column.name: "" for column in table.c if column.name in leaves.WORDS}
        connection.execute(update(table).where(table.c.decision.in_(ids)).values(words))


def _sums(connection: Connection, ids: Sequence[str]) -> None:
    """Removes the URLs, and the words of these pages, from the sums over the log."""
    decisions, why = schema.decisions.c, schema.reasons.c
    rows = connection.execute(
        select(schema.reasons, decisions.host, decisions.verdict)
        .join_from(schema.reasons, schema.decisions)
        .where(why.decision.in_(ids), or_(why.source == decisions.url, why.source == decisions.canonical))
    )
    words = {
        (
            row.decision,
            Reason(row.protocol, Preference(row.preference), row.quote, row.source, row.place, row.measure),
        ): row
        for row in rows
    }
    keys = [reason_key(row.host, Verdict(row.verdict), reason) for (_, reason), row in words.items()]
    forget(connection, ids, keys)
    crawl_sums.forget(connection, ids)


def _captures(connection: Connection, ids: Sequence[str]) -> None:
    captures = schema.captures.c
    bodies = connection.scalars(select(captures.body).where(captures.id.in_(ids), captures.body.is_not(None))).all()
    about = update(schema.captures).where(captures.id.in_(ids))
    connection.execute(about.values(url="", url_key=b"", headers=[], excerpts=[], body=None))
    used = select(captures.body).where(captures.body == schema.bodies.c.sha256)
    unused = schema.bodies.c.sha256.in_(bodies) & ~used.exists()
    stored = select(schema.bodies.c.sha256, schema.bodies.c.place).where(unused)
    evidence.remove(connection, connection.execute(stored.where(schema.bodies.c.place.is_not(None))).all())
    connection.execute(schema.bodies.delete().where(unused))


def _pages(connection: Connection, ids: Sequence[str]) -> None:
    connection.execute(update(schema.pages).where(schema.pages.c.decision.in_(ids)).values(url=""))


def _complaints(connection: Connection, ids: Sequence[str]) -> None:
    table = portal_tables.complaints
    words = dict.fromkeys(("name", "email", "on_behalf", "works", "what"), "")
    connection.execute(update(table).where(table.c.id.in_(ids)).values(words | {"urls": []}))


def _steps(connection: Connection, refs: Sequence[str]) -> None:
    about = update(portal_tables.complaint_steps).where(leaves.FORMS["step"].ref.in_(refs))
    connection.execute(about.values(by="", reason="", blocks=[]))


def _attachments(connection: Connection, refs: Sequence[str]) -> None:
    about = update(portal_tables.complaint_files).where(leaves.FORMS["attachment"].ref.in_(refs))
    connection.execute(about.values(name="", sha256="", content=b""))


_BLANK: dict[str, Callable[[Connection, Sequence[str]], None]] = {
    "decision": _decisions,
    "capture": _captures,
    "page": _pages,
    "complaint": _complaints,
    "step": _steps,
    "attachment": _attachments,
}

_ENDED = [
    str(state)
    for state in (
        EntryState.KEPT,
        EntryState.EXCLUDED,
        EntryState.REDIRECTED,
        EntryState.GONE,
        EntryState.SKIPPED,
        EntryState.ABANDONED,
    )
]
