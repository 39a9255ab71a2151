"""The frontier: what each crawl found and has still to do, with a queue for each host.

An *entry* is a URL of one crawl; a *queue* holds the entries of one crawl and host. The schema has one row for each:

    hosts     a.example   next_at 02:41:20, leased by process 1 until 02:42:00
    queues    crawl 7, a.example   ready_at 02:42:00
    frontier  1 https://a.example/      kept
              2 https://a.example/a     waiting
              3 https://a.example/b     deferred, due_at 03:00:00

A scheduler leases hosts (leases.py) whose queue has ``ready_at`` in the past, takes what waits in them (``take_all``),
and records each result (``set_states``). Giving the host back sets ``ready_at`` to when the queue next has work: the
host's ``next_at`` if something waits, the earliest ``due_at`` if everything is deferred, NULL if the queue is done. So
finding work is one look at an index of ``queues``, however many entries there are, and the crawl is finished when no
queue has a ``ready_at`` (``status``).

``ready_at`` is only a hint and may be early. It must not be NULL while something waits, so code that adds or reopens an
entry locks the queue and sets it (``mark_ready``).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, or_, select, union_all, update

from forbear.optout.readers.url import parse
from forbear.storage.db.dialects import chunks, execute_many, insert_new, select_in
from forbear.storage.db.hostnames import digest, host_of
from forbear.storage.db.records import EntryState, EntryUpdate, Link, now
from forbear.storage.db.schema import frontier, hosts, queues
from forbear.storage.db.types import iso_utc, printable
from forbear.storage.db.write_cache import Seen
from forbear.storage.frontier.hosts import ensure_hosts
from forbear.storage.frontier.process_id import this_process

OPEN = tuple(map(str, (EntryState.WAITING, EntryState.DEFERRED, EntryState.ALLOWED)))
"""States of entries with something left to do."""


DEATH, READ_DEATH = 1, 10
"""What a process's death counts against its entries, and against the one it was reading: most are innocent."""


@dataclass(frozen=True, slots=True)
class FrontierEntry:
    """A URL to decide about and fetch; ``id`` names it in EntryUpdate and in ``Link.found_on``.

    ``attempts`` counts its deferrals, ``deaths`` the processes that died while they had it, weighted by DEATH and
    READ_DEATH.
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
    """Whether the crawl has finished, and when the next host is due."""

    finished: bool
    next_at: datetime | None


def add(connection: Connection, crawl: str, links: Sequence[Link]) -> int:
    """Adds the URLs that the crawl does not know yet, in order; returns how many. Raises NotAUrl."""
    return add_all(connection, [(crawl, links)])[0]


def add_all(
    connection: Connection, wanted: Sequence[tuple[str, Sequence[Link]]], known: Seen[tuple[str, str]] | None = None
) -> list[int]:
    """Like ``add``, for several crawls or pages at once: returns a count for each. ``known`` are of (crawl, URL)."""
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
    for (key,) in select_in(connection, "SELECT key FROM frontier WHERE key", list(found)):
        del found[key]
    added = [0] * len(wanted)
    if not found:
        return added
    place = _queues(connection, {(crawl, host) for _, crawl, host, _ in found.values()})
    rows = [_row(key, place[crawl, host], link) for key, (_, crawl, host, link) in found.items()]
    for key in insert_new(connection, frontier, rows, _GIVEN, "key"):
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
    """Returns the queue of each (crawl, host), made if missing.

    The rows stay locked until the transaction ends: otherwise another process could find a queue empty, and mark it
    done, while the entries added here are not visible yet.
    """
    known = _lock_queues(connection, wanted)
    new = sorted(wanted - set(known))
    if new:
        at = now()
        ensure_hosts(connection, (host for _, host in new), at)
        places = [(crawl, host, iso_utc(at)) for crawl, host in new]
        insert_new(connection, queues, places, ("crawl", "host", "ready_at"), "id")
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
        for id_, host in select_in(connection, asked, some, f" ORDER BY host{locked}", before=(crawl,)):
            known[crawl, host] = id_
    return known


def mark_ready(connection: Connection, some: Iterable[int]) -> None:
    """Puts queues that were done back in turn, after all that are ready now."""
    asleep = "UPDATE queues SET ready_at = ? WHERE ready_at IS NULL AND id"
    select_in(connection, asleep, sorted(some), before=(iso_utc(now()),))


def take(connection: Connection, crawl: str, host: str, limit: int, at: datetime) -> list[FrontierEntry]:
    """Returns what waits for a host that the caller has leased: shallow entries first, then old ones.

    An entry stays ``waiting`` until it is updated: a caller that takes again before that gets it again.
    """
    return take_all(connection, crawl, {host: limit}, at)[host]


def take_all(
    connection: Connection, crawl: str, wanted: Mapping[str, int], at: datetime
) -> dict[str, list[FrontierEntry]]:
    """Like ``take``, for many hosts, each with its limit, in three statements per hundred hosts."""
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
    """Selects what waits in a queue, in the order of the index: one part of a statement about many queues."""
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
    """Records new states of entries, with the decision for each (None keeps the old one), in order.

    An entry in a final state stays there: a process that lost its lease may learn of that too late.
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
    execute_many(connection, _SETTLE, rows)
    again = [change.entry for change, _ in changes if change.state in (EntryState.WAITING, EntryState.DEFERRED)]
    for some in chunks(again):  # the queue of an entry whose lease was lost must not stay done
        mark_ready(connection, connection.scalars(select(columns.queue).where(columns.id.in_(some)).distinct()))


def lock_open_entries(connection: Connection, some: Sequence[int]) -> set[int]:
    """Returns which entries this process may end: open ones, whose host no other process has leased.

    Locks them until this transaction ends.
    """
    held: set[int] = set()
    mine = or_(hosts.c.lease_owner.is_(None), hosts.c.lease_owner == this_process())
    entries = select(frontier.c.id).join_from(frontier, queues).join(hosts).where(frontier.c.state.in_(OPEN), mine)
    for part in chunks(some):
        locked = entries.where(frontier.c.id.in_(part)).order_by(frontier.c.id)
        held.update(connection.scalars(locked.with_for_update(key_share=True, of=frontier)))
    return held


def note_deaths(connection: Connection, keys: Sequence[bytes]) -> None:
    """Counts the death of a process against the entry it was reading, once for each key given."""
    for key in keys:
        read = frontier.update().where(frontier.c.key == key)
        connection.execute(read.values(deaths=frontier.c.deaths + READ_DEATH))


def reopen(connection: Connection, crawl: str) -> int:
    """Sets deferred and abandoned entries back to waiting, as if new; returns how many.

    Makes all queues ready now, even those due later: a clock that ran ahead may have set that time.
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
    """Returns whether the crawl is finished: no process holds a host of it, and nothing waits."""
    ready_at = connection.scalar(
        select(queues.c.ready_at)
        .where(queues.c.crawl == crawl, queues.c.ready_at.is_not(None))
        .order_by(queues.c.ready_at)
        .limit(1)
    )
    return FrontierStatus(ready_at is None, ready_at)


def entries(connection: Connection, crawl: str) -> Iterator[tuple[str, EntryState, str | None]]:
    """Yields all entries of a crawl, oldest first: URL, state, latest decision."""
    rows = (
        select(frontier.c.url, frontier.c.state, frontier.c.decision)
        .join_from(frontier, queues)
        .where(queues.c.crawl == crawl)
        .order_by(frontier.c.id)
    )
    for row in connection.execute(rows, execution_options={"yield_per": 1000}):
        yield row.url, EntryState(row.state), row.decision


SAMPLE = 1_000
"""Entries that an estimate looks at: the error is 1.6 % of all URLs or less in two of three cases."""


def estimate_states(connection: Connection, crawl: str) -> dict[EntryState, int]:
    """Estimates how many entries of a crawl are in each state, from a random sample: as fast for 10 million as for 10.

    Exact for up to SAMPLE entries.
    """
    last = connection.scalar(select(func.max(frontier.c.id))) or 0
    drawn = random.sample(range(1, last + 1), min(last, SAMPLE))
    counted: Counter[str] = Counter()
    for some in chunks(drawn):
        states = select(frontier.c.state).join_from(frontier, queues)
        counted.update(connection.scalars(states.where(queues.c.crawl == crawl, frontier.c.id.in_(some))))
    return {EntryState(state): round(count * last / len(drawn)) for state, count in sorted(counted.items())}


COUNTED = 1_000_000
"""Up to this many entries, of all crawls, are counted; counting more would delay the end of a crawl."""


def count_states(connection: Connection, crawl: str) -> dict[EntryState, int]:
    """Counts the entries of a crawl by state; estimates if the frontier has more than COUNTED."""
    if (connection.scalar(select(func.max(frontier.c.id))) or 0) > COUNTED:
        return estimate_states(connection, crawl)
    counted = (
        select(frontier.c.state, func.count())
        .join_from(frontier, queues)
        .where(queues.c.crawl == crawl)
        .group_by(frontier.c.state)
    )
    return {EntryState(state): count for state, count in connection.execute(counted)}
