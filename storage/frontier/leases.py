"""Leases on hosts: one process at a time sends requests to a host, and the next one keeps the pause between requests.

A lease is ``lease_owner`` and ``lease_until`` in the host's row. Its owner renews it while it works, and gives it back
with the time at which the host may be asked again:

    02:41:00  process 1 leases a.example until 02:42:00     lease_hosts
    02:41:30  and until 02:42:30                            renew
    02:42:10  gives it back, next request from 02:42:15     release
    02:42:12  process 2 leases it, and waits until 02:42:15

A process that dies gives nothing back. Others of the same machine see that it is gone (``recover``); on other machines
the lease runs out. Either way the owner's name is still in the row, so the next lease is ``orphaned``: nobody knows
when the host was last asked, and the new owner waits for a whole delay first. What the dead process was fetching goes
back to waiting, with the death counted against it. A process that was only paused finds its lease lost at the next
``renew``, and the log refuses what it still wants to keep (``frontier.lock_open_entries``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from forbear.optout.model import SKEW
from forbear.storage.db.dialects import chunks
from forbear.storage.db.records import EntryState
from forbear.storage.db.schema import frontier, hosts, queues
from forbear.storage.frontier.frontier import DEATH
from forbear.storage.frontier.hosts import ensure_hosts
from forbear.storage.frontier.process_id import is_dead


@dataclass(frozen=True, slots=True)
class Lease:
    """The permission to send requests to a host, from ``next_at`` on (None: at once).

    ``orphaned``: the previous owner died without giving it back, so nobody knows when it last sent a request; wait for
    the host's whole delay first.
    """

    host: str
    next_at: datetime | None
    orphaned: bool = False


def lease_hosts(connection: Connection, crawl: str, owner: str, n: int, at: datetime, seconds: float) -> list[Lease]:
    """Leases up to ``n`` hosts of the crawl with something due, for ``seconds``; the longest ready first.

    Entries of these hosts that a process was fetching when it died go back to waiting; the death counts against them,
    since the answer may have caused it.
    """
    leased: list[Lease] = []
    until = at + timedelta(seconds=seconds)
    while len(leased) < n:
        ready = (
            select(queues.c.id, queues.c.host, hosts.c.next_at, hosts.c.lease_owner, hosts.c.lease_until)
            .add_columns(hosts.c.last_seen)
            .join_from(queues, hosts)
            .where(queues.c.crawl == crawl, queues.c.ready_at <= at)
            .order_by(queues.c.ready_at)  # no other key: the index has this order, so nothing is sorted
            .limit(n - len(leased))
            .with_for_update(skip_locked=True, key_share=True)
        )
        rows = connection.execute(ready).all()
        if not rows:
            break
        free = []
        for row in rows:
            held = row.lease_owner is not None and row.lease_until > at
            later = row.lease_until if held else _next_at(row, at)
            if later is not None and later > at:  # nobody looks at it again before that
                connection.execute(queues.update().where(queues.c.id == row.id).values(ready_at=later))
            else:
                free.append(row)
        _assign(connection, [row.host for row in free], owner, until)
        _recover_entries(connection, [row.id for row in free if row.lease_owner is not None], DEATH)
        _recover_entries(connection, [row.id for row in free if row.lease_owner is None], 0)
        leased += [Lease(row.host, _next_at(row, at), row.lease_owner is not None) for row in free]
    return leased


def lease_host(connection: Connection, owner: str, host: str, at: datetime, seconds: float) -> Lease | None:
    """Leases one host by name, even one unknown to any crawl; returns None while another process holds it.

    The current owner gets it again: taking turns within a process is the caller's task.
    """
    ensure_hosts(connection, [host], at)
    of = hosts.c
    columns = select(of.next_at, of.last_seen, of.lease_owner, of.lease_until).where(of.host == host)
    known = connection.execute(columns.with_for_update(key_share=True)).one()
    mine = known.lease_owner == owner
    if known.lease_owner is not None and not mine and known.lease_until > at:
        return None
    _assign(connection, [host], owner, at + timedelta(seconds=seconds))
    return Lease(host, _next_at(known, at), known.lease_owner is not None and not mine)


def _next_at(row: Row[*tuple[Any, ...]], at: datetime) -> datetime | None:
    """Returns when the host may be asked again; at once if a clock that ran ahead set the time."""
    next_at: datetime | None = row.next_at
    return None if row.last_seen > at + SKEW else next_at


def _assign(connection: Connection, some: Sequence[str], owner: str, until: datetime) -> None:
    for part in chunks(some):
        connection.execute(hosts.update().where(hosts.c.host.in_(part)).values(lease_owner=owner, lease_until=until))
        _postpone(connection, part, until)


def _postpone(connection: Connection, some: Sequence[str], until: datetime) -> None:
    waiting = queues.update().where(queues.c.host.in_(some), queues.c.ready_at.is_not(None))
    connection.execute(waiting.values(ready_at=until))


def _recover_entries(connection: Connection, some: Sequence[int], deaths: int) -> None:
    for part in chunks(some):
        orphans = frontier.update().where(frontier.c.queue.in_(part), frontier.c.state == EntryState.ALLOWED.value)
        connection.execute(orphans.values(state=EntryState.WAITING.value, deaths=frontier.c.deaths + deaths))


def renew(connection: Connection, owner: str, some: Sequence[str], at: datetime, seconds: float) -> set[str]:
    """Extends leases to ``seconds`` from now; returns the hosts still owned, the others are lost."""
    until = at + timedelta(seconds=seconds)
    kept: set[str] = set()
    for part in chunks(sorted(some)):
        held = hosts.update().where(hosts.c.host.in_(part), hosts.c.lease_owner == owner)
        still = connection.scalars(held.values(lease_until=until).returning(hosts.c.host)).all()
        if still:
            _postpone(connection, still, until)
        kept.update(still)
    return kept


def release(connection: Connection, owner: str, host: str, next_at: datetime | None, at: datetime) -> None:
    """Gives a host back when no request to it is in flight; the next owner waits until ``next_at``.

    Does nothing if the lease was lost.
    """
    mine = hosts.update().where(hosts.c.host == host, hosts.c.lease_owner == owner)
    freed = mine.values(lease_owner=None, lease_until=None, next_at=next_at, last_seen=at).returning(hosts.c.host)
    if connection.scalar(freed) is None:
        return
    for queue in connection.scalars(
        select(queues.c.id).where(queues.c.host == host).order_by(queues.c.id).with_for_update(key_share=True)
    ).all():
        due = _next_work(connection, queue, at)
        ready_at = due if due is None or next_at is None else max(due, next_at)
        connection.execute(queues.update().where(queues.c.id == queue).values(ready_at=ready_at))


def _next_work(connection: Connection, queue: int, at: datetime) -> datetime | None:
    """Returns when the queue next has work: now, later, or never (None)."""
    entries = select(frontier.c.id).where(frontier.c.queue == queue)
    for state in (EntryState.WAITING, EntryState.ALLOWED):
        if connection.scalar(entries.where(frontier.c.state == state.value).limit(1)) is not None:
            return at
    later = select(func.min(frontier.c.due_at)).where(
        frontier.c.queue == queue, frontier.c.state == EntryState.DEFERRED.value
    )
    due: datetime | None = connection.scalar(later)
    return due


def any_held(connection: Connection, crawl: str, at: datetime) -> bool:
    """Checks whether any process holds a host of the crawl with work left."""
    leased = select(hosts.c.host).where(hosts.c.lease_owner.is_not(None), hosts.c.lease_until > at)
    wanted = leased.join_from(hosts, queues).where(queues.c.crawl == crawl, queues.c.ready_at.is_not(None))
    return connection.scalar(wanted.limit(1)) is not None


def recover(connection: Connection, at: datetime) -> list[str]:
    """Ends the leases of dead processes of this machine, so that nobody waits for them; returns the hosts.

    Cheap for any frontier: it reads leased hosts only. Leases of other machines run out by time.
    """
    held = select(hosts.c.host, hosts.c.lease_owner).where(hosts.c.lease_owner.is_not(None), hosts.c.lease_until > at)
    dead = [row.host for row in connection.execute(held) if is_dead(row.lease_owner)]
    for some in chunks(sorted(dead)):
        # The owner's name stays: the next lease is orphaned by it.
        connection.execute(hosts.update().where(hosts.c.host.in_(some)).values(lease_until=at))
        _postpone(connection, some, at)
    return dead
