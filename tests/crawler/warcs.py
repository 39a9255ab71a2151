"""WARC files made byte by byte, so that they can be damaged byte by byte."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable

import zstandard

PAGE = b"<!doctype html><title>t</title><p>"
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda octets: gzip.compress(octets, mtime=0),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def http(body: bytes = PAGE, *fields: bytes, first: bytes = b"HTTP/1.1 200 OK", end: bytes = b"\r\n") -> bytes:
    lines = (first, *(fields or (b"Content-Type: text/html",)), b"", b"")
    return end.join(lines) + body


def record(
    url: str | bytes | None,
    block: bytes | None = None,
    kind: str = "response",
    *more: str,
    length: int | str | None = None,
    version: str = "WARC/1.1",
    end: bytes = b"\r\n",
) -> bytes:
    """A record; ``length`` is what it says of its block, if that is not so; an empty one leaves the field out."""
    block = http() if block is None else block
    said = len(block) if length is None else length
    target = url if isinstance(url, bytes | None) else url.encode()
    lines = [
        version.encode(),
        b"WARC-Type: " + kind.encode(),
        b"WARC-Date: 2026-01-01T00:00:00Z",
        *([b"WARC-Target-URI: " + target] if target is not None else []),
        *(line.encode() for line in more),
        *([b"Content-Length: " + str(said).encode()] if said != "" else []),
    ]
    return end.join([*lines, b"", b""]) + block + b"\r\n\r\n"


def bomb(head: bytes, zeros: int) -> bytes:
    """A gzip member of a few bytes that unpacks to many."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(
        [stream.compress(head), *(stream.compress(bytes(1 << 20)) for _ in range(zeros >> 20)), stream.flush()]
    )


class Counted(io.BytesIO):
    """A file that counts the bytes that were read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        octets = super().read(size)
        self.count += len(octets)
        return octets

    def readline(self, size: int | None = -1, /) -> bytes:
        octets = super().readline(size)
        self.count += len(octets)
        return octets
