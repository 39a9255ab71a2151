"""Rows of hosts, which everything else about a host refers to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from forbear.storage.db.dialects import insert_new
from forbear.storage.db.hostnames import domain_of, unicode_of
from forbear.storage.db.schema import hosts
from forbear.storage.db.types import iso_utc, printable


def ensure_hosts(connection: Connection, names: Iterable[str], at: datetime) -> None:
    """Adds rows for hosts without one; in the same order in all processes, so that they cannot deadlock."""
    met = iso_utc(at)
    rows = [(name, printable(unicode_of(name)), domain_of(name), met, met) for name in sorted(set(names))]
    insert_new(connection, hosts, rows, ("host", "unicode", "domain", "first_seen", "last_seen"), "host")


def domain_in(connection: Connection, host: str) -> str:
    """Returns a host's registrable domain as stored; by the Public Suffix List if the host is unknown."""
    found = connection.scalar(select(hosts.c.domain).where(hosts.c.host == host))
    if found is None:  # a domain may be known by its subdomains alone
        found = connection.scalar(select(hosts.c.domain).where(hosts.c.domain == host).limit(1))
    return found or domain_of(host)
