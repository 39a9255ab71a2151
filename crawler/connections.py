"""Connections to servers, each for one exchange after the other: TCP, TLS (RFC 8446), tunnels (RFC 9110 9.3.6).

asyncio's own TLS does not tell a connection that the server ended from one that was cut on the way. Here TLS works on
octets (ssl.MemoryBIO), so that it can be told: only a server that sent close_notify has said all (RFC 9112 9.8).
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import socket
import ssl
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from aiohappyeyeballs import start_connection

from crawler.http1 import AnswerReader, BadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from aiohappyeyeballs import AddrInfoType

NEXT_ADDRESS_SECONDS = 0.25
"""How long an address has for itself before the next one is tried beside it (RFC 8305 5)."""

IDLE_SECONDS = 15.0
"""How long a connection is kept for the next request; most servers close it sooner or as soon."""

_OCTETS = 1 << 16


class NotReceived(ConnectionResetError):
    """The connection ended before the request had reached the server: it can be sent again."""


class Tls:
    """TLS on octets; ``write`` takes what is for the server. ``certificate`` is the server's, in DER.

    Raises ssl.SSLError.
    """

    def __init__(self, context: ssl.SSLContext, host: str, write: Callable[[bytes], None]) -> None:
        self.ready = False
        self.closed = False
        """Whether the server said that nothing more comes (close_notify)."""
        self.certificate: bytes | None = None
        self._in, self._out, self._write = ssl.MemoryBIO(), ssl.MemoryBIO(), write
        self._object = context.wrap_bio(self._in, self._out, server_hostname=host)
        self.receive(b"")

    def receive(self, octets: bytes) -> bytes:
        """What the server sent, in plain."""
        self._in.write(octets)
        plain = bytearray()
        try:
            if not self.ready:
                self._object.do_handshake()
                self.ready, self.certificate = True, self._object.getpeercert(binary_form=True)
            while part := self._object.read(_OCTETS):
                plain += part
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        finally:
            self._flush()  # an alert too
        return bytes(plain)

    def send(self, octets: bytes) -> None:
        """Sends octets to the server, encrypted."""
        left = memoryview(octets)
        while left:
            left = left[self._object.write(left) :]
        self._flush()

    def close(self) -> None:
        """Says that nothing more comes."""
        with suppress(ssl.SSLError):  # there is no waiting for the server's own close_notify
            self._object.unwrap()
        self._flush()

    def _flush(self) -> None:
        if octets := self._out.read():
            self._write(octets)


class Connection(asyncio.Protocol):
    """A connection to a server; ``address`` is the server's.

    What goes wrong is raised where it is waited for: BadAnswer, or OSError (ssl.SSLError is one).
    """

    def __init__(self) -> None:
        self.address = ""
        self.lost = asyncio.get_running_loop().create_future()
        self._layers: list[Tls] = []
        self._reader: AnswerReader | None = None
        self._error: Exception | None = None
        self._ended = False
        self._received = True
        self._waiting: asyncio.Future[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """Whether another exchange can begin: the connection has not ended, and nothing waits to be read."""
        if self._ended:
            return False
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return not waiting.poll(0)

    @property
    def certificate(self) -> bytes | None:
        """That of the server, in DER; None without TLS."""
        return self._layers[-1].certificate if self._layers else None

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Goes on with TLS, with the host that the certificate has to be of."""
        tls = Tls(context, host.rstrip("."), self._layers[-1].send if self._layers else self._transport.write)
        self._layers.append(tls)
        while not tls.ready:
            await self._more()

    async def exchange(self, method: str, request: bytes) -> AnswerReader:
        """Sends a request, in octets; returns once the head of the answer is there.

        Raises NotReceived if the server had closed the connection already.
        """
        if self._idle:
            self._idle.cancel()
        reader = self._reader = AnswerReader(method)
        (self._layers[-1].send if self._layers else self._transport.write)(request)
        while reader.head is None:
            await self._more()
        return reader

    async def part(self) -> bytes:
        """More of the body of the answer; nothing when it is complete."""
        assert self._reader
        while not (octets := self._reader.take()) and not self._reader.complete:
            await self._more()
        return octets

    def wait_idle(self, seconds: float) -> None:
        """Waits so long for the next exchange; what comes until then was not asked for, and ends the connection."""
        self._reader = None
        self._idle = asyncio.get_running_loop().call_later(seconds, self.close)

    def close(self) -> None:
        """Ends the connection in order, if that can be done without waiting."""
        if not self._ended:
            self._ended = True
            for tls in reversed(self._layers):
                tls.close()
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._ended = True
        self._transport.abort()

    async def _more(self) -> None:
        """Waits for anything to happen."""
        if self._error:
            raise self._error
        if self._ended:
            raise NotReceived("The server closed the connection before it was asked.")
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is up, asyncio says."""
        self._transport = cast("asyncio.Transport", transport)
        self._socket: int = transport.get_extra_info("socket").fileno()
        self.address = str(transport.get_extra_info("peername")[0])

    def data_received(self, data: bytes) -> None:
        """Something came in, asyncio says."""
        try:
            for tls in self._layers:
                data = tls.receive(data)
            if data and self._reader is None:
                raise BadAnswer("The server sent what was not asked for.")
            if data and self._reader:
                self._reader.feed(data)
        except (BadAnswer, ssl.SSLError) as error:
            self._error = error
            self.abort()
        if self._layers and self._layers[-1].closed:
            self._end(closed=True)
        self._wake()

    def eof_received(self) -> None:
        """The server has closed its side, asyncio says, and closes the connection."""
        self._note_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, asyncio says."""
        self._note_received()
        self._end(closed=not exc and not self._layers)
        self._wake()
        self.lost.set_result(None)

    def _end(self, *, closed: bool) -> None:
        """Nothing more comes; ``closed``: because the server has said all."""
        self._ended = True
        if self._error:
            return
        if self._layers and not self._layers[-1].ready:
            self._error = ssl.SSLError("The connection ended before TLS was agreed upon.")
        elif self._reader:
            try:
                self._reader.end(closed=closed)
            except BadAnswer as error:
                self._error = error if self._received or self._reader.begun else NotReceived(str(error))

    def _note_received(self) -> None:
        """Notes whether the server's side has acknowledged the request: then it may have acted on it."""
        with suppress(OSError):  # not every system can say
            unacknowledged = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
            self._received = self._received and not any(unacknowledged)


class Connections:
    """Open connections by where they lead: ``key`` tells one such place from another."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._idle: dict[Hashable, list[Connection]] = {}

    async def open(
        self,
        key: Hashable,
        addresses: Iterable[str],
        port: int,
        open_socket: Callable[[AddrInfoType], socket.socket] | None = None,
    ) -> Connection:
        """A new connection, to the first of the addresses that answers. Raises OSError."""
        kinds = [(each, socket.AF_INET6 if ":" in each else socket.AF_INET) for each in addresses]
        infos: list[AddrInfoType] = [
            (kind, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address, kind in kinds
        ]
        found = await start_connection(infos, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, socket_factory=open_socket)
        _, connection = await asyncio.get_running_loop().create_connection(Connection, sock=found)
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._forget(key, connection))
        return connection

    def keep(self, key: Hashable, connection: Connection) -> None:
        """Takes a connection back, for the next exchange."""
        connection.wait_idle(IDLE_SECONDS)
        self._idle.setdefault(key, []).append(connection)

    def take(self, key: Hashable) -> Connection | None:
        """A connection that was kept and is still open."""
        kept = self._idle.get(key, [])
        while kept:
            connection = kept.pop()
            if connection.usable:
                return connection
        return None

    async def close(self) -> None:
        """Ends them all."""
        for connection in self._open:
            connection.close()
        if self._open:
            await asyncio.wait([connection.lost for connection in self._open])

    def _forget(self, key: Hashable, connection: Connection) -> None:
        self._open.discard(connection)
        kept = self._idle.get(key, [])
        if connection in kept:
            kept.remove(connection)
        if not kept:
            self._idle.pop(key, None)
