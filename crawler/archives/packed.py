"""Unpacks one gzip member or Zstandard frame of a file at a time, and detects damage and cut-off files.

RFC 1952; RFC 8878, with the dictionary of ``.warc.zst`` 1.0 in a skippable frame at the beginning of the file.
"""

from __future__ import annotations

import io
import re
import sys
import zlib
from enum import StrEnum
from typing import BinaryIO, Protocol

from forbear.optout.model import Failure

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FREE, RATIO = 256 * 1024 * 1024, 32
"""A member may unpack to this many bytes, and beyond that to a multiple of its own size."""

_FIRST, _MOST = 1024, 64 * 1024
"""Bytes of a member that are read at once: few at first, then more."""
_DICTIONARY = b"\x5d\x2a\x4d\x18"
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # RFC 8878 3.1.2
_MAX_DICTIONARY = 16 * 1024 * 1024
_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 27}  # 128 MiB, Zstandard's default


class Kind(StrEnum):
    """The compression of the records of a file, each a member of its own."""

    GZIP = "gzip member"
    ZSTD = "Zstandard frame"


MAGIC: dict[str, bytes] = {
    # Reserved flags are zero, and the fields after the time have few values (RFC 1952 2.3.1).
    Kind.GZIP: rb"\x1f\x8b\x08[\x00-\x1f][\x00-\xff]{4}[\x00\x02\x04][\x00-\x0d\xff]",
    Kind.ZSTD: rb"\x28\xb5\x2f\xfd",
}
"""The bytes that each starts with, as a regular expression."""


class DamagedRecord(ValueError):
    """A record is damaged; ``failure`` names how (docs/reference/decide.md), the message is one clause."""

    def __init__(self, reason: str, failure: Failure = Failure.PROTOCOL) -> None:
        super().__init__(reason)
        self.failure = failure


class BrokenMember(DamagedRecord):
    """A member is damaged, so its end is unknown; the file was read up to ``reached``."""

    def __init__(self, reason: str, failure: Failure, reached: int) -> None:
        super().__init__(reason, failure)
        self.reached = reached


class _Unpacker(Protocol):
    """The interface that the decompressors of zlib and Zstandard share here."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor with Zstandard's interface."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


class Member(io.RawIOBase):
    """The content of a member, unpacked while it is read; ``end`` is its end in the file, known after reading all.

    Raises BrokenMember if its checksum or length is wrong, it is cut off, or it unpacks to many times its size.
    """

    def __init__(self, file: BinaryIO, start: int, kind: Kind, unpacker: _Unpacker) -> None:
        self.end: int | None = None
        self.reached = self._last = start
        self.kind = kind
        self._file, self._start, self._unpacker = file, start, unpacker
        self._size, self._unpacked = _FIRST, 0
        file.seek(start)

    def readable(self) -> bool:
        """Implements io.RawIOBase."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Implements io.RawIOBase."""
        content = self._next(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _next(self, most: int) -> bytes:
        while self.end is None:
            chunk, wanted = b"", self._unpacker.needs_input
            if wanted:
                chunk = self._file.read(self._size)
                self._size = min(2 * self._size, _MOST)
                self._last, self.reached = self.reached, self.reached + len(chunk)
            try:
                content = self._unpacker.decompress(chunk, most)
            except (zlib.error, zstd.ZstdError) as error:
                why = str(error).rpartition(": ")[2].rstrip(".")
                raise self._broken(f"the {self.kind} is damaged ({why})") from None
            if self._unpacker.eof:
                self.end = self.reached - len(self._unpacker.unused_data)
            self._unpacked += len(content)
            if self._unpacked > FREE + RATIO * (self.reached - self._start):
                reason = f"the {self.kind} unpacks to many times its size"
                raise BrokenMember(reason, Failure.TOO_LARGE, self._last)  # it may end there
            if content:
                return content
            if wanted and not chunk and self.end is None:
                raise self._broken(f"the {self.kind} is cut off at the end of the file", Failure.TRUNCATED)
        return b""

    def _broken(self, reason: str, failure: Failure = Failure.PROTOCOL) -> BrokenMember:
        return BrokenMember(reason, failure, self.reached)


class PackedFile:
    """A file of members; those of a ``.warc.zst`` start at ``first``, after a dictionary."""

    def __init__(self, file: BinaryIO) -> None:
        """Reads the dictionary, if the file starts with one."""
        self._file, self.first = file, 0
        self._dictionary: zstd.ZstdDict | None = None
        file.seek(0)
        if file.read(4) == _DICTIONARY:
            size = int.from_bytes(file.read(4), "little")
            self.first = 8 + size
            octets = file.read(min(size, _MAX_DICTIONARY))
            self._dictionary = _dictionary(octets) if len(octets) == size else None

    def member(self, start: int) -> Member | None:
        """Returns the member that starts at an offset, or None."""
        self._file.seek(start)
        magic = self._file.read(4)
        if magic.startswith(b"\x1f\x8b"):
            return Member(self._file, start, Kind.GZIP, _Gzip())
        if magic == b"\x28\xb5\x2f\xfd":
            return Member(self._file, start, Kind.ZSTD, zstd.ZstdDecompressor(self._dictionary, _OPTIONS))
        return None

    def skip(self, start: int) -> int:
        """Returns the end of the skippable frame at an offset; the offset itself without one."""
        self._file.seek(start)
        head = self._file.read(8)
        return start + 8 + int.from_bytes(head[4:], "little") if _SKIPPABLE.match(head) else start


def _dictionary(octets: bytes) -> zstd.ZstdDict | None:
    """Reads the dictionary, compressed or not. Frames that need a missing one fail when they are unpacked."""
    try:
        if octets.startswith(b"\x28\xb5\x2f\xfd"):
            octets = zstd.ZstdDecompressor(None, _OPTIONS).decompress(octets, _MAX_DICTIONARY)
        return zstd.ZstdDict(octets)
    except (zstd.ZstdError, ValueError):
        return None
