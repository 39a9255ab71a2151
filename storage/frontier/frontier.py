"""The frontier: what each crawl found and has still to do, a queue for each host."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, or_, select, union_all, update

from forbear.optout.readers.url import parse
from forbear.storage.db.dialects import add_new, chunks, find, many
from forbear.storage.db.hostnames import digest, host_of
from forbear.storage.db.records import EntryState, EntryUpdate, Link, now
from forbear.storage.db.schema import frontier, hosts, queues
from forbear.storage.db.types import iso_utc, printable
from forbear.storage.db.write_cache import Seen
from forbear.storage.frontier.hosts import ensure_hosts
from forbear.storage.frontier.process_id import this_process

OPEN = tuple(map(str, (EntryState.WAITING, EntryState.DEFERRED, EntryState.ALLOWED)))
"""Where an entry stands that something is left to do for."""


DEATH, READ_DEATH = 1, 10
"""How much it counts that a process died while it had an entry, and while it was reading it: most are innocent."""


@dataclass(frozen=True, slots=True)
class FrontierEntry:
    """A URL to be decided about and fetched; ``id`` names it in Settle and in ``Link.found_on``.

    ``attempts``: how often it was deferred. ``deaths``: how many processes died that had it, as DEATH and READ_DEATH
    count them.
    """

    id: int
    url: str
    host: str
    depth: int
    found_on: int | None
    redirects: int
    attempts: int
    deaths: int


@dataclass(frozen=True, slots=True)
class FrontierStatus:
    """Whether anything is left to do, and when the next host is looked at."""

    finished: bool
    next_at: datetime | None


def add(connection: Connection, crawl: str, links: Sequence[Link]) -> int:
    """Adds the URLs that the crawl does not know yet, in order; returns how many. Raises NotAUrl."""
    return add_all(connection, [(crawl, links)])[0]


def add_all(
    connection: Connection, wanted: Sequence[tuple[str, Sequence[Link]]], known: Seen[tuple[str, str]] | None = None
) -> list[int]:
    """``add`` for several crawls or pages at once: how many were added of each. ``known`` are of (crawl, URL)."""
    known = Seen() if known is None else known
    found: dict[bytes, tuple[int, str, str, Link]] = {}
    new: dict[tuple[str, str], None] = {}
    for index, (crawl, links) in enumerate(wanted):
        for link in links:
            given = (crawl, link.url)
            if given not in known and given not in new:
                new[given] = None
                url = parse(link.url)
                found.setdefault(digest(crawl, url.href), (index, crawl, host_of(url), link))
    known.note(new)
    for (key,) in find(connection, "SELECT key FROM frontier WHERE key", list(found)):
        del found[key]
    added = [0] * len(wanted)
    if not found:
        return added
    place = _queues(connection, {(crawl, host) for _, crawl, host, _ in found.values()})
    rows = [_row(key, place[crawl, host], link) for key, (_, crawl, host, link) in found.items()]
    for key in add_new(connection, frontier, rows, _GIVEN, "key"):
        added[found[key][0]] += 1
    mark_ready(connection, set(place.values()))
    return added


def add_kept(connection: Connection, crawl: str, kept: Sequence[tuple[str, str]]) -> None:
    """Adds the URLs of kept pages to a recheck, each with the decision that it was kept by."""
    add(connection, crawl, [Link(url) for url, _ in kept])
    undecided = update(frontier).where(frontier.c.key == bindparam("entry"), frontier.c.decision.is_(None))
    rows = [{"entry": digest(crawl, url), "kept_by": decision} for url, decision in kept]
    connection.execute(undecided.values(decision=bindparam("kept_by")), rows)


_GIVEN = ("queue", "key", "url", "depth", "found_on", "redirects", "state", "attempts", "deaths")


def _row(key: bytes, queue: int, link: Link) -> tuple[object, ...]:
    url = printable(parse(link.url).href)
    return queue, key, url, link.depth, link.found_on, link.redirects, str(EntryState.WAITING), 0, 0


def _queues(connection: Connection, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The queue of each (crawl, host), made where there is none.

    The rows are locked until the transaction ends: otherwise another process could find a queue empty, and put it
    to sleep, while the entries added here cannot be seen yet.
    """
    known = _lock_queues(connection, wanted)
    new = sorted(wanted - set(known))
    if new:
        at = now()
        ensure_hosts(connection, (host for _, host in new), at)
        places = [(crawl, host, iso_utc(at)) for crawl, host in new]
        add_new(connection, queues, places, ("crawl", "host", "ready_at"), "id")
        known |= _lock_queues(connection, new)
    return known


def _lock_queues(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    known: dict[tuple[str, str], int] = {}
    locked = " FOR NO KEY UPDATE" if connection.dialect.name == "postgresql" else ""
    hosts: dict[str, list[str]] = {}
    for crawl, host in sorted(wanted):
        hosts.setdefault(crawl, []).append(host)
    for crawl, some in hosts.items():
        asked = "SELECT id, host FROM queues WHERE crawl = ? AND host"
        for id_, host in find(connection, asked, some, f" ORDER BY host{locked}", before=(crawl,)):
            known[crawl, host] = id_
    return known


def mark_ready(connection: Connection, some: Iterable[int]) -> None:
    """Lets queues that were empty take their turn again, after all that are ready now."""
    asleep = "UPDATE queues SET ready_at = ? WHERE ready_at IS NULL AND id"
    find(connection, asleep, sorted(some), before=(iso_utc(now()),))


def take(connection: Connection, crawl: str, host: str, limit: int, at: datetime) -> list[FrontierEntry]:
    """What waits for a host that the caller holds the lease of: first the shallow, then the old.

    An entry stays ``waiting`` until it is settled: a caller that takes again before that gets it again.
    """
    return take_all(connection, crawl, {host: limit}, at)[host]


def take_all(
    connection: Connection, crawl: str, wanted: Mapping[str, int], at: datetime
) -> dict[str, list[FrontierEntry]]:
    """``take`` for many hosts, each with its limit, in three statements for every hundred."""
    taken: dict[str, list[FrontierEntry]] = {host: [] for host in wanted}
    for some in chunks(sorted(wanted), 100):
        known = select(queues.c.id, queues.c.host).where(queues.c.crawl == crawl, queues.c.host.in_(some))
        names = {row.id: row.host for row in connection.execute(known)}
        if not names:
            continue
        connection.execute(
            frontier.update()
            .where(frontier.c.queue.in_(sorted(names)), frontier.c.state == EntryState.DEFERRED.value)
            .where(frontier.c.due_at <= at)
            .values(state=EntryState.WAITING.value, due_at=None)
        )
        for row in connection.execute(union_all(*(_first(queue, wanted[names[queue]]) for queue in sorted(names)))):
            host = names[row.queue]
            taken[host].append(
                FrontierEntry(row.id, row.url, host, row.depth, row.found_on, row.redirects, row.attempts, row.deaths)
            )
    for entries in taken.values():
        entries.sort(key=lambda entry: (entry.depth, entry.id))
    return taken


def _first(queue: int, limit: int) -> Select[Any]:
    """What waits in a queue, from the index in its order: one part of a statement about many."""
    columns = frontier.c
    named = (columns.id, columns.queue, columns.url, columns.depth, columns.found_on, columns.redirects)
    waiting = select(*named, columns.attempts, columns.deaths).where(
        columns.queue == queue, columns.state == EntryState.WAITING.value
    )
    return select(waiting.order_by(columns.depth, columns.id).limit(limit).subquery())


_SETTLE = (
    "UPDATE frontier SET state = ?, due_at = ?, decision = coalesce(?, decision), attempts = attempts + ?"
    " WHERE id = ? AND state IN ('waiting', 'deferred', 'allowed')"
)


def set_states(connection: Connection, changes: Sequence[tuple[EntryUpdate, str | None]]) -> None:
    """Records where entries stand now, and by which decision (None leaves the one they have), in order.

    An entry that has come to its end stays there: whoever lost its lease may learn of that too late.
    """
    if not changes:
        return
    columns = frontier.c
    rows = [
        (
            str(change.state),
            change.due_at and iso_utc(change.due_at),
            decision,
            int(change.state is EntryState.DEFERRED),
            change.entry,
        )
        for change, decision in changes
    ]
    many(connection, _SETTLE, rows)
    again = [change.entry for change, _ in changes if change.state in (EntryState.WAITING, EntryState.DEFERRED)]
    for some in chunks(again):  # one that lost its lease in the meantime must not be forgotten
        mark_ready(connection, connection.scalars(select(columns.queue).where(columns.id.in_(some)).distinct()))


def lock_open_entries(connection: Connection, some: Sequence[int]) -> set[int]:
    """Which entries are this process's to end: they are open, and no other has leased their host meanwhile.

    Nobody else changes that until this transaction ends.
    """
    held: set[int] = set()
    mine = or_(hosts.c.lease_owner.is_(None), hosts.c.lease_owner == this_process())
    entries = select(frontier.c.id).join_from(frontier, queues).join(hosts).where(frontier.c.state.in_(OPEN), mine)
    for part in chunks(some):
        locked = entries.where(frontier.c.id.in_(part)).order_by(frontier.c.id)
        held.update(connection.scalars(locked.with_for_update(key_share=True, of=frontier)))
    return held


def note_deaths(connection: Connection, keys: Sequence[bytes]) -> None:
    """Counts that processes died while they read entries, once for each time that the key of one is there."""
    for key in keys:
        read = frontier.update().where(frontier.c.key == key)
        connection.execute(read.values(deaths=frontier.c.deaths + READ_DEATH))


def reopen(connection: Connection, crawl: str) -> int:
    """Lets what was deferred or given up wait again, as if it were new; returns how many URLs these are.

    What else waits is looked at now too, whenever it would have been: a clock that ran ahead may have said so.
    """
    at = now()
    connection.execute(queues.update().where(queues.c.crawl == crawl, queues.c.ready_at > at).values(ready_at=at))
    mine = select(queues.c.id).where(queues.c.crawl == crawl)
    states = [EntryState.DEFERRED.value, EntryState.ABANDONED.value]
    undone = frontier.update().where(frontier.c.queue.in_(mine), frontier.c.state.in_(states))
    again = connection.scalars(
        undone.values(state=EntryState.WAITING.value, due_at=None, attempts=0, deaths=0).returning(frontier.c.queue)
    ).all()
    for some in chunks(sorted(set(again))):
        connection.execute(queues.update().where(queues.c.id.in_(some)).values(ready_at=at))
    return len(again)


def status(connection: Connection, crawl: str) -> FrontierStatus:
    """Whether the crawl is finished: no process holds a host of it, and nothing waits."""
    ready_at = connection.scalar(
        select(queues.c.ready_at)
        .where(queues.c.crawl == crawl, queues.c.ready_at.is_not(None))
        .order_by(queues.c.ready_at)
        .limit(1)
    )
    return FrontierStatus(ready_at is None, ready_at)


def entries(connection: Connection, crawl: str) -> Iterator[tuple[str, EntryState, str | None]]:
    """All entries of a crawl, oldest first: URL, where it stands, the latest decision about it."""
    rows = (
        select(frontier.c.url, frontier.c.state, frontier.c.decision)
        .join_from(frontier, queues)
        .where(queues.c.crawl == crawl)
        .order_by(frontier.c.id)
    )
    for row in connection.execute(rows, execution_options={"yield_per": 1000}):
        yield row.url, EntryState(row.state), row.decision


SAMPLE = 1_000
"""Entries that an estimate looks at: it is wrong by 1.6 % of all URLs or less in two of three cases."""


def estimate_states(connection: Connection, crawl: str) -> dict[EntryState, int]:
    """About how many entries of a crawl stand where, from entries drawn at random: as fast for 10 million as for 10.

    Exact for as many entries as SAMPLE.
    """
    last = connection.scalar(select(func.max(frontier.c.id))) or 0
    drawn = random.sample(range(1, last + 1), min(last, SAMPLE))
    counted: Counter[str] = Counter()
    for some in chunks(drawn):
        states = select(frontier.c.state).join_from(frontier, queues)
        counted.update(connection.scalars(states.where(queues.c.crawl == crawl, frontier.c.id.in_(some))))
    return {EntryState(state): round(count * last / len(drawn)) for state, count in sorted(counted.items())}


COUNTED = 1_000_000
"""Entries, of all crawls of a database, up to which they are counted; more would keep a crawl from its end."""


def count_states(connection: Connection, crawl: str) -> dict[EntryState, int]:
    """How many entries of a crawl stand where; an estimate if the frontier has more than COUNTED."""
    if (connection.scalar(select(func.max(frontier.c.id))) or 0) > COUNTED:
        return estimate_states(connection, crawl)
    counted = (
        select(frontier.c.state, func.count())
        .join_from(frontier, queues)
        .where(queues.c.crawl == crawl)
        .group_by(frontier.c.state)
    )
    return {EntryState(state): count for state, count in connection.execute(counted)}
