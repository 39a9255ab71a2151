"""Reads present TXT records from the DNS (RFC 1035 3.3.14), without a cache and without following aliases."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

from dns.asyncresolver import Resolver
from dns.exception import DNSException, Timeout
from dns.name import from_text
from dns.nameserver import Do53Nameserver
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers

SECONDS = 8.0
"""Seconds for all servers together; each gets three seconds at a time."""

PORT = 53


class Records(NamedTuple):
    """The TXT records of a name; ``answer`` is what the DNS answered, in a few words."""

    texts: tuple[bytes, ...]
    answer: str


def servers(texts: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Parses servers: ``192.0.2.53``, ``192.0.2.53:5353`` or ``[2001:db8::53]:5353``. Raises ValueError."""
    return tuple(map(_server, texts))


def _server(text: str) -> tuple[str, int]:
    try:
        return str(ip_address(text.strip("[]"))), PORT
    except ValueError:
        address, _, port = text.rpartition(":")
    number = int(port) if port.isdecimal() else 0
    if not 0 < number < 65536:
        raise ValueError(f"{text!r} is no address of a server")
    return str(ip_address(address.strip("[]"))), number


async def texts_of(label: str, host: str, ask: Sequence[tuple[str, int]] = ()) -> Records:
    """Fetches the TXT records of ``label.host`` from these servers, or those of the system.

    An alias (CNAME) is not followed: it may be a wildcard that leads to somebody else's host.
    """
    with suppress(ValueError):
        ip_address(host.strip("[]"))
        return Records((), "an address has no zone of its own")
    try:
        name = from_text(f"{label}.{host}")
        resolver = Resolver(configure=not ask)
        if ask:
            resolver.nameservers = [Do53Nameserver(address, port) for address, port in ask]
        resolver.timeout, resolver.lifetime = 3.0, SECONDS
        answer = await resolver.resolve(name, "TXT", search=False)
    except (NXDOMAIN, NoAnswer):
        return Records((), "no such record")
    except Timeout:
        return Records((), "timeout")
    except NoNameservers:
        return Records((), "the servers of the zone failed")
    except (DNSException, OSError):
        return Records((), "it cannot be asked for")
    if answer.canonical_name != name:
        return Records((), "an alias, which is not followed")
    found = tuple(b"".join(record.strings) for record in answer)
    return Records(found, "another text")
