"""Reads an HTTP answer from an archive (RFC 9112): its bytes as received, or as a crawler rewrote them.

The head may be anything that ``http1`` accepts from a server, or what crawlers and browsers write after HTTP/2 or
HTTP/3. The body may lack the codings that the head still names, as in Common Crawl's news before May 2019: a body that
does not start like a coding is not in it, and is taken as it is. One that starts like it and then fails is damaged.

All bytes after the head are the body, unlike in ``http1``: also those beyond the Content-Length, which may describe
the encoded body, and those of a status without a body. They are in the archive, and would stay in it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from forbear.crawler.archives.packed import DamagedRecord
from forbear.crawler.fetch.decoding import Undecodable, decode
from forbear.optout.model import Failure
from forbear.optout.readers import mime

MAX_HEAD = 256 * 1024
"""Bytes of status line and fields."""
MAX_FRAMING = 4 * 1024 * 1024
"""Bytes of chunk framing in a body: one-byte chunks only cost time."""

Fields = tuple[tuple[bytes, bytes], ...]

_HEAD_END = re.compile(rb"\n\r?\n")
_FORBIDDEN = re.compile(rb"\x00|\r(?!\n)")  # RFC 9110 5.5, RFC 9112 2.2
_BLANK = re.compile(rb"[\r\n]+")  # as http1 skips it
_STATUS_LINE = re.compile(rb"HTTP/[0-9](?:\.[0-9])?[ \t]+([1-9][0-9]{2})(?:[ \t].*)?")
_FOLD = re.compile(rb"\r?\n[ \t]+")  # RFC 9112 5.2
_NAME = re.compile(rb":?[!-9;-~](?:[ !-9;-~]*[!-9;-~])?")  # :status too, which is a field only in HTTP/2
_CHUNK_SIZE = re.compile(rb"[ \t]*+([0-9A-Fa-f]++)[ \t]*+(?:;[^\r\n]*)?\r?\n")  # RFC 9112 7.1, 7.1.1
_LINE_END = re.compile(rb"\r?\n")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MAX_CODINGS = 6
_SURE = 256
"""This many bytes without a binary one are not compressed; fewer must also be UTF-8."""


class Head(NamedTuple):
    """Status line and fields of an answer, as stored and in order, and the offset of the body in the block."""

    status: int
    fields: Fields
    begin: int


def read_head(block: bytes, *, ends: bool = True) -> Head:
    """Returns the head of the answer in a block, after interim ones (RFC 9110 15.2). Raises DamagedRecord.

    ``ends`` is False where the body is elsewhere, and the line that ends the head may be, too.
    """
    if not ends and not _HEAD_END.search(block):
        block = block.rstrip(b"\r\n") + b"\r\n\r\n"
    begin = 0
    while True:
        if blank := _BLANK.match(block, begin):
            begin = blank.end()
        match = _HEAD_END.search(block, begin, MAX_HEAD)
        if not block.startswith(b"HTTP/", begin):
            raise DamagedRecord(f"it has no HTTP head: the block starts with {block[begin : begin + 20]!r}")
        if match is None:
            if len(block) >= MAX_HEAD:
                raise DamagedRecord(f"the HTTP head is longer than {MAX_HEAD:,} bytes")
            raise DamagedRecord("the HTTP head is cut off", Failure.TRUNCATED)
        status, fields = _fields(block[begin : match.start()])
        begin = match.end()
        if status >= 200 or status == 101 or begin == len(block):
            return Head(status, fields, begin)


def read_body(head: Head, body: bytes, limit: int) -> bytes:
    """Returns the decoded body of an answer. Raises DamagedRecord if it cannot be read, or exceeds the limit."""
    codings = _codings(head.fields)
    try:
        if "chunked" in codings and not body and head.status != 204:
            raise DamagedRecord("the answer is chunked and has no chunk", Failure.TRUNCATED)
        for coding in codings:
            body = _without(coding, body, limit)
    except DamagedRecord:
        if 300 <= head.status < 500:  # these need no body (RFC 9309 2.3.1.2, 2.3.1.3)
            return b""
        raise
    if len(body) > limit:
        raise DamagedRecord(f"the body has more than {limit:,} bytes", Failure.TOO_LARGE)
    return body


def _fields(head: bytes) -> tuple[int, Fields]:
    if _FORBIDDEN.search(head.removesuffix(b"\r")):
        raise DamagedRecord("the HTTP head has a NUL, or a CR without LF")
    first, _, rest = head.partition(b"\n")
    status = _STATUS_LINE.fullmatch(first.rstrip(b"\r"))
    if status is None or rest.startswith((b" ", b"\t")):  # RFC 9112 2.2: a blank line there may hide a field
        raise DamagedRecord(f"the HTTP head begins with {first[:40]!r}, which is not a status line")
    lines = _FOLD.sub(b" ", rest).split(b"\n")
    return int(status[1]), tuple(_field(line.rstrip(b"\r")) for line in lines if line.rstrip(b"\r"))


def _field(line: bytes) -> tuple[bytes, bytes]:
    """Parses a field (RFC 9112 5); spaces before the colon are removed (5.1)."""
    colon = line.find(b":", 1)
    name = line[:colon].rstrip(b" \t")
    if colon < 0 or not _NAME.fullmatch(name):
        raise DamagedRecord(f"{line[:40]!r} in the HTTP head is not a field")
    return name, line[colon + 1 :].strip(b" \t")


def _codings(fields: Fields) -> list[str]:
    """Returns the codings to undo, in order: transfer codings, then content codings, each from the last."""
    found: list[str] = []
    for name in (b"transfer-encoding", b"content-encoding"):
        values = ",".join(value.decode("latin-1").lower() for key, value in fields if key.lower() == name)
        found += (member for each in reversed(values.split(",")) if (member := each.strip()) not in ("", "identity"))
    if len(found) > _MAX_CODINGS:
        raise DamagedRecord(f"the body is in {len(found)} codings")
    return found


def _without(coding: str, body: bytes, limit: int) -> bytes:
    """Decodes a coding; a body that is plainly not in it stays as it is."""
    if coding == "chunked":
        return _dechunked(body) if _CHUNK_SIZE.match(body) else body
    if not body or (not _begins(coding, body) and _is_plain(body)):
        return body
    try:
        return decode(body, [coding], limit)
    except Undecodable as error:
        raise DamagedRecord(str(error), error.failure) from error


def _begins(coding: str, body: bytes) -> bool:
    """Returns whether the body starts like gzip, or like deflate in zlib's wrapper (RFC 1950)."""
    if coding in ("gzip", "x-gzip"):
        return body.startswith(b"\x1f\x8b")
    return coding == "deflate" and body[0] & 0x8F == 8 and int.from_bytes(body[:2]) % 31 == 0


def _is_plain(body: bytes) -> bool:
    """Returns whether a body is not compressed: text, or a file known by its first bytes."""
    head = body[: mime.MAX_HEADER]
    if mime.signature(head) or head.startswith(_UTF_16):
        return True
    if mime.text_or_binary(head) != "text/plain":
        return False
    try:
        return len(head) >= _SURE or bool(head.decode())
    except UnicodeDecodeError:
        return False


def _dechunked(body: bytes) -> bytes:
    """Decodes chunks (RFC 9112 7.1); skips extensions, trailer fields and what follows them."""
    view = memoryview(body)
    parts: list[memoryview] = []
    at = framing = 0
    while match := _CHUNK_SIZE.match(body, at):
        size, begin = min(int(match[1], 16), len(body)), match.end()
        if not size and not parts and body[begin:].strip(b"\r\n"):
            raise DamagedRecord("the body begins with its last chunk, and goes on")  # or it is a line of text
        if not size:
            return b"".join(parts)
        line = _LINE_END.match(body, begin + size)
        if line is None and begin + size + 2 <= len(body):
            raise DamagedRecord("a chunk of the body is longer than it says")
        framing += begin - at
        if framing > MAX_FRAMING:
            raise DamagedRecord(f"the chunks of the body have more than {MAX_FRAMING:,} bytes around them")
        if line is None:
            break
        parts.append(view[begin : begin + size])
        at = line.end()
    if body[at : at + 1] and not _CHUNK_SIZE.match(body, at) and b"\n" in body[at : at + 64]:
        raise DamagedRecord(f"{body[at : at + 20]!r} in the body is not the size of a chunk")
    raise DamagedRecord("the chunked body is cut off", Failure.TRUNCATED)
