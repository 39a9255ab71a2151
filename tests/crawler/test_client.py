"""Connections: how TLS ends, when a request may be sent again, how a proxy is gone through."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from forbear.crawler.fetch.client import Client, Proxy, failure
from forbear.crawler.fetch.connections import Connection
from forbear.crawler.fetch.http1 import BadAnswer
from forbear.crawler.fetch.network import Guard
from forbear.optout.model import Failure
from forbear.optout.readers import url as urls
from tests.crawler.fetching import Fetch, both, ok

ROBOTS = b"User-agent: *\nDisallow: /\n"
UNBOUNDED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + ROBOTS


def cut(connection: socket.socket) -> None:
    """Ends the connection without TLS's closing alert, as anybody on the way can do."""
    socket.socket(fileno=connection.detach()).close()


def closed(connection: ssl.SSLSocket) -> None:
    """Ends TLS in order (RFC 8446 6.1)."""
    with contextlib.suppress(OSError):
        connection.unwrap()


@both
@pytest.mark.parametrize(
    ("octets", "end", "failed"),
    [
        (UNBOUNDED, cut, Failure.TRUNCATED),
        (UNBOUNDED, closed, None),
        (ok(ROBOTS), cut, None),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(ROBOTS), ROBOTS),
            cut,
            None,
        ),
        (b"HTTP/1.1 404 Not Found\r\n\r\nno", cut, None),
    ],
)
def test_tls_says_whether_an_answer_without_length_is_whole(
    tls_server,
    certificate: Path,
    monkeypatch,
    fetch: Fetch,
    octets: bytes,
    end: Callable[..., None],
    failed: Failure | None,
) -> None:
    """RFC 9112 9.8."""

    def answer(connection: ssl.SSLSocket) -> None:
        connection.sendall(octets)
        end(connection)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_server.answers["/robots.txt"] = answer
    capture = asyncio.run(fetch(f"https://127.0.0.1:{tls_server.port}/robots.txt"))
    assert capture.error is failed, capture.memo
    if octets in (UNBOUNDED, ok(ROBOTS)) and not failed:
        assert capture.body == ROBOTS


KEPT = ok(b"first").replace(b"Connection: close\r\n", b"")
SHUT = ok(b"second")


def asked(script: list[list[bytes]]) -> tuple[list[bytes | Failure], list[int]]:
    """Asks twice. ``script`` has the answers of each connection, which is then closed.

    Gives what came, and the numbers of the connections on which the server read a request.
    """
    connections: list[int] = []
    read: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(number := len(connections))
        for octets in script[number]:
            await reader.readuntil(b"\r\n\r\n")
            read.append(number)
            writer.write(octets)
        writer.close()

    async def run() -> list[bytes | Failure]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = urls.parse(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        client = Client(Guard(allow_private=True), keep=True)
        found: list[bytes | Failure] = []
        for _ in range(2):
            try:
                async with client.ask(url, (), timeout=60) as answer:
                    found.append(await answer.body(100))
            except (BadAnswer, OSError) as error:
                found.append(failure(error))
        await client.close()
        server.close()
        await server.wait_closed()
        return found

    return asyncio.run(run()), read


@pytest.mark.parametrize(
    ("script", "found", "read"),
    [
        ([[KEPT, KEPT]], [b"first", b"first"], [0, 0]),
        ([[KEPT], [SHUT]], [b"first", b"second"], [0, 1]),
        ([[SHUT, SHUT], [SHUT]], [b"second", b"second"], [0, 1]),
        ([[KEPT + b"HTTP/1.1 200 OK\r\n\r\n", KEPT], [SHUT]], [b"first", b"second"], [0, 1]),
        ([[KEPT, b""], [SHUT]], [b"first", Failure.RESET], [0, 0]),
    ],
    ids=["kept", "closed meanwhile", "not to be kept", "more came than was asked for", "read, and not answered"],
)
def test_a_connection_is_used_again_and_no_server_asked_twice(script, found, read) -> None:
    """RFC 9112 9.3.1: what the server has read is not sent again."""
    assert asked(script) == (found, read)


def test_a_request_that_did_not_reach_the_server_is_sent_again(monkeypatch) -> None:
    """The server closes just then, so that it is seen only once the request is on its way."""
    monkeypatch.setattr(Connection, "usable", property(lambda self: not self._ended))
    assert asked([[KEPT], [SHUT]]) == ([b"first", b"second"], [0, 1])


def test_small_chunks_leave_everybody_else_their_turns_and_a_close_of_ours_completes_nothing() -> None:
    """An answer of much work is read in pieces; one that does not say how long it is ends by the server alone."""
    chunks = b"1\r\nx\r\n" * 9_000 + b"0\r\n\r\n"
    turns = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        coded = b"Transfer-Encoding: chunked\r\n\r\n" + chunks
        writer.write(b"HTTP/1.1 200 OK\r\n" + (coded if b"/chunks" in request else b"\r\n" + ROBOTS))
        await reader.read()
        writer.close()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run() -> bytes:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        site = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = Client(Guard(allow_private=True), keep=False)
        async with client.ask(urls.parse(f"{site}/chunks"), (), timeout=60) as answer:
            counter = asyncio.create_task(count())
            body = await answer.body(100_000)
            counter.cancel()
        async with client.ask(urls.parse(f"{site}/endless"), (), timeout=60) as answer:
            asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(client.close()))
            with pytest.raises(BadAnswer) as raised:
                await answer.body(100_000)
        assert raised.value.failure is Failure.TRUNCATED
        await client.close()
        server.close()
        await server.wait_closed()
        return body

    assert asyncio.run(run()) == b"x" * 9_000
    assert turns > 3 * 9_000 / 100 / 2


def test_through_a_proxy_with_tls_to_a_site_with_tls(tls_server, certificate: Path, monkeypatch) -> None:
    """RFC 9110 9.3.6: TLS within TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_server.answers["/a"] = ok(b"by tunnel")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    seen: list[bytes] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(65536):
            writer.write(octets)
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        from_site, to_site = await asyncio.open_connection("127.0.0.1", tls_server.port)
        writer.write(b"HTTP/1.1 200 Go\r\n\r\n")
        await asyncio.gather(relay(reader, to_site), relay(from_site, writer))

    async def run() -> bytes:
        server = await asyncio.start_server(tunnel, "127.0.0.1", 0, ssl=context)
        proxy = Proxy.parse(f"https://me:s%20t@127.0.0.1:{server.sockets[0].getsockname()[1]}")
        client = Client(Guard(), keep=True)
        url = urls.parse(f"https://secure.example:{tls_server.port}/a")
        async with client.ask(url, (), timeout=60, proxy=proxy) as answer:
            body = await answer.body(100)
        await client.close()
        server.close()
        await server.wait_closed()
        return body

    assert asyncio.run(run()) == b"by tunnel"
    authority = b"secure.example:%d" % tls_server.port
    assert seen[0].startswith(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n" % (authority, authority))
    assert b"\r\nProxy-Authorization: Basic bWU6cyB0\r\n" in seen[0]
    assert b"Proxy-Authorization" not in tls_server.heads[0]
