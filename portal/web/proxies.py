"""Finds the address that a request came from, behind the reverse proxies that the operator has named.

Each proxy adds the address that it was called from at the right end of X-Forwarded-For, or of Forwarded (RFC 7239).
Everything further left came with the request and can be forged. So the list is read from the right: addresses of named
proxies are skipped, and the first other address is the client. At an entry that is not an
address (malformed, ``unknown``, obfuscated), the reading ends, and the client is the last proxy that was passed. A
request that does not come from a named proxy comes from its own address, whatever header fields it has.

    from 10.0.0.2, X-Forwarded-For: 192.0.2.99, 198.51.100.7, 10.0.0.1    10.0.0.0/8 is named: 198.51.100.7

If a request has both fields, they count only if they name the same client. A proxy that writes one passes on the other
unchanged, and which one it wrote is unknown: preferring either would let strangers choose their address behind proxies
that write the other. Otherwise the client is the proxy itself, until it removes the field that it does not write.

X-Forwarded-Proto, X-Forwarded-Host and Host are not read at all: the public address is ``--base-url``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Fields = Iterable[tuple[bytes, bytes]]

# RFC 7239 6: an IPv6 address is in brackets, and any node may have a port; X-Forwarded-For has the same forms.
_NODE = re.compile(r"([0-9.]+|\[[0-9A-Fa-f:.]+\])(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 RFC 9110 5.6.2
_PAIR = rf'({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")'
_ELEMENT = re.compile(rf"{_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*")
_MARK = re.compile(r'\\+"?|[",]')


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parses networks such as ``10.0.0.1, 2001:db8::/32``; an address is a network of one. Raises ValueError."""
    found = []
    for text in (part.strip() for whole in texts for part in whole.split(",")):
        try:
            network = ip_network(text)
        except ValueError:
            raise ValueError(
                f"{text!r} is not an address or network: write 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32"
            ) from None
        mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
        if mapped and network.prefixlen >= 96:  # as addresses are compared
            network = IPv4Network((mapped, network.prefixlen - 96))
        if network.prefixlen == 0:
            raise ValueError(f"{text} covers every address, so anybody could claim any: name only the proxies")
        found.append(network)
    return tuple(found)


class Proxies:
    """Sets the ``client`` of each ASGI request to the address that it came from."""

    def __init__(self, app: ASGIApp, *, named: Sequence[Network]) -> None:
        self._app = app
        self._named = named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI 3.0)."""
        if scope["type"] == "http" and scope.get("client"):
            host, port = scope["client"]
            scope["client"] = client_address(host, scope["headers"], self._named), port
        await self._app(scope, receive, send)


def client_address(peer: str, fields: Fields, named: Sequence[Network]) -> str:
    """Returns the address of the client of a request; ``peer`` is the other end of its connection."""
    own = _address(peer.partition("%")[0])  # a link-local address names the interface that it was seen on
    if own is None:
        return peer
    if not _is_named(own, named):
        return str(own)
    both = (_x_forwarded_for(fields), _forwarded(fields))
    clients = {_first_other(own, entries, named) for entries in both if entries}
    return str(clients.pop() if len(clients) == 1 else own)


def _first_other(nearest: Address, entries: Sequence[str], named: Sequence[Network]) -> Address:
    """Returns the first address that is not a named proxy's; ``entries`` lead from here to the client."""
    for entry in entries:
        address = _address(entry)
        if address is None:
            break
        nearest = address
        if not _is_named(address, named):
            break
    return nearest


def _is_named(address: Address, named: Sequence[Network]) -> bool:
    return any(address in network for network in named)


def _address(text: str) -> Address | None:
    """Parses ``192.0.2.1``, ``2001:db8::1`` or ``[2001:db8::1]``; IPv4 in IPv6 is IPv4 (RFC 4291 2.5.5.2)."""
    try:
        address = IPv6Address(text[1:-1]) if text.startswith("[") and text.endswith("]") else ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address


def _lines(fields: Fields, name: bytes) -> list[str]:
    """Yields the values of a header field, last one first, since proxies append their own."""
    return [value.decode("latin-1") for key, value in fields if key.lower() == name][::-1]


def _without_port(node: str) -> str:
    match = _NODE.fullmatch(node)
    return match[1] if match else ""


def _x_forwarded_for(fields: Fields) -> list[str]:
    parts = (part.strip(" \t") for line in _lines(fields, b"x-forwarded-for") for part in line.split(",")[::-1])
    return [part if part.count(":") > 1 and "[" not in part else _without_port(part) for part in parts if part]


def _forwarded(fields: Fields) -> list[str]:
    """Returns the nodes that ``for`` names in each element; empty if none has it, as in ``proto=https`` alone."""
    nodes = [_for(part) for line in _lines(fields, b"forwarded") for part in _elements(line) if part]
    return [_without_port(node or "") for node in nodes] if any(node is not None for node in nodes) else []


def _elements(line: str) -> list[str]:
    """Yields the elements of a Forwarded field, last one first.

    It is split from the right, where proxies append, so that a quotation mark that a client opened and did not close
    cannot swallow what follows it.
    """
    elements, end, is_quoted = [], len(line), False
    for mark in reversed(list(_MARK.finditer(line))):
        if mark[0] == "," and not is_quoted:
            elements.append(line[mark.end() : end])
            end = mark.start()
        elif mark[0].endswith('"') and len(mark[0]) % 2:  # an even number of backslashes before it, so not escaped
            is_quoted = not is_quoted
    return [element.strip(" \t") for element in (*elements, line[:end])]


def _for(element: str) -> str | None:
    """Returns the node of an element (RFC 7239 4: no parameter occurs twice); None if it has none or is malformed."""
    if not _ELEMENT.fullmatch(element):
        return None
    values = [value for name, value in re.findall(_PAIR, element) if name.lower() == "for"]
    if len(values) != 1:
        return None
    quoted = values[0].startswith('"')
    return re.sub(r"\\(.)", r"\1", values[0][1:-1]) if quoted else values[0]
