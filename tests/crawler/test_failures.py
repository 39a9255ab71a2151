"""What a failure is called (decide.md, a case: error), provoked for real, by the crawl's fetcher and the live one."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import struct
import time
import zlib

import brotli
import pytest
from backports import zstd

from forbear.crawler.fetch.network import Guard
from forbear.optout.model import Failure
from tests.crawler.fetching import LIMIT, PATIENCE, SHORT, Fetch, both, encoded, ok

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_in_the_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nUser-agent: *")
    time.sleep(0.1)
    reset(connection)


def silence(connection: socket.socket) -> None:
    connection.recv(1)


def drip(connection: socket.socket) -> None:
    """Each read is answered in time, the whole never."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b"#")
        time.sleep(0.1)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b"#" * 65536)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Filler: %s\r\n" % (b"x" * 4000))


ROBOTS = b"User-agent: *\nDisallow: /a\n" * 100
GZIPPED = gzip.compress(ROBOTS, mtime=0)

FAULTS = {
    "no answer": (silence, Failure.TIMEOUT),
    "an answer that drips": (drip, Failure.TIMEOUT),
    "closed without a word": (b"", Failure.RESET),
    "reset": (reset, Failure.RESET),
    "reset in the body": (reset_in_the_body, Failure.TRUNCATED),
    "shorter than Content-Length": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Failure.TRUNCATED),
    "no last chunk": (CHUNKED + b"3\r\nabc\r\n", Failure.TRUNCATED),
    "broken off in a chunk": (CHUNKED + b"ff\r\nabc", Failure.TRUNCATED),
    "a chunk without a size": (CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n", Failure.PROTOCOL),
    "closed in the header": (b"HTTP/1.1 200 OK\r\nContent-", Failure.RESET),
    "not HTTP": (b"220 mail.example ESMTP\r\n\r\n", Failure.PROTOCOL),
    "a bad Content-Length": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc", Failure.PROTOCOL),
    "endless headers": (endless_headers, Failure.PROTOCOL),
    "an endless body": (endless, Failure.TOO_LARGE),
    "a Content-Length too large": (ok(b"#" * (LIMIT + 1)), Failure.TOO_LARGE),
    "a gzip bomb": (encoded(b"gzip", gzip.compress(b"#" * 10_000_000)), Failure.TOO_LARGE),
    "a brotli bomb": (encoded(b"br", brotli.compress(b"#" * 10_000_000)), Failure.TOO_LARGE),
    "half a gzip file": (encoded(b"gzip", GZIPPED[: len(GZIPPED) // 2]), Failure.TRUNCATED),
    "half a brotli file": (encoded(b"br", brotli.compress(ROBOTS)[:-5]), Failure.TRUNCATED),
    "half a zlib stream": (encoded(b"deflate", zlib.compress(ROBOTS)[:-5]), Failure.TRUNCATED),
    "no gzip": (encoded(b"gzip", ROBOTS), Failure.PROTOCOL),
    "gzip and what is no padding": (encoded(b"gzip", GZIPPED + b"x" + GZIPPED[1:]), Failure.PROTOCOL),
    "gzip with a wrong checksum": (encoded(b"gzip", GZIPPED[:-8] + bytes(8)), Failure.PROTOCOL),
    "no brotli": (encoded(b"br", ROBOTS), Failure.PROTOCOL),
    "half a Zstandard frame": (encoded(b"zstd", zstd.compress(ROBOTS)[:-5]), Failure.TRUNCATED),
    "a Zstandard bomb": (encoded(b"zstd", zstd.compress(b"#" * 10_000_000)), Failure.TOO_LARGE),
    "no Zstandard": (encoded(b"zstd", ROBOTS), Failure.PROTOCOL),
    "a coding that is not known": (encoded(b"rot13", ROBOTS), Failure.PROTOCOL),
    "a coding that is known and not undone": (encoded(b"compress", ROBOTS), Failure.PROTOCOL),
    "a coding too many": (encoded(b"gzip, gzip, gzip, gzip, gzip", GZIPPED), Failure.PROTOCOL),
}


CUT = [
    octets
    for octets, _ in FAULTS.values()
    if isinstance(octets, bytes) and b"\r\n\r\n" in octets and b"many" not in octets
]
"""Answers whose head can be read, and whose body cannot."""


@both
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_its_name(server, fetch: Fetch, fault: str) -> None:
    answer, failure = FAULTS[fault]
    server.answers["/"] = answer
    patience = SHORT if failure is Failure.TIMEOUT else PATIENCE
    capture = asyncio.run(fetch(f"{server.origin}/", patience=patience))
    assert (capture.status, capture.error) == (None, failure), capture
    assert capture.memo["detail"]


@both
@pytest.mark.parametrize("rest", [octets.partition(b"\r\n")[2] for octets in CUT])
def test_a_status_says_all_there_is_to_know(server, fetch: Fetch, rest: bytes) -> None:
    """RFC 9309 2.3.1.2 to 2.3.1.4: only of a file that is there, what it says matters."""
    for number, status in enumerate((b"404 Not Found", b"301 Moved", b"503 Busy")):
        server.answers[f"/{number}"] = b"HTTP/1.1 %b\r\n%b" % (status, rest)
        capture = asyncio.run(fetch(f"{server.origin}/{number}"))
        assert (capture.status, capture.error, capture.body) == (int(status[:3]), None, b"")


@both
def test_a_length_that_chunks_override_is_not_read(server, fetch: Fetch) -> None:
    """RFC 9112 6.3."""
    server.answers["/"] = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: many\r\n\r\n") + b"2\r\nhi\r\n0\r\n\r\n"
    assert asyncio.run(fetch(f"{server.origin}/")).body == b"hi"


@both
def test_a_status_says_so_even_if_its_content_never_ends(server, fetch: Fetch) -> None:
    def drip_of_404(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 1000\r\n\r\n")
        connection.recv(1)

    server.answers["/robots.txt"] = drip_of_404
    capture = asyncio.run(fetch(f"{server.origin}/robots.txt", patience=SHORT))
    assert (capture.status, capture.error) == (404, None)


@both
def test_nobody_listens(fetch: Fetch) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    assert asyncio.run(fetch(f"http://127.0.0.1:{port}/")).error is Failure.REFUSED


@both
@pytest.mark.parametrize("host", ["nowhere.invalid", f"{'a' * 64}.example"])
def test_no_such_host(fetch: Fetch, host: str) -> None:
    assert asyncio.run(fetch(f"http://{host}/")).error is Failure.DNS


@both
def test_a_certificate_that_nobody_vouches_for(tls_server, fetch: Fetch) -> None:
    capture = asyncio.run(fetch(f"https://127.0.0.1:{tls_server.port}/"))
    assert capture.error is Failure.TLS
    assert "certificate" in capture.memo["detail"]
    assert tls_server.heads == []


@both
def test_a_certificate_of_somebody_else(tls_server, fetch: Fetch, certificate, monkeypatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    pins = [f"*:{tls_server.port}:127.0.0.1"]
    tls_server.answers["/"] = ok(b"fine")
    assert asyncio.run(fetch(f"https://secure.example:{tls_server.port}/", resolve=pins)).body == b"fine"
    assert asyncio.run(fetch(f"https://other.example:{tls_server.port}/", resolve=pins)).error is Failure.TLS


@both
def test_no_tls_where_it_was_asked_for(server, fetch: Fetch) -> None:
    """It waits for the end of a request head, and the client for the beginning of TLS."""
    capture = asyncio.run(fetch(f"https://127.0.0.1:{server.port}/", patience=SHORT))
    assert capture.error in (Failure.TLS, Failure.TIMEOUT)


@both
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", GZIPPED),
        (b"x-gzip", GZIPPED),
        (b"GZIP", gzip.compress(ROBOTS[:1000], mtime=0) + gzip.compress(ROBOTS[1000:], mtime=0)),
        (b"gzip", GZIPPED + bytes(16)),
        (b"deflate", zlib.compress(ROBOTS)),
        (b"deflate", zlib.compress(ROBOTS, wbits=-15)),
        (b"br", brotli.compress(ROBOTS)),
        (b"zstd", zstd.compress(ROBOTS[:1000]) + zstd.compress(ROBOTS[1000:])),
        (b"x-deflate", zlib.compress(ROBOTS)),
        (b"identity", ROBOTS),
        (b"none", ROBOTS),
        (b"utf-8", ROBOTS),
        (b"ISO-8859-1", ROBOTS),
        (b"binary", ROBOTS),
        (b"text/plain", ROBOTS),
        (b"", ROBOTS),
        (b"aws-chunked,gzip", GZIPPED),
        (b"UTF-8, gzip", GZIPPED),
        (b"br, gzip", gzip.compress(brotli.compress(ROBOTS), mtime=0)),
    ],
)
def test_a_whole_body_is_decoded(server, fetch: Fetch, coding: bytes, body: bytes) -> None:
    server.answers["/"] = encoded(coding, body)
    assert asyncio.run(fetch(f"{server.origin}/")).body == ROBOTS


@both
def test_a_body_of_exactly_the_limit(server, fetch: Fetch) -> None:
    server.answers["/"] = encoded(b"gzip", gzip.compress(b"#" * LIMIT))
    assert len(asyncio.run(fetch(f"{server.origin}/")).body) == LIMIT


@both
def test_an_empty_body_has_no_coding(server, fetch: Fetch) -> None:
    server.answers["/"] = encoded(b"gzip", b"")
    assert asyncio.run(fetch(f"{server.origin}/")).body == b""


@both
@pytest.mark.parametrize(
    "target", ["/p?", "/a%2Fb", "/%7euser", "//double//slash", "/a|b?q={x}|[y]^", "/%zz%", "/?a=b&a=%20+", "/p?q=a?b"]
)
def test_the_url_goes_out_octet_for_octet(server, fetch: Fetch, target: str) -> None:
    asyncio.run(fetch(server.origin + target))
    assert server.targets == [target]


@both
def test_headers_come_as_they_were_sent(server, fetch: Fetch) -> None:
    fields = (b"x-robots-tag: noai", b"X-Robots-Tag: a, b", b"X-LATIN: caf\xe9")
    server.answers["/"] = ok(b"x", *fields)
    headers = asyncio.run(fetch(f"{server.origin}/")).headers
    assert headers[2:] == (("x-robots-tag", "noai"), ("X-Robots-Tag", "a, b"), ("X-LATIN", "caf\udce9"))


@both
def test_no_redirect_is_followed_and_no_cookie_kept(server, fetch: Fetch) -> None:
    server.answers["/"] = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    assert asyncio.run(fetch(f"{server.origin}/")).status == 302
    assert server.targets == ["/"]


@both
def test_a_private_address_is_refused_by_name_and_by_number(server, fetch: Fetch) -> None:
    for host in ("127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "localhost", "site.example"):
        pins = ["site.example:*:127.0.0.1"]
        capture = asyncio.run(fetch(f"http://{host}:{server.port}/", allow_private=False, resolve=pins))
        assert capture.error is Failure.REFUSED, host
        assert "not on the public Internet" in capture.memo["detail"], host
    assert server.heads == []


@both
def test_a_name_with_two_addresses_uses_the_one_that_answers(server, fetch: Fetch) -> None:
    server.answers["/"] = ok(b"fine")
    pins = [f"site.example:{server.port}:[::1],127.0.0.1"]
    assert asyncio.run(fetch(f"http://site.example:{server.port}/", resolve=pins)).body == b"fine"


@both
@pytest.mark.parametrize(("answers", "status"), [(["127.0.0.1", "127.0.0.2"], 200), (["127.0.0.2", "127.0.0.1"], None)])
def test_a_name_server_that_changes_its_mind_is_asked_once(
    server, fetch: Fetch, monkeypatch, answers: list[str], status: int | None
) -> None:
    """Rebinding: the address that was checked is the one that is connected to. Here 127.0.0.1 alone is public."""
    server.answers["/"] = ok(b"fine")
    left = list(answers)

    def resolve(host: str, port: int, *_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (left.pop(0), port))]

    with contextlib.closing(socket.create_server(("127.0.0.2", server.port))) as inside:
        inside.setblocking(False)
        monkeypatch.setattr(Guard, "allows", lambda _, address: address == "127.0.0.1")
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        capture = asyncio.run(fetch(f"http://site.example:{server.port}/", allow_private=False))
        with pytest.raises(BlockingIOError):
            inside.accept()
    assert (capture.status, left) == (status, answers[1:])
