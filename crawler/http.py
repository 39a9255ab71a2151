"""One way to speak HTTP, for a crawl and for a single question: aiohttp behind the guard (RFC 9110, RFC 9112)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from crawler.decoding import Undecodable
from crawler.network import causes
from optout.model import Failure
from optout.readers import url as urls
from optout.readers.text import readable

if TYPE_CHECKING:
    from crawler.network import Guard


def open_session(
    guard: Guard | None,
    *,
    limit: int = 100,
    limit_per_host: int = 0,
    timeout: float = 0,
    response_class: type[aiohttp.ClientResponse] = aiohttp.ClientResponse,
) -> aiohttp.ClientSession:
    """A session that keeps no cookies, adds no header, decodes nothing and reads nothing from the environment.

    The limits are in connections, ``timeout`` in seconds for a whole exchange; 0 is none. Without a guard it is for
    the operator's proxy, and for nothing else.
    """
    connector = aiohttp.TCPConnector(
        ssl=ssl.create_default_context(),
        limit=limit,
        limit_per_host=limit_per_host,
        resolver=_Resolver(guard) if guard else None,
        socket_factory=guard.open_socket if guard else None,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        response_class=response_class,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )


class _Resolver(AbstractResolver):
    """Gives aiohttp the addresses that the guard has checked, to connect to as they are."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._guard.lookup(host, port)
        kinds = [(address, socket.AF_INET6 if ":" in address else socket.AF_INET) for address in found]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for address, kind in kinds
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing is held."""


def verbatim(url: str) -> yarl.URL:
    """The URL as aiohttp sends it on unchanged: yarl would drop an empty query, which rules can speak about."""
    parts = urls.parse(url)
    authority = parts.origin.partition("://")[2]
    return yarl.URL.build(scheme=parts.scheme, authority=authority, path=parts.target, encoded=True)


def received(response: aiohttp.ClientResponse) -> tuple[tuple[str, str], ...]:
    """The header fields as they came, in order, as ``model.Capture`` has them."""
    return tuple((readable(name), readable(value)) for name, value in response.raw_headers)


Names = Sequence[tuple[type[BaseException], Failure]]
"""What exceptions are called in decide.md, the first that fits counting."""

_EXACT: Names = (
    (socket.gaierror, Failure.DNS),
    (ssl.SSLError, Failure.TLS),
    (TimeoutError, Failure.TIMEOUT),
    (ConnectionRefusedError, Failure.REFUSED),
    (ConnectionError, Failure.RESET),
    (aiohttp.ServerDisconnectedError, Failure.RESET),
    (aiohttp.http_exceptions.ContentLengthError, Failure.TRUNCATED),
)
_VAGUE: Names = (
    (aiohttp.ClientConnectorDNSError, Failure.DNS),
    (aiohttp.ClientConnectorError, Failure.REFUSED),
)
_BROKE_OFF = "Not enough data"
"""How aiohttp tells a chunked body that ends early from one with a broken chunk: both are a TransferEncodingError."""


def failure(exception: BaseException, names: Names = ()) -> Failure:
    """What the failure of a request is called in decide.md: the outermost cause that says it exactly, else vaguely.

    ``names`` are exact too, of exceptions that others add. What nobody knows is ``protocol``: there is no answer that
    can be used.
    """
    for known in ((*names, *_EXACT), _VAGUE):
        for cause in causes(exception):
            if isinstance(cause, Undecodable):
                return cause.failure
            if isinstance(cause, aiohttp.http_exceptions.TransferEncodingError) and _BROKE_OFF in str(cause):
                return Failure.TRUNCATED
            for kind, name in known:
                if isinstance(cause, kind):
                    return name
    return Failure.PROTOCOL
