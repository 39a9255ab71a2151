"""The HTTP client for everything that is fetched from sites: for `crawl`, `recheck`, `check`, `filter`, the portal.

So the same bytes always make the same answer. It follows no redirect, keeps no cookie and reads no environment
variable; it connects only to addresses that the guard has checked, or to the operator's proxy.
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
"""Fields that only the client sets."""

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
        """Parses ``http(s)://[USER:PASSWORD@]HOST:PORT``. Raises ValueError."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the URL of an HTTP proxy")
        secure = parts.scheme == "https"
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        credentials = b"Basic " + base64.b64encode(user) if parts.username else b""
        return cls(secure, parts.hostname, parts.port or (443 if secure else 80), credentials)


class Answer:
    """An answer whose head has arrived. ``address`` is the server's (or the proxy's); ``certificate`` is DER.

    ``length`` is the length of the body as sent, in bytes; None if the head does not state it.
    """

    def __init__(self, head: Head, length: int | None, connection: Connection, until: float) -> None:
        self.head, self.length = head, length
        self.fields = received(head.fields)
        self.address = connection.address
        self.certificate = connection.certificate
        self._connection, self._until = connection, until

    async def body(self, limit: int, seen: Callable[[bytes], None] | None = None) -> bytes:
        """Reads the whole body and decodes it; ``limit`` is in bytes, before and after decoding.

        ``seen`` is called with each part as it arrives. Raises BadAnswer and OSError if the status is 2xx. For any
        other status the body matters little (RFC 9309 2.3.1.3): if it is incomplete, cannot be decoded or does not end,
        it is empty.
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
    """Sends requests. ``keep`` reuses connections; ``context`` decides which certificates are trusted."""

    def __init__(self, guard: Guard, *, keep: bool, context: ssl.SSLContext | None = None) -> None:
        self._guard, self._keep = guard, keep
        self._context = context or ssl.create_default_context()
        self._context.set_alpn_protocols(["http/1.1"])
        self._connections = Connections()

    async def close(self) -> None:
        """Closes all connections."""
        await self._connections.close()

    @asynccontextmanager
    async def ask(
        self,
        url: Url,
        fields: Iterable[tuple[bytes, bytes]],
        *,
        timeout: float,  # noqa: ASYNC109 bounds the whole exchange, including Answer.body
        proxy: Proxy | None = None,
        method: str = "GET",
        content: bytes = b"",
        before: Callable[[], None] | None = None,
    ) -> AsyncIterator[Answer]:
        """Sends a request; ``timeout`` (seconds) bounds the whole exchange, ``before`` is called just before sending.

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
            with suppress(NotReceived):  # just closed by the server: open another one
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
    """Opens a tunnel through the proxy (CONNECT, RFC 9110 9.3.6)."""
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
    """Returns a request as bytes. Raises ValueError if a field contains a line break."""
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
        raise ValueError(f"The request for {url.href} has a field with a line break.")
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


_NAMES: tuple[tuple[type[OSError], Failure], ...] = (
    (socket.gaierror, Failure.DNS),
    (ssl.SSLError, Failure.TLS),
    (TimeoutError, Failure.TIMEOUT),
    (ConnectionRefusedError, Failure.REFUSED),
    (ConnectionError, Failure.RESET),
    (OSError, Failure.REFUSED),  # no route to the address
)


def failure(exception: BaseException) -> Failure:
    """Returns the name of a request's failure (docs/reference/decide.md), by the outermost cause that has one.

    Without one it is ``protocol``: no answer that can be used. ``network.explain`` returns the sentence about it.
    """
    for cause in causes(exception):
        if isinstance(cause, BadAnswer):
            return cause.failure
        for kind, name in _NAMES:
            if isinstance(cause, kind):
                return name
    return Failure.PROTOCOL
