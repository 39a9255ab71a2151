"""Reads WARC files that others wrote: which records are whole, which are broken and why, and where the next one is.

WARC 1.1 (ISO 28500:2017) and older versions from 0.17 on, uncompressed or with each record in a gzip member or
Zstandard frame. A record is whole if its header can be read and has a type of the standard, its block has the length
and digest that the header states, and its member ends correctly. After a broken one, the reader looks for the next: a
member that unpacks to the start of a record, or a version line with a field after it. A record inside another one is
broken too, and has the URL in its own header. Time is linear in the size of the file, whatever is in it.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote_from_bytes

from forbear.crawler.archives import stored_answer
from forbear.crawler.archives.block_digest import BlockDigest
from forbear.crawler.archives.packed import MAGIC, BrokenMember, DamagedRecord, Kind, PackedFile
from forbear.optout.model import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from forbear.crawler.archives.packed import Member

    Unpacked = io.BytesIO | io.BufferedReader[Member]
    Stream = BinaryIO | io.BufferedReader[Member]

MAX_HEADER = 1024 * 1024
MAX_BLOCK = 65 * 1024 * 1024
"""Bytes of a block kept in memory; nothing is kept of a larger one."""
PAGES = frozenset({"response", "revisit", "resource"})
"""The types of records whose block was served at a URL."""
TYPES = PAGES | {"warcinfo", "request", "metadata", "conversion", "continuation"}
"""The record types of the standard (ISO 28500:2017 6)."""

_CHUNK = 64 * 1024
_LITTLE = 512
"""Bytes read at once where few are expected."""
_WINDOW = 16 * _CHUNK
"""Bytes searched at once for headers of records inside another."""
_LEAST = 16
"""The fewest bytes that a compressed record takes in a file."""
_STEP = 32
"""Bytes of a broken member's header unpacked at once: a fault loses what was unpacked with it."""
_TRIAL = 256
"""Cost of trying whether a member starts at an offset, in bytes that could be read instead."""
_LINES = 64
"""The most line ends after a block; there should be two."""

_DEFERRED_IF_LARGE = PAGES | {"continuation"}

_PLAIN = "record"
_VERSION = re.compile(rb"WARC/(0\.1[0-9]|1\.[0-9])[ \t]*\r?\n")
_FIRST = re.compile(rb"(?!.+WARC/)[ -~\t]{1,80}\r?\n")
"""A possible version line, damaged or not; the fields after it are read."""
# A version and a field after it, anywhere: what was cut off before them may end in the middle of a line.
_BEGINNING: dict[str, bytes] = {**MAGIC, _PLAIN: rb"WARC/[0-9]\.[0-9]{1,2}[ \t]{0,8}\r?\n(?i:WARC|Content)-"}
_OVERLAP = 64
# After a block: line ends and a record, even if its version is damaged.
_NEXT = re.compile(
    rb"[\r\n]{0,64}(?=WARC/[0-9]\.[0-9]{1,2}[ \t]{0,8}\r?\n|%s|%s|[\x50-\x5f]\x2a\x4d\x18)"
    rb"|\r?\n\r?\n(?=[^\r\n]{1,80}\r?\n(?i:WARC)-)" % tuple(MAGIC.values())
)
_LAST = re.compile(rb"[\r\n]{0,64}(?=(?:W(?:A(?:R(?:C(?:/.{0,4})?)?)?)?)?\Z)")
_PADDED = re.compile(rb"\r?\n\r?\n(?=\0)")
# The header of a record inside a block, and the fields that it must have.
_INNER = re.compile(  # starts with bytes that are fast to search for
    rb"WARC/(?:(?<=\n\nWARC/)|(?<=\n\r\nWARC/)|(?<=\A\r\nWARC/)|(?<=\A\nWARC/)|(?<=\AWARC/))"
    rb"[0-9]\.[0-9]{1,2}[ \t]*\r?\n(?:[^\r\n]++\r?\n)++"
)
_NEEDED = (re.compile(rb"^WARC-Type[ \t]*:", re.I | re.M), re.compile(rb"^Content-Length[ \t]*:", re.I | re.M))
_BEGUN = (b"WARC/", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_ONCE = (b"content-length", b"warc-type", b"warc-target-uri")


@dataclass(frozen=True, slots=True)
class Damage:
    """Damage in a file: its offset and the reason; ``cut`` if the file ends there, unfinished."""

    file: str
    offset: int
    reason: str
    failure: Failure
    cut: bool = False

    def __str__(self) -> str:
        return f"{self.file}, byte {self.offset}: {self.reason}"


@dataclass(slots=True)
class Record:
    """A record, from ``start`` to the next one; if it is broken (``damage``), as much as could be read.

    ``type`` and ``url`` are its WARC-Type and WARC-Target-URI, ``fields`` all that its header has, the first of a name.
    ``block`` is empty without a page, and if it is ``large``. A ``crowded`` record has others inside it.
    """

    start: int
    end: int = 0
    type: str = ""
    url: str | None = None
    fields: dict[bytes, bytes] = field(default_factory=dict)
    block: bytes = b""
    large: bool = False
    crowded: bool = False
    damage: Damage | None = None

    def get(self, name: bytes) -> str | None:
        """Returns the first value of a field; ``name`` is in lower case."""
        value = self.fields.get(name)
        return None if value is None else value.decode("utf-8", "replace")

    def take(self, begin: int = 0) -> bytes:
        """Takes the block from an offset on out of the record, as it may be large."""
        block, self.block = self.block, b""
        return block[begin:]

    @property
    def date(self) -> datetime | None:
        """The WARC-Date; None if it is not a date."""
        return date_of(self.get(b"warc-date"))

    @property
    def length(self) -> int:
        """The Content-Length. Raises DamagedRecord."""
        value = self.fields.get(b"content-length")
        if value is None:
            raise DamagedRecord("the record has no Content-Length")
        if not value.isdigit() or len(value) > 18:
            raise DamagedRecord(f"the Content-Length of the record is {value[:40]!r}")
        return int(value)


class WarcFile:
    """The records of a file, which messages call ``name``. Raises OSError."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._size = file.seek(0, os.SEEK_END)
        self._packed = PackedFile(file)
        self._kinds = self._begins_with()
        self._again = 2 * self._size
        self._reached = 0
        self.first = self._packed.first if self._packed.first <= self._size else 0
        """Offset of the first record."""

    def _begins_with(self) -> Set[str]:
        """Returns the compression that the first bytes show; any, if they show none."""
        self._file.seek(0)
        octets = self._file.read(_LITTLE)
        kinds = [kind for kind, beginning in _BEGINNING.items() if re.match(beginning, octets)]
        if self._packed.first:
            kinds = [Kind.ZSTD]
        return frozenset(kinds or _BEGINNING)

    def records(self) -> Iterator[Record]:
        """Yields each record in order, whole or broken; bytes between two, or inside one, make a broken one too."""
        at = self.first
        while (at := self._between(at)) < self._size:
            record = self.read(at)
            yield record
            if record.crowded and record.damage:
                yield from self._within(record, record.damage)
            at = record.end

    def _within(self, outer: Record, damage: Damage) -> Iterator[Record]:
        """Yields the records whose headers are inside another one, at its offset: their extent is unknown.

        Their number is bounded by its size in the file, as a member may unpack to many that are alike.
        """
        size = outer.end - outer.start
        stream: Unpacked
        if member := self._packed.member(outer.start):
            stream = io.BufferedReader(member)
        else:
            self._file.seek(outer.start)
            stream = io.BytesIO(self._file.read(size))
        for number, header in enumerate(islice(_headers(stream), 1, size // _LEAST), 2):
            record = Record(outer.start, outer.end)
            with suppress(DamagedRecord):
                _read_header(io.BytesIO(header), record)
            reason = f"record {number} of those found together here cannot be separated"
            record.damage = Damage(self._name, outer.start, reason, damage.failure, damage.cut)
            yield record

    def read(self, start: int) -> Record:
        """Reads the record at an offset."""
        record = Record(start)
        member = self._packed.member(start)
        try:
            if member:
                self._unpack(record, member)
            else:
                self._read(record)
            if record.type not in TYPES and (record.url is not None or record.length):
                raise DamagedRecord(f"the record has the WARC-Type {record.type[:40]!r}, which is unknown")
        except DamagedRecord as error:
            self._resume(record, error)
        else:
            self._kinds = frozenset({member.kind if member else _PLAIN})
        return record

    def _between(self, at: int) -> int:
        """Skips line ends, skippable frames, and NULs that fill up the file."""
        while at < self._size:
            behind = self._packed.skip(at)
            if behind > self._size:  # its length may be damaged: look for what follows it
                break
            if behind == at:
                self._file.seek(at)
                octets = self._file.read(_LITTLE)
                behind += len(octets) - len(octets.lstrip(b"\r\n"))
            if behind == at:
                return self._size if octets.startswith(b"\0") and self._is_padding(at) else at
            at = behind
        return at

    def _is_padding(self, at: int) -> bool:
        """Returns whether only NULs follow."""
        self._file.seek(at)
        size = _LITTLE
        while octets := self._file.read(size):
            if octets.strip(b"\0"):
                return False
            size = min(2 * size, _CHUNK)
        return True

    def _unpack(self, record: Record, member: Member) -> None:
        """Reads a record in its own member to the end, where the checksum is."""
        stream = io.BufferedReader(member, 2 * _LITTLE)
        broken: DamagedRecord | None = None
        try:
            _read_header(stream, record)
            digest = self._block(stream, record)
            self._check_end(stream, record)
            self._check_digest(digest, record)
        except BrokenMember:
            raise
        except DamagedRecord as error:
            broken = error
        while stream.read(_CHUNK):
            pass
        assert member.end is not None
        record.end = member.end
        if broken:
            raise broken

    def _block(self, stream: Stream, record: Record) -> BlockDigest:
        """Reads a block, keeps it if it has a page, and returns its digest."""
        digest = BlockDigest(record.get(b"warc-block-digest"))
        left = length = record.length
        record.large = length > MAX_BLOCK
        if record.type in PAGES and not record.large:
            record.block = stream.read(length)
            digest.update(record.block)
            left -= len(record.block)
        while left and (octets := stream.read(min(left, _CHUNK))):
            digest.update(octets)
            left -= len(octets)
        if left:
            raise DamagedRecord(f"the block should have {length:,} bytes and has {length - left:,}", Failure.TRUNCATED)
        return digest

    def _check_digest(self, digest: BlockDigest, record: Record) -> None:
        """Raises DamagedRecord on a wrong digest; truncated records and revisits may state that of the whole."""
        if digest.differs and record.type != "revisit" and record.get(b"warc-truncated") is None:
            record.crowded = True
            raise DamagedRecord("the block has another digest than the record says")

    def _check_end(self, stream: Stream, record: Record) -> None:
        """Skips the line ends after the block of a compressed record. Raises DamagedRecord."""
        octets = stream.read(_LITTLE)
        rest = octets.lstrip(b"\r\n")
        record.crowded = bool(rest)
        if _VERSION.match(rest):
            raise DamagedRecord("several records are compressed together: compress each, as `warcio recompress` does")
        if rest or len(octets) > _LINES:
            raise DamagedRecord(f"the block is longer than the {record.length:,} bytes that the record states")

    def _read(self, record: Record) -> None:
        """Reads an uncompressed record. What follows its block shows whether its stated length is right."""
        self._file.seek(record.start)
        try:
            _read_header(self._file, record)
        finally:
            self._reached = begin = self._file.tell()
        length = record.length
        if begin + length > self._size:
            there = self._size - begin
            raise DamagedRecord(
                f"the block should have {length:,} bytes, {there:,} are left in the file", Failure.TRUNCATED
            )
        record.end = self._behind(begin + length)
        record.large = length > MAX_BLOCK
        if not record.large:
            self._plain_block(record, begin)
        elif record.type not in _DEFERRED_IF_LARGE:  # not searched for other records
            raise DamagedRecord(f"the record has more than {MAX_BLOCK:,} bytes", Failure.TOO_LARGE)

    def _plain_block(self, record: Record, begin: int) -> None:
        """Reads a block. A wrong length may end where another record does: the digest or the content shows it."""
        self._file.seek(begin)
        block = self._file.read(record.length)
        digest = BlockDigest(record.get(b"warc-block-digest"))
        digest.update(block)
        self._check_digest(digest, record)
        if (digest.differs or not digest.known) and _has_record(block):
            record.crowded = True
            raise DamagedRecord(
                "the header of another record lies in the block, and no digest shows that it belongs there"
            )
        if record.type in PAGES:
            record.block = block

    def _behind(self, end: int) -> int:
        """Returns the start of the record after a block, or the end of the file. Raises DamagedRecord at neither."""
        self._file.seek(end)
        octets = self._file.read(_LITTLE)
        match = _NEXT.match(octets) or (_LAST.match(octets) if end + len(octets) == self._size else None)
        if match is None and (padded := _PADDED.match(octets)) and self._is_padding(end + padded.end()):
            match = padded
        if match:
            return end + match.end()
        raise DamagedRecord("the block has another length than the record says: no record follows")

    def _resume(self, record: Record, error: DamagedRecord) -> None:
        """Records the damage, and finds the next record.

        The search starts inside the broken one, since a wrong length may cover others, and a member that was cut off
        runs into the next. After too many searches it goes on where reading ended.
        """
        record.block = b""
        if not record.end:
            reached = error.reached if isinstance(error, BrokenMember) else self._reached
            self._salvage(record)
            self._again -= reached - record.start
            near = self._again > 0 and error.failure is not Failure.TOO_LARGE
            record.end = self._find(record.start + 1 if near else reached)
        unfinished = error.failure is Failure.TRUNCATED and record.end == self._size
        record.damage = Damage(self._name, record.start, str(error), error.failure, unfinished)

    def _salvage(self, record: Record) -> None:
        """Reads as much as possible of the header of a broken member."""
        if not record.url and (member := self._packed.member(record.start)):
            with suppress(DamagedRecord):
                _read_header(io.BufferedReader(member, _STEP), record)

    def _find(self, start: int) -> int:
        """Returns the offset of the next thing that looks like a record; the size of the file without one."""
        pattern = re.compile(b"|".join(b"(%s)" % _BEGINNING[kind] for kind in sorted(self._kinds)))
        at, size = start, _LITTLE
        while at < self._size:
            self._file.seek(at)
            match = pattern.search(self._file.read(size + _OVERLAP))
            if match is None:
                at, size = at + size, min(2 * size, 16 * _CHUNK)
                continue
            found = at + match.start()
            at, size = self._tried(found), _LITTLE
            if at == found:
                return found
        return self._size

    def _tried(self, at: int) -> int:
        """Returns the offset if a member there unpacks to a record; else where to look next."""
        member = self._packed.member(at)
        if member is None:
            return at
        try:
            if io.BufferedReader(member, 5).read(5) == b"WARC/":
                return at
        except BrokenMember:
            pass
        self._again -= _TRIAL + max(0, member.reached - at - _CHUNK)
        return at + 1 if self._again > 0 else member.reached


def date_of(value: str | None) -> datetime | None:
    """Parses a moment (W3C-DTF, also of reduced precision); None if it is not one."""
    text = (value or "").removesuffix("Z")
    text += "-01-01"[len(text) - 4 :] if len(text) in (4, 7) else ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _headers(stream: Unpacked) -> Iterator[bytes]:
    """Yields the headers of records in a stream, until it breaks."""
    window = bytearray()
    for octets in chain(_pieces(stream), [b""]):
        window += octets
        if octets and len(window) < _WINDOW:
            continue
        last = max(len(window) - _CHUNK, 0) if octets else len(window)
        for match in _INNER.finditer(window):
            if match.start() < last:
                yield bytes(match[0]) + b"\r\n"
        window = window[last:]


def _pieces(stream: Unpacked) -> Iterator[bytes]:
    with suppress(BrokenMember):
        while octets := stream.read1(_CHUNK):
            yield octets


def _has_record(block: bytes) -> bool:
    """Returns whether a block has the header of a record, after the HTTP answer if its length is stated.

    A page about WARC may have such a header in its content.
    """
    end: int | None = None
    for match in _INNER.finditer(block):
        if not all(needed.search(match[0]) for needed in _NEEDED):
            continue
        if end is None:
            end = _http_end(block)
        if match.start() >= end:
            return True
    return False


def _http_end(block: bytes) -> int:
    """Returns the end of the HTTP answer in a block by its Content-Length; 0 if that is missing or too large."""
    with suppress(DamagedRecord):
        head = stored_answer.read_head(block)
        lengths = {value for name, value in head.fields if name.lower() == b"content-length"}
        length = lengths.pop() if len(lengths) == 1 else b""
        if length.isdigit() and len(length) < 19 and head.begin + int(length) <= len(block):
            return head.begin + int(length)
    return 0


def _read_header(stream: Stream, record: Record, first: bytes = b"") -> None:
    """Reads the version and the fields (ISO 28500:2017 4), as far as possible; after ``first``, the first line.

    Raises DamagedRecord.
    """
    lines = [first] if first else []
    differs = b""
    try:
        _read_lines(stream, lines)
    finally:
        for line in _FOLD.sub(b" ", b"".join(lines[1:])).split(b"\n"):
            name, _, value = line.partition(b":")
            name, value = name.strip().lower(), value.strip()
            if record.fields.setdefault(name, value) != value and name in _ONCE:
                differs = name
        record.type = (record.get(b"warc-type") or "").lower()
        record.url = _url(record.fields.get(b"warc-target-uri"))
    if not _VERSION.fullmatch(lines[0]):
        raise DamagedRecord(f"no record of a known version starts here, but {lines[0][:20]!r}")
    if not record.type:
        raise DamagedRecord("the record has no WARC-Type")
    if differs:
        raise DamagedRecord(f"the record has two fields {differs.decode()} that differ")


def _url(target: bytes | None) -> str | None:
    """Returns the URL without the angle brackets of WARC 1.0; bytes that are not UTF-8 are escaped."""
    if target is None:
        return None
    target = target.strip(b"<> ")
    try:
        return target.decode()
    except UnicodeDecodeError:
        return quote_from_bytes(target, safe=bytes(range(128)))


def _read_lines(stream: Stream, lines: list[bytes]) -> None:
    """Yields the lines of a header, up to the empty one, or to one that is not a field. Raises DamagedRecord."""
    left = MAX_HEADER
    while (line := stream.readline(left)) not in (b"\r\n", b"\n") or not lines:
        left -= len(line)
        if not line.endswith(b"\n"):
            if left == 0:
                raise DamagedRecord(f"the header of the record is longer than {MAX_HEADER:,} bytes")
            if lines or any(begun.startswith(line[: len(begun)]) for begun in _BEGUN):
                raise DamagedRecord("the header of the record is cut off", Failure.TRUNCATED)
            raise DamagedRecord("no record begins here")
        if not lines and not _FIRST.fullmatch(line):
            raise DamagedRecord("no record begins here")
        if lines and not line.startswith((b" ", b"\t")) and b":" not in line:
            begun = _VERSION.fullmatch(lines[0])
            raise DamagedRecord(
                "a line in the header of the record is not a field" if begun else "no record begins here"
            )
        lines.append(line)
