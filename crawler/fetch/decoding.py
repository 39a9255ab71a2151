"""Decodes content codings, completely or not at all (RFC 9110 8.4; RFC 1950, 1951, 1952, 7932, 8878, 9659)."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING

import brotli

from forbear.crawler.fetch.http1 import BadAnswer
from forbear.optout.model import Failure
from forbear.optout.readers.representation import encoding_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterable

ACCEPTED = "gzip, deflate, br"
"""The Accept-Encoding field: the codings that this module decodes."""

_NOTHING = frozenset({"", "identity", "none", "null", "7bit", "8bit", "binary", "aws-chunked"})
"""Values of Content-Encoding that mean no coding at all, besides character encodings and media types.

These are Content-Transfer-Encodings (RFC 2045 6.2) and what Amazon S3 keeps of an upload in parts; browsers ignore all
of them. A coding that exists, or an unknown name, is never ignored.
"""

_ZSTD_WINDOW = {int(zstd.DecompressionParameter.window_log_max): 23}  # RFC 9659 3: 8 MB
_MAX_CODINGS = 4
_MAX_MEMBERS = 64


class Undecodable(BadAnswer):
    """The body cannot be decoded by its codings, or is too large."""


def decode(body: bytes, content_encoding: Iterable[str], limit: int) -> bytes:
    """Returns the decoded body; ``content_encoding`` are the values of that field, ``limit`` is in bytes.

    Raises Undecodable for a coding that is not known, a body that is cut off or is damaged, and one beyond the limit:
    half a robots.txt reads like one that reserves less.
    """
    listed = [coding.strip().lower() for value in content_encoding for coding in value.split(",")]
    codings = [coding for coding in listed if not _is_none(coding)]
    if len(codings) > _MAX_CODINGS:
        raise Undecodable(f"{len(codings)} content codings on top of each other are too many")
    for coding in reversed(codings if body else ()):
        body = _undo(coding, body, limit)
    if len(body) > limit:
        raise too_large(limit)
    return body


def _is_none(coding: str) -> bool:
    return coding in _NOTHING or "/" in coding or encoding_of(coding) != ""


def _undo(coding: str, body: bytes, limit: int) -> bytes:
    try:
        if coding in ("gzip", "x-gzip"):
            return _gunzip(body, limit)
        if coding in ("deflate", "x-deflate"):
            return _inflate(body, limit)
        if coding == "br":
            return _unbrotli(body, limit)
        if coding == "zstd":
            return _unzstd(body, limit)
    except (zlib.error, brotli.error, zstd.ZstdError) as error:
        raise Undecodable(f"the body is not {coding}: {error}") from error
    raise Undecodable(f"the content coding {coding!r} was not asked for and is not known")


def _gunzip(body: bytes, limit: int) -> bytes:
    """Decodes all members of a gzip file (RFC 1952 2.2); NUL bytes after the last one are padding."""
    whole = b""
    for _ in range(_MAX_MEMBERS):
        member, body = _unpack(body, limit - len(whole), 16 + zlib.MAX_WBITS)
        whole += member
        if not body.strip(b"\0"):
            return whole
    raise Undecodable(f"the body has more than {_MAX_MEMBERS} gzip members")


def _inflate(body: bytes, limit: int) -> bytes:
    """Decodes ``deflate`` with the zlib wrapper of RFC 9110 8.4.1.2, or without it, as some servers send it."""
    try:
        unpacked, behind = _unpack(body, limit, zlib.MAX_WBITS)
    except zlib.error:
        unpacked, behind = _unpack(body, limit, -zlib.MAX_WBITS)
    if behind.strip(b"\0"):
        raise Undecodable("bytes follow the compressed body that are not part of it")
    return unpacked


def _unpack(body: bytes, limit: int, window: int) -> tuple[bytes, bytes]:
    """Decodes one zlib stream; returns it and what follows it."""
    stream = zlib.decompressobj(window)
    unpacked = stream.decompress(body, limit + 1)
    if len(unpacked) > limit:
        raise too_large(limit)
    if not stream.eof:
        raise Undecodable("the compressed body is cut off", Failure.TRUNCATED)
    return unpacked, stream.unused_data


def _unbrotli(body: bytes, limit: int) -> bytes:
    stream = brotli.Decompressor()
    unpacked = stream.process(body, output_buffer_limit=limit + 1)
    while len(unpacked) <= limit and not stream.is_finished():
        more = stream.process(b"", output_buffer_limit=limit + 1)
        if not more:
            raise Undecodable("the compressed body is cut off", Failure.TRUNCATED)
        unpacked += more
    if len(unpacked) > limit:
        raise too_large(limit)
    return bytes(unpacked)


def _unzstd(body: bytes, limit: int) -> bytes:
    """Decodes all frames (RFC 8878 3); unlike with gzip, nothing else may follow."""
    whole = b""
    for _ in range(_MAX_MEMBERS):
        stream = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
        whole += stream.decompress(body, limit + 1 - len(whole))
        if len(whole) > limit:
            raise too_large(limit)
        if not stream.eof:
            raise Undecodable("the compressed body is cut off", Failure.TRUNCATED)
        body = stream.unused_data
        if not body:
            return whole
    raise Undecodable(f"the body has more than {_MAX_MEMBERS} Zstandard frames")


def too_large(limit: int) -> Undecodable:
    """Returns the exception for a body beyond a limit in bytes."""
    return Undecodable(f"the body is larger than {limit:,} bytes", Failure.TOO_LARGE)
