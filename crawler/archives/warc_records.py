"""Reads WARC files that others wrote: which records are whole, which are broken and why, and where the next one is.

WARC 1.1 (ISO 28500:2017) and its forerunners from 0.17 on; records as they are, or each in a gzip member or Zstandard
frame. A record is whole if its header can be read and has a type of the standard, its block has the length and digest
that the header says, and what it is packed in ends as it should. Behind a broken one the next is looked for: a member
that unpacks to the beginning of a record, or a line with a version and a field behind it. What lies within another
record is broken too, and has the URL that its own header says. Time is linear in the size of the file, whatever it
holds.
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
from forbear.crawler.archives.packed import MAGIC, BrokenMember, DamagedRecord, Kind, Packed
from forbear.optout.model import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from forbear.crawler.archives.packed import Member

    Unpacked = io.BytesIO | io.BufferedReader[Member]
    Stream = BinaryIO | io.BufferedReader[Member]

MAX_HEADER = 1024 * 1024
MAX_BLOCK = 65 * 1024 * 1024
"""Octets of a block that are kept in memory; of a larger one, none are."""
PAGES = frozenset({"response", "revisit", "resource"})
"""The records whose block is what stood at a URL."""
TYPES = PAGES | {"warcinfo", "request", "metadata", "conversion", "continuation"}
"""The types of the standard (ISO 28500:2017 6)."""

_CHUNK = 64 * 1024
_LITTLE = 512
"""Octets that are read at once where few are expected."""
_WINDOW = 16 * _CHUNK
"""Octets that are searched at once for the headers of records within another."""
_LEAST = 16
"""Octets that a record takes in a file, however well it is compressed."""
_STEP = 32
"""Octets of a broken member's header that are unpacked at once: with those that do, what precedes a fault is lost."""
_TRIAL = 256
"""Octets that could be read again instead of trying whether a member begins somewhere."""
_LINES = 64
"""Line ends behind a block, at most; there should be two."""

_DEFERRED_IF_LARGE = PAGES | {"continuation"}

_PLAIN = "record"
_VERSION = re.compile(rb"WARC/(0\.1[0-9]|1\.[0-9])[ \t]*\r?\n")
_FIRST = re.compile(rb"(?!.+WARC/)[ -~\t]{1,80}\r?\n")
"""What may be a version, damaged or not: the fields behind it are read."""
# A version and a field behind it, wherever they stand: what was cut off before them may end in the middle of a line.
_BEGINNING: dict[str, bytes] = {**MAGIC, _PLAIN: rb"WARC/[0-9]\.[0-9]{1,2}[ \t]{0,8}\r?\n(?i:WARC|Content)-"}
_OVERLAP = 64
# Behind a block: line ends and a record, also one of which only the version is damaged.
_NEXT = re.compile(
    rb"[\r\n]{0,64}(?=WARC/[0-9]\.[0-9]{1,2}[ \t]{0,8}\r?\n|%s|%s|[\x50-\x5f]\x2a\x4d\x18)"
    rb"|\r?\n\r?\n(?=[^\r\n]{1,80}\r?\n(?i:WARC)-)" % tuple(MAGIC.values())
)
_LAST = re.compile(rb"[\r\n]{0,64}(?=(?:W(?:A(?:R(?:C(?:/.{0,4})?)?)?)?)?\Z)")
_PADDED = re.compile(rb"\r?\n\r?\n(?=\0)")
# The header of a record within a block, and the fields that it has to have.
_INNER = re.compile(  # it begins with octets that are searched for fast
    rb"WARC/(?:(?<=\n\nWARC/)|(?<=\n\r\nWARC/)|(?<=\A\r\nWARC/)|(?<=\A\nWARC/)|(?<=\AWARC/))"
    rb"[0-9]\.[0-9]{1,2}[ \t]*\r?\n(?:[^\r\n]++\r?\n)++"
)
_NEEDED = (re.compile(rb"^WARC-Type[ \t]*:", re.I | re.M), re.compile(rb"^Content-Length[ \t]*:", re.I | re.M))
_BEGUN = (b"WARC/", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_ONCE = (b"content-length", b"warc-type", b"warc-target-uri")


@dataclass(frozen=True, slots=True)
class Damage:
    """What is not whole in a file: where it begins and why; ``cut`` if the file ends there, unfinished."""

    file: str
    offset: int
    reason: str
    failure: Failure
    cut: bool = False

    def __str__(self) -> str:
        return f"{self.file}, octet {self.offset}: {self.reason}"


@dataclass(slots=True)
class Record:
    """A record, from ``start`` to where the next begins; what could be read of it if it is broken (``damage``).

    ``type`` and ``url`` are its WARC-Type and WARC-Target-URI, ``fields`` all that its header has, the first of a name.
    ``block`` is empty where it holds no page, and where it is ``large``. If it is ``crowded``, others lie within it.
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
        """The first value of a field; ``name`` in lower case."""
        value = self.fields.get(name)
        return None if value is None else value.decode("utf-8", "replace")

    def take(self, begin: int = 0) -> bytes:
        """The block from an octet on, which the record does not hold any more then: it may be large."""
        block, self.block = self.block, b""
        return block[begin:]

    @property
    def date(self) -> datetime | None:
        """Its WARC-Date; nothing if it is none."""
        return date_of(self.get(b"warc-date"))

    @property
    def length(self) -> int:
        """Its Content-Length. Raises Broken."""
        value = self.fields.get(b"content-length")
        if value is None:
            raise DamagedRecord("the record has no Content-Length")
        if not value.isdigit() or len(value) > 18:
            raise DamagedRecord(f"the Content-Length of the record is {value[:40]!r}")
        return int(value)


class WarcFile:
    """The records of a file; ``name`` is what messages call it. Raises OSError."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._size = file.seek(0, os.SEEK_END)
        self._packed = Packed(file)
        self._kinds = self._begins_with()
        self._again = 2 * self._size
        self._reached = 0
        self.first = self._packed.first if self._packed.first <= self._size else 0
        """Where the records begin."""

    def _begins_with(self) -> Set[str]:
        """What the first octets are that a record could be packed in; anything, if they are of no kind."""
        self._file.seek(0)
        octets = self._file.read(_LITTLE)
        kinds = [kind for kind, beginning in _BEGINNING.items() if re.match(beginning, octets)]
        if self._packed.first:
            kinds = [Kind.ZSTD]
        return frozenset(kinds or _BEGINNING)

    def records(self) -> Iterator[Record]:
        """Each record in order, whole or broken; what lies between two, or within one, is a broken one too."""
        at = self.first
        while (at := self._between(at)) < self._size:
            record = self.read(at)
            yield record
            if record.crowded and record.damage:
                yield from self._within(record, record.damage)
            at = record.end

    def _within(self, outer: Record, damage: Damage) -> Iterator[Record]:
        """The records whose headers lie within another, at its place: their extent is not known.

        There are no more than its size in the file permits: a member may unpack to many that are alike.
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
            reason = f"record {number} of those together here cannot be taken apart"
            record.damage = Damage(self._name, outer.start, reason, damage.failure, damage.cut)
            yield record

    def read(self, start: int) -> Record:
        """The record that begins there."""
        record = Record(start)
        member = self._packed.member(start)
        try:
            if member:
                self._unpack(record, member)
            else:
                self._read(record)
            if record.type not in TYPES and (record.url is not None or record.length):
                raise DamagedRecord(f"the record has the WARC-Type {record.type[:40]!r}, which is not known")
        except DamagedRecord as error:
            self._resume(record, error)
        else:
            self._kinds = frozenset({member.kind if member else _PLAIN})
        return record

    def _between(self, at: int) -> int:
        """Behind line ends, skippable frames, and NULs that fill up the file, which are no records."""
        while at < self._size:
            behind = self._packed.skip(at)
            if behind > self._size:  # an octet of its length may be wrong: what is behind it is looked for
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
        """Whether there are only NULs from there on."""
        self._file.seek(at)
        size = _LITTLE
        while octets := self._file.read(size):
            if octets.strip(b"\0"):
                return False
            size = min(2 * size, _CHUNK)
        return True

    def _unpack(self, record: Record, member: Member) -> None:
        """A record in a member of its own, which is read to its end: it holds the checksum."""
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
        """Reads a block, keeps it if it holds a page, and returns its digest."""
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
            raise DamagedRecord(f"the block should have {length} octets and has {length - left}", Failure.TRUNCATED)
        return digest

    def _check_digest(self, digest: BlockDigest, record: Record) -> None:
        """Raises Broken. What was cut off when it was written, or a revisit, may have the digest of the whole."""
        if digest.differs and record.type != "revisit" and record.get(b"warc-truncated") is None:
            record.crowded = True
            raise DamagedRecord("the block has another digest than the record says")

    def _check_end(self, stream: Stream, record: Record) -> None:
        """Behind the block of a packed record there are line ends. Raises Broken."""
        octets = stream.read(_LITTLE)
        rest = octets.lstrip(b"\r\n")
        record.crowded = bool(rest)
        if _VERSION.match(rest):
            raise DamagedRecord("several records are compressed together: compress each, as `warcio recompress` does")
        if rest or len(octets) > _LINES:
            raise DamagedRecord(f"the block is longer than the {record.length} octets that the record says")

    def _read(self, record: Record) -> None:
        """A record that is not packed. What follows its block shows whether it has the length that it says."""
        self._file.seek(record.start)
        try:
            _read_header(self._file, record)
        finally:
            self._reached = begin = self._file.tell()
        length = record.length
        if begin + length > self._size:
            there = self._size - begin
            raise DamagedRecord(
                f"the block should have {length} octets, {there} are left in the file", Failure.TRUNCATED
            )
        record.end = self._behind(begin + length)
        record.large = length > MAX_BLOCK
        if not record.large:
            self._plain_block(record, begin)
        elif record.type not in _DEFERRED_IF_LARGE:  # it is not searched for other records
            raise DamagedRecord(f"the record has more than {MAX_BLOCK} octets", Failure.TOO_LARGE)

    def _plain_block(self, record: Record, begin: int) -> None:
        """Reads a block. A length that is wrong may end where another record does: digest or content show it."""
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
        """Where the record after a block begins, or the file ends. Raises Broken if neither is there."""
        self._file.seek(end)
        octets = self._file.read(_LITTLE)
        match = _NEXT.match(octets) or (_LAST.match(octets) if end + len(octets) == self._size else None)
        if match is None and (padded := _PADDED.match(octets)) and self._is_padding(end + padded.end()):
            match = padded
        if match:
            return end + match.end()
        raise DamagedRecord("the block has another length than the record says: no record follows")

    def _resume(self, record: Record, error: DamagedRecord) -> None:
        """Notes what is wrong with a record, and finds the next one.

        It is looked for from within the broken one, since a wrong length may reach over others, and a member that was
        cut off runs into the next. Where that was done too often, it goes on where reading ended.
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
        """Reads of the header of a broken member what can be read."""
        if not record.url and (member := self._packed.member(record.start)):
            with suppress(DamagedRecord):
                _read_header(io.BufferedReader(member, _STEP), record)

    def _find(self, start: int) -> int:
        """Where the next record begins that looks like one; the size of the file if there is none."""
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
        """The same place, if what looks like a member unpacks to a record there; else where to look next."""
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
    """The moment that a field states (W3C-DTF, also of reduced precision); nothing if it states none."""
    text = (value or "").removesuffix("Z")
    text += "-01-01"[len(text) - 4 :] if len(text) in (4, 7) else ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _headers(stream: Unpacked) -> Iterator[bytes]:
    """The headers of records in a stream, up to where it breaks."""
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
    """Whether the header of a record stands in a block, behind the end of the HTTP answer if that says its length.

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
    """Where the HTTP answer in a block ends by its Content-Length; 0 if it does not say, or not within the block."""
    with suppress(DamagedRecord):
        head = stored_answer.read_head(block)
        lengths = {value for name, value in head.fields if name.lower() == b"content-length"}
        length = lengths.pop() if len(lengths) == 1 else b""
        if length.isdigit() and len(length) < 19 and head.begin + int(length) <= len(block):
            return head.begin + int(length)
    return 0


def _read_header(stream: Stream, record: Record, first: bytes = b"") -> None:
    """The version and the fields (ISO 28500:2017 4), as far as they can be read; behind the first line, if it is given.

    Raises Broken.
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
        raise DamagedRecord(f"no record of a known version begins here, but {lines[0][:20]!r}")
    if not record.type:
        raise DamagedRecord("the record has no WARC-Type")
    if differs:
        raise DamagedRecord(f"the record has two fields {differs.decode()} that differ")


def _url(target: bytes | None) -> str | None:
    """Without the angle brackets of WARC 1.0; if it is not UTF-8, its octets beyond ASCII are escaped."""
    if target is None:
        return None
    target = target.strip(b"<> ")
    try:
        return target.decode()
    except UnicodeDecodeError:
        return quote_from_bytes(target, safe=bytes(range(128)))


def _read_lines(stream: Stream, lines: list[bytes]) -> None:
    """The lines of a header, up to the empty one that ends it, or to one that is not a field. Raises Broken."""
    left = MAX_HEADER
    while (line := stream.readline(left)) not in (b"\r\n", b"\n") or not lines:
        left -= len(line)
        if not line.endswith(b"\n"):
            if left == 0:
                raise DamagedRecord(f"the header of the record is longer than {MAX_HEADER} octets")
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
