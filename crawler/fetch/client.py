"""The one way in which Forbear speaks HTTP: `crawl`, `recheck`, `check`, `filter` and the portal use it.

So they come to the same answer on the same octets. No redirect is followed, no cookie kept, nothing taken from the
environment; only addresses that the guard has checked are connected to, or the operator's proxy.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from forbear.crawler.fetch.connections import Connections, NotReceived
from forbear.crawler.fetch.decoding import decode, too_large
from forbear.crawler.fetch.http1 import BadAnswer, received
from forbear.crawler.fetch.network import causes
from forbear.optout.model import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from forbear.crawler.fetch.connections import Connection
    from forbear.crawler.fetch.http1 import AnswerReader, Head
    from forbear.crawler.fetch.network import Guard
    from forbear.optout.readers.url import Url

_OURS = frozenset({b"connection", b"content-length", b"proxy-authorization", b"te", b"transfer-encoding", b"upgrade"})
"""Fields that are the client's, whoever else sets them."""

_BREAK = re.compile(rb"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class Proxy:
    """The operator's HTTP proxy; ``credentials`` is the value of Proxy-Authorization, or empty."""

    secure: bool
    host: str
    port: int
    credentials: bytes = b""

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, url: str) -> Proxy:
        """``http(s)://[USER:PASSWORD@]HOST:PORT``. Raises ValueError."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the URL of an HTTP proxy")
        secure = parts.scheme == "https"
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        credentials = b"Basic " + base64.b64encode(user) if parts.username else b""
        return cls(secure, parts.hostname, parts.port or (443 if secure else 80), credentials)


class Answer:
    """An answer whose head is there. ``address`` is the server's (or the proxy's), ``certificate`` its own, in DER.

    ``length`` is that of the body as it is sent, in octets; None where the head does not say.
    """

    def __init__(self, head: Head, length: int | None, connection: Connection, until: float) -> None:
        self.head, self.length = head, length
        self.fields = received(head.fields)
        self.address = connection.address
        self.certificate = connection.certificate
        self._connection, self._until = connection, until

    async def body(self, limit: int, seen: Callable[[bytes], None] | None = None) -> bytes:
        """The whole body, without its codings; ``limit`` is in octets, before and after decoding.

        ``seen`` is shown each part as it comes. Raises BadAnswer and OSError where the answer is a page or file (2xx).
        Any other status says by itself what there is to know (RFC 9309 2.3.1.3): where such a body is not whole, cannot
        be decoded or does not end, it is left out.
        """
        try:
            return decode(await self._received(limit, seen), self.codings, limit)
        except (BadAnswer, OSError):
            if 200 <= self.head.status < 300:
                raise
            return b""

    @property
    def codings(self) -> list[str]:
        """The values of Content-Encoding."""
        return [value.decode("latin-1") for value in self.head.values(b"content-encoding")]

    async def _received(self, limit: int, seen: Callable[[bytes], None] | None) -> bytes:
        parts: list[bytes] = []
        left = limit
        async with asyncio.timeout_at(self._until):
            while part := await self._connection.part():
                parts.append(part)
                left -= len(part)
                if seen:
                    seen(part)
                if left < 0:
                    raise too_large(limit)
        return b"".join(parts)


class Client:
    """Asks servers. ``keep``: connections are kept for the next request; ``context`` says whose certificates count."""

    def __init__(self, guard: Guard, *, keep: bool, context: ssl.SSLContext | None = None) -> None:
        self._guard, self._keep = guard, keep
        self._context = context or ssl.create_default_context()
        self._context.set_alpn_protocols(["http/1.1"])
        self._connections = Connections()

    async def close(self) -> None:
        """Ends every connection."""
        await self._connections.close()

    @asynccontextmanager
    async def ask(
        self,
        url: Url,
        fields: Iterable[tuple[bytes, bytes]],
        *,
        timeout: float,  # noqa: ASYNC109 it bounds the whole exchange, whose second half is Answer.body
        proxy: Proxy | None = None,
        method: str = "GET",
        content: bytes = b"",
        before: Callable[[], None] | None = None,
    ) -> AsyncIterator[Answer]:
        """Sends a request; ``timeout`` is in seconds, for the whole exchange, ``before`` is called last before sending.

        Raises BadAnswer, OSError (network.NotPublic is one), and what ``before`` raises.
        """
        self._guard.check_literal(url, by_proxy=proxy is not None)
        until = asyncio.get_running_loop().time() + timeout
        own = () if self._keep else ((b"Connection", b"close"),)
        octets = _request(method, url, fields, own, content, proxy)
        connection: Connection | None = None
        try:
            async with asyncio.timeout_at(until):
                connection, reader = await self._exchange(url, proxy, method, octets, before)
            assert reader.head
            yield Answer(reader.head, reader.length, connection, until)
        except TimeoutError as error:
            raise TimeoutError(f"There was no complete answer within {timeout:g} seconds.") from error
        finally:
            if connection and self._keep and reader.complete and reader.persistent and connection.usable:
                self._connections.keep((url.origin, proxy), connection)
            elif connection:
                connection.abort()

    async def _exchange(
        self, url: Url, proxy: Proxy | None, method: str, octets: bytes, before: Callable[[], None] | None
    ) -> tuple[Connection, AnswerReader]:
        kept = self._connections.take((url.origin, proxy))
        if kept:
            with suppress(NotReceived):  # it was closed just now: another one is needed
                return kept, await _sent(kept, method, octets, before)
        connection = await self._connect(url, proxy)
        return connection, await _sent(connection, method, octets, before)

    async def _connect(self, url: Url, proxy: Proxy | None) -> Connection:
        host, port = (proxy.host, proxy.port) if proxy else (url.host, url.port)
        addresses = await self._guard.lookup(host, port, check=proxy is None)
        check = None if proxy else self._guard.open_socket
        connection = await self._connections.open((url.origin, proxy), addresses, port, check)
        try:
            if proxy and proxy.secure:
                await connection.start_tls(self._context, proxy.host)
            if proxy and url.scheme == "https":
                await _tunnel(connection, url, proxy)
            if url.scheme == "https":
                await connection.start_tls(self._context, url.host.strip("[]"))
        except BaseException:
            connection.abort()
            raise
        return connection


async def _sent(
    connection: Connection, method: str, octets: bytes, before: Callable[[], None] | None = None
) -> AnswerReader:
    try:
        if before:
            before()
        return await connection.exchange(method, octets)
    except BaseException:
        connection.abort()
        raise


async def _tunnel(connection: Connection, url: Url, proxy: Proxy) -> None:
    """RFC 9110 9.3.6."""
    authority = f"{url.host}:{url.port}".encode()
    lines = [b"CONNECT " + authority + b" HTTP/1.1", b"Host: " + authority]
    if proxy.credentials:
        lines.append(b"Proxy-Authorization: " + proxy.credentials)
    reader = await connection.exchange("CONNECT", b"\r\n".join(lines) + b"\r\n\r\n")
    assert reader.head
    if reader.head.status >= 300:
        raise BadAnswer(f"The proxy answered {reader.head.status} when asked for a connection to {authority.decode()}.")


def _request(
    method: str,
    url: Url,
    fields: Iterable[tuple[bytes, bytes]],
    own: Iterable[tuple[bytes, bytes]],
    content: bytes,
    proxy: Proxy | None,
) -> bytes:
    """A request, in octets. Raises ValueError if a line of it would be two."""
    given = [(name, value) for name, value in fields if name.lower() not in _OURS]
    given += own
    if not any(name.lower() == b"host" for name, _ in given):
        given.insert(0, (b"Host", url.origin.partition("://")[2].encode()))
    if content or method in ("POST", "PUT", "PATCH"):
        given.append((b"Content-Length", b"%d" % len(content)))
    plain = proxy is not None and url.scheme == "http"
    if plain and proxy and proxy.credentials:
        given.append((b"Proxy-Authorization", proxy.credentials))
    target = url.href if plain else url.target  # RFC 9112 3.2.2
    lines = [f"{method} {target} HTTP/1.1".encode(), *(name + b": " + value for name, value in given)]
    if any(map(_BREAK.search, lines)):
        raise ValueError(f"The request for {url.href} has a field of more than one line.")
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


_NAMES: tuple[tuple[type[OSError], Failure], ...] = (
    (socket.gaierror, Failure.DNS),
    (ssl.SSLError, Failure.TLS),
    (TimeoutError, Failure.TIMEOUT),
    (ConnectionRefusedError, Failure.REFUSED),
    (ConnectionError, Failure.RESET),
    (OSError, Failure.REFUSED),  # no way to the address
)


def failure(exception: BaseException) -> Failure:
    """What the failure of a request is called in decide.md, by the outermost cause that has a name.

    What has none is ``protocol``: there is no answer that can be used. ``network.explain`` has the sentence to it.
    """
    for cause in causes(exception):
        if isinstance(cause, BadAnswer):
            return cause.failure
        for kind, name in _NAMES:
            if isinstance(cause, kind):
                return name
    return Failure.PROTOCOL
