"""Hosts: a row for each name met, which everything else about a host hangs on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from storage.dialects import insert
from storage.names import domain_of, unicode_of
from storage.schema import hosts


def meet(connection: Connection, names: Iterable[str], at: datetime) -> None:
    """Makes rows for hosts that have none; in one order for all processes, so that they do not lock each other out."""
    rows = [
        {"host": name, "unicode": unicode_of(name), "domain": domain_of(name), "first_seen": at, "last_seen": at}
        for name in sorted(set(names))
    ]
    if rows:
        connection.execute(insert(connection, hosts).on_conflict_do_nothing(), rows)


def domain_in(connection: Connection, host: str) -> str:
    """The registrable domain of a host as its rows have it; by the Public Suffix List if it was never met."""
    found = connection.scalar(select(hosts.c.domain).where(hosts.c.host == host))
    if found is None:  # a domain may be known by its subdomains alone
        found = connection.scalar(select(hosts.c.domain).where(hosts.c.domain == host).limit(1))
    return found or domain_of(host)
