"""Connections to servers, one exchange at a time: TCP, TLS (RFC 8446), tunnels (RFC 9110 9.3.6).

asyncio's TLS does not report whether the server ended a connection or it was cut on the way. So TLS runs on bytes here
(ssl.MemoryBIO): an answer that the close of the connection ends is complete only after close_notify (RFC 9112 9.8).
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

from forbear.crawler.fetch.http1 import AnswerReader, BadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from aiohappyeyeballs import AddrInfoType

NEXT_ADDRESS_SECONDS = 0.25
"""Seconds before the next address is tried in parallel (RFC 8305 5)."""

IDLE_SECONDS = 15.0
"""Seconds that an idle connection is kept; most servers close it no later."""

_OCTETS = 1 << 16
_STEPS = 100
"""Steps of an answer that are read before the event loop gets a turn."""
_AHEAD = 1 << 20
"""Bytes of a body that are buffered before anybody reads them."""


class NotReceived(ConnectionResetError):
    """The connection ended before the server got the request, so it can be sent again."""


class Tls:
    """TLS on bytes; ``write`` takes what goes to the server. ``certificate`` is the server's, in DER.

    Raises ssl.SSLError.
    """

    def __init__(self, context: ssl.SSLContext, host: str, write: Callable[[bytes], None]) -> None:
        self.ready = False
        self.closed = False
        """Whether the server has sent close_notify."""
        self.certificate: bytes | None = None
        self._in, self._out, self._write = ssl.MemoryBIO(), ssl.MemoryBIO(), write
        try:
            self._object = context.wrap_bio(self._in, self._out, server_hostname=host)
        except UnicodeError as error:
            raise ssl.SSLError(f"{host!r} is not a name that a certificate can have: {error}.") from error
        self.receive(b"")

    def receive(self, octets: bytes) -> bytes:
        """Returns what the server sent, decrypted."""
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
        """Encrypts bytes and sends them to the server."""
        left = memoryview(octets)
        while left:
            left = left[self._object.write(left) :]
        self._flush()

    def close(self) -> None:
        """Sends close_notify."""
        with suppress(ssl.SSLError):  # without waiting for the server's own
            self._object.unwrap()
        self._flush()

    def _flush(self) -> None:
        if octets := self._out.read():
            self._write(octets)


class Connection(asyncio.Protocol):
    """A connection to a server; ``address`` is the server's.

    Errors are raised by the call that waits: BadAnswer, or OSError (such as ssl.SSLError).
    """

    def __init__(self) -> None:
        self.address = ""
        self.lost = asyncio.get_running_loop().create_future()
        self._layers: list[Tls] = []
        self._reader: AnswerReader | None = None
        self._unread, self._is_busy = bytearray(), False
        """Bytes received and not read yet, and whether the reader has more work to do."""
        self._turn: asyncio.Handle | None = None
        self._error: Exception | None = None
        self._ended = False
        self._is_lost, self._by_server = False, False
        """Whether the connection is closed, and whether the server had closed its side."""
        self._received = True
        self._waiting: asyncio.Future[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """Whether another exchange can start: the connection is open, and nothing waits to be read."""
        if self._ended or self._unread:
            return False
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return not waiting.poll(0)

    @property
    def certificate(self) -> bytes | None:
        """The server's certificate in DER; None without TLS."""
        return self._layers[-1].certificate if self._layers else None

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Starts TLS with a host, whose name the certificate must have."""
        tls = Tls(context, host.rstrip("."), self._layers[-1].send if self._layers else self._transport.write)
        self._layers.append(tls)
        while not tls.ready:
            await self._more()

    async def exchange(self, method: str, request: bytes) -> AnswerReader:
        """Sends a request (bytes); returns when the head of the answer has arrived.

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
        """Returns more of the body; nothing when it is complete."""
        assert self._reader
        while not (octets := self._reader.take()) and not self._reader.complete:
            self._go_on()
            await self._more()
        self._go_on()
        return octets

    def wait_idle(self, seconds: float) -> None:
        """Keeps an idle connection for some seconds; anything that arrives meanwhile closes it."""
        self._reader = None
        self._idle = asyncio.get_running_loop().call_later(seconds, self.close)

    def close(self) -> None:
        """Closes the connection cleanly, as far as that needs no waiting."""
        self._forget_unread()
        if not self._ended:
            self._ended = True
            for tls in reversed(self._layers):
                tls.close()
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Aborts the connection."""
        self._forget_unread()
        self._ended = True
        self._transport.abort()

    def _forget_unread(self) -> None:
        self._unread.clear()
        self._is_busy = False

    async def _more(self) -> None:
        """Waits until something happens."""
        if self._error:
            raise self._error
        if self._ended:
            raise NotReceived("The server closed the connection before the request was sent.")
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: the connection is open."""
        self._transport = cast("asyncio.Transport", transport)
        self._socket: int = transport.get_extra_info("socket").fileno()
        self.address = str((transport.get_extra_info("peername") or ("",))[0])  # the connection may be closed already

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: bytes have arrived."""
        self._unread += data
        self._transport.pause_reading()
        if not self._turn and not self._is_busy:
            self._read_slice()

    def eof_received(self) -> None:
        """Called by asyncio: the server has closed its side; asyncio then closes the connection."""
        self._by_server = True
        self._note_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: the connection is closed."""
        self._note_received()
        self._is_lost, self._by_server = True, self._by_server and not exc
        self._go_on()

    def _go_on(self) -> None:
        """Schedules the reading of what has arrived, in turns with the rest of the event loop."""
        is_ahead = self._reader is not None and self._reader.waiting > _AHEAD
        if self._turn or (is_ahead and not self._ended):
            return
        if self._unread or self._is_busy:
            self._turn = asyncio.get_running_loop().call_soon(self._read_slice)
        elif not self._is_lost:
            if not self._transport.is_closing():
                self._transport.resume_reading()
        elif not self.lost.done():
            self._end(closed=self._by_server and not self._layers)
            self._wake()
            self.lost.set_result(None)

    def _read_slice(self) -> None:
        self._turn = None
        octets = b""
        if not self._is_busy:
            octets = bytes(self._unread[:_OCTETS])
            del self._unread[:_OCTETS]
        if not self._ended:
            self._read(octets)
        self._go_on()

    def _read(self, octets: bytes) -> None:
        try:
            for tls in self._layers if octets else ():
                octets = tls.receive(octets)
            if octets and self._reader is None:
                raise BadAnswer("The server sent bytes that no request asked for.")
            if self._reader and (octets or self._is_busy):
                self._is_busy = self._reader.feed(octets, _STEPS)
        except (BadAnswer, ssl.SSLError) as error:
            self._error = error
            self.abort()
        if self._layers and self._layers[-1].closed and not self._is_busy:
            self._end(closed=True)
        self._wake()

    def _end(self, *, closed: bool) -> None:
        """Ends reading; ``closed`` means that the server ended the answer."""
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
        """Notes whether the server acknowledged the request: then it may have acted on it."""
        with suppress(OSError):  # not every system can tell
            unacknowledged = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
            self._received = self._received and not any(unacknowledged)


class Connections:
    """Open connections by destination, which ``key`` identifies."""

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
        """Connects to the first address that answers. Raises OSError."""
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
        """Returns a connection to the pool for the next exchange."""
        connection.wait_idle(IDLE_SECONDS)
        self._idle.setdefault(key, []).append(connection)

    def take(self, key: Hashable) -> Connection | None:
        """Takes an idle connection that is still open from the pool."""
        kept = self._idle.get(key, [])
        while kept:
            connection = kept.pop()
            if connection.usable:
                return connection
        return None

    async def close(self) -> None:
        """Closes them all."""
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
