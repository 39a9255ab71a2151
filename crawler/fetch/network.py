"""Which addresses may be connected to, by the IANA special-purpose address registries as of 2025."""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from forbear.optout.readers.url import Url, parse
from forbear.storage.db.hostnames import is_delegated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# ipaddress.is_global differs between Python versions and calls multicast global, hence a table of our own.
_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private use, RFC 1918
        "100.64.0.0/10",  # shared address space, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "169.254.0.0/16",  # link local, RFC 3927: cloud metadata services
        "172.16.0.0/12",  # private use, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relay, deprecated by RFC 7526
        "192.168.0.0/16",  # private use, RFC 1918
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and limited broadcast, RFC 1112, RFC 919
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 2.4: all else is local, multicast or unassigned
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, deprecated by RFC 7526, carries any IPv4 address
        "3fff::/20",  # documentation, RFC 9637
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 2.5.5.2
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: how an IPv6-only machine reaches the IPv4 web
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215: the same within a network
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 2.5.5.1
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765 2.1
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214 6.1: the bytes before the IPv4 address, under any prefix

_METADATA = frozenset(
    ip_address(address)
    for address in (  # cloud services that hand out keys to anybody inside, besides the link-local addresses
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure, in the public range
        "192.0.0.192",  # Oracle Cloud
        "fd00:c1::a9fe:a9fe",  # the same
        "fd00:ec2::254",  # AWS: instances
        "fd00:ec2::23",  # AWS: Kubernetes
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
    )
)
_METADATA_NAMES = frozenset(
    (  # the same by name; "metadata" and "instance-data" are looked up below the machine's own domain
        *("metadata", "metadata.google.internal", "metadata.goog", "metadata.tencentyun.com", "instance-data"),
        *("metadata.azure.internal", "api.metadata.cloud.ibm.com"),
    )
)

_LOCAL_NAMES = frozenset(
    (  # RFC 6761, RFC 6762 with appendix G, RFC 7686, 8375, 9476, ICANN 2024.07.29.06; Kubernetes, Consul, as seen
        *("localhost", "local", "localdomain", "intranet", "private", "corp", "home", "lan", "test", "onion"),
        *("home.arpa", "alt", "internal", "svc", "cluster", "consul", "intra", "docker", "domain", "workgroup"),
    )
)
_FOR_EXAMPLES = "example"  # RFC 6761 6.5: nothing is there, in- or outside
_PIN = re.compile(r"(?P<host>[^:\s]+):(?P<port>\d{1,5}|\*):(?P<addresses>\S+)")


class NotPublic(ConnectionRefusedError):
    """The address or name is not public; the message is a sentence for a person."""


def is_public(address: str) -> bool:
    """Returns whether an IP address belongs to the public Internet. Raises ValueError for anything else."""
    return all(map(_is_public, _reached(ip_address(address))))


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_V4)
    return ip.scope_id is None and ip in _GLOBAL_UNICAST and not any(ip in network for network in _NOT_PUBLIC_V6)


def _reached(ip: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """Returns every address where a packet may end: an IPv6 address may contain or lead to an IPv4 one."""
    if isinstance(ip, IPv4Address):
        return (ip,)
    embedded = tuple(_embedded(ip))
    stands_for_it = ip.scope_id is None and (ip in _MAPPED or ip in _NAT64)
    return embedded if stands_for_it else (ip, *embedded)


def _embedded(ip: IPv6Address) -> Iterator[IPv4Address]:
    """Yields the IPv4 addresses in an IPv6 address, in each form that a router or translator may unwrap."""
    octets = ip.packed
    if any(ip in network for network in (_MAPPED, _NAT64, _LOCAL_NAT64, _COMPATIBLE, _TRANSLATED)) or (
        int.from_bytes(octets[8:12]) in _ISATAP
    ):
        yield IPv4Address(octets[12:])
    if ip in _LOCAL_NAT64:  # RFC 6052 2.2: behind a prefix of 48, 56 or 64 bits, around the byte at bit 64
        rest = octets[:8] + octets[9:]
        yield from (IPv4Address(rest[start : start + 4]) for start in (6, 7, 8))
    if ip.sixtofour:  # RFC 3056
        yield ip.sixtofour
    if ip.teredo:  # RFC 4380: the server, and the client, whose bytes are inverted
        yield from ip.teredo


def _name(host: str) -> str:
    return host.rstrip(".").lower()


def _is_metadata_name(host: str) -> bool:
    """Returns whether a cloud has its metadata service at a name or at a parent of it."""
    labels = _name(host).split(".")
    if labels[0] == "instance-data" and labels[-1] == "internal":  # AWS: ec2.internal, REGION.compute.internal
        return True
    return any(".".join(labels[start:]) in _METADATA_NAMES for start in range(len(labels)))


def _is_metadata(ip: IPv4Address | IPv6Address) -> bool:
    plain = IPv6Address(int(ip)) if isinstance(ip, IPv6Address) else ip  # a zone makes it no other address
    return plain.is_link_local or plain in _METADATA


def _is_local_name(host: str) -> bool:
    labels = _name(host).split(".")
    return len(labels) == 1 or labels[-1] in _LOCAL_NAMES or ".".join(labels[-2:]) in _LOCAL_NAMES


def _is_delegated(host: str) -> bool:
    """Returns whether the last label of a name is a top-level domain in the bundled list."""
    return _name(host).rpartition(".")[2] == _FOR_EXAMPLES or is_delegated(_name(host))


def _literal(host: str) -> str | None:
    """Returns the host as an IP address, if it is one; canonical URLs have one notation for each."""
    try:
        return str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def parse_pin(pin: str) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Parses ``HOST:PORT:ADDR[,ADDR]``, as for ``curl --resolve``; ``*`` is any host or port. Raises ValueError."""
    match = _PIN.fullmatch(pin)
    if match is None:
        raise ValueError(f"{pin!r} is not of the form HOST:PORT:ADDRESS")
    addresses = tuple(filter(None, map(_literal, match["addresses"].split(","))))
    if len(addresses) != match["addresses"].count(",") + 1:
        raise ValueError(f"{match['addresses']!r} in {pin!r} is not an IP address")
    port = match["port"]
    if port != "*" and not 0 < int(port) < 65536:
        raise ValueError(f"{port} in {pin!r} is not a port")
    return (match["host"].rstrip(".").lower(), port), addresses


class Guard:
    """Keeps requests away from addresses that are not public.

    Names are looked up here, and the caller connects to the addresses that were checked, so a name server that answers
    differently the second time changes nothing.
    """

    def __init__(self, *, allow_private: bool = False, resolve: Iterable[str] = ()) -> None:
        """``resolve`` are pins in the form that ``parse_pin`` takes. Raises its ValueError."""
        self._allow_private = allow_private
        self._pins = dict(map(parse_pin, resolve))

    def allows(self, address: str) -> bool:
        """Returns whether an IP address may be connected to.

        Link-local ones never, nor others where a cloud has its metadata service: no web is there, but keys are.
        """
        if any(map(_is_metadata, _reached(ip_address(address)))):
            return False
        return self._allow_private or is_public(address)

    def check_literal(self, url: str | Url, *, by_proxy: bool = False) -> None:
        """Raises NotPublic if the URL names an address or host that is not public, and NotAUrl for a bad URL.

        ``by_proxy``: a proxy looks the name up, so that this is all that can be checked. Then a name has to be one that
        can be looked up outside.
        """
        host = parse(url).host if isinstance(url, str) else url.host
        address = _literal(host)
        if address:
            allowed = self.allows(address)
        elif _is_metadata_name(host):
            allowed = False
        else:
            inside = _is_local_name(host) or (by_proxy and not _is_delegated(host))
            allowed = self._allow_private or not inside
        if not allowed:
            raise NotPublic(f"{host} is not on the public Internet, and only public addresses are fetched")

    async def lookup(self, host: str, port: int, *, check: bool = True) -> list[str]:
        """Returns the addresses of a host that may be connected to, in order of preference; at least one.

        ``check`` off: whatever it has, as the operator's own proxy may be anywhere. Raises NotPublic if it has none of
        this kind, socket.gaierror if it has none at all.
        """
        address = _literal(host)
        if not check:
            return [address] if address else await _resolve(host, port)
        found = [address] if address else self._pinned(host, port) or await _resolve(host, port)
        allowed = [each for each in found if self.allows(each)]
        if not allowed:
            raise NotPublic(f"{host} has the address {found[0]}, which is not on the public Internet")
        return allowed

    def _pinned(self, host: str, port: int) -> list[str]:
        name = _name(host)
        keys = ((name, str(port)), (name, "*"), ("*", str(port)), ("*", "*"))
        return list(next((self._pins[key] for key in keys if key in self._pins), ()))

    def open_socket(self, address_info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """Returns a socket for an address from getaddrinfo, after a last check of that very address."""
        family, kind, protocol, _, address = address_info
        if not self.allows(str(address[0])):
            raise NotPublic(f"{address[0]} is not on the public Internet")
        return socket.socket(family, kind, protocol)


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or longer than 63 bytes
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is not a host name") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def causes(exception: BaseException) -> Iterator[BaseException]:
    """Yields the exception and the exceptions it was raised from."""
    cause: BaseException | None = exception
    while cause is not None:
        yield cause
        cause = cause.__cause__


def explain(exception: BaseException) -> str:
    """Returns the message of the innermost cause that has one."""
    words = [text for cause in causes(exception) if (text := str(cause).strip())]
    return words[-1] if words else type(exception).__name__
