"""Walks sounds, videos and documents made of chunks to their XMP packets (XMP specification part 3, January 2020)."""

from __future__ import annotations

import zlib
from contextlib import suppress

from forbear.optout.readers import packet_scan
from forbear.optout.readers.errors import TooMuch, Unreadable
from forbear.optout.readers.octets import Octets
from forbear.optout.readers.packets import Budget, Packets
from forbear.optout.readers.text import human_size

MAX_PARTS = 50_000
"""How many chunks, blocks or objects a file may have."""
MAX_INFLATED = 1_048_576
"""Bytes that all compressed frames of a tag may inflate to: 1 MiB."""

_RIFF_XMP = (b"XMP ", b"XMP\0", b"_PMX")
_RIFF_FORMS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_UNKNOWN_SIZE = 0x7FFFFFFF
_STEP = 65_536


def riff(body: bytes, budget: Budget) -> Packets:
    """Yields the packet's own chunk, whose name old writers ended with a null byte (1.2.3, RFC 9649 2.7.1.5).

    The size of the whole is often too small, so the end of the file counts; what begins like no chunk is scanned.
    """
    octets = Octets(body, 4, order="big" if body.startswith(b"RIFX") else "little")
    whole = octets.number(4) + 8
    octets.at = 0
    for _ in range(MAX_PARTS):
        kind = body[octets.at : octets.at + 4]
        if octets.left < 8 or (min(kind) < 0x20 and kind not in _RIFF_XMP):
            break
        octets.at += 4
        length = octets.number(4)
        if kind in _RIFF_FORMS:
            octets.skip(4)
            continue
        # Who writes to a pipe does not know how long the sound is (RF64: ITU-R BS.2088).
        if length >= _UNKNOWN_SIZE and kind in (b"data", b"LIST"):
            break
        start = octets.skip(length)
        if kind in _RIFF_XMP:
            yield f"chunk {kind[:4].decode().strip(chr(0) + ' ')}", body[start : octets.at]
        elif kind == b"EXIF":  # of WebP, as in JPEG
            yield from packet_scan.packets(body, budget, start, octets.at)
        elif kind.lower() == b"id3 ":
            yield from id3(body, budget, start, octets.at)
        # Chunks begin at even bytes; some writers do not know.
        if length % 2 and octets.left and not body[octets.at]:
            octets.skip(1)
    else:
        raise _too_many("chunks")
    yield from packet_scan.packets(body, budget, octets.at)
    # Too small it does no harm; too large, the rest may have had a packet, which writers put behind the sound.
    begun = octets.left < 8 and body[octets.at :].strip(b"\0\r\n ")
    if begun or len(body) + 1 < whole < _UNKNOWN_SIZE:
        raise Unreadable(f"The file has {len(body)} bytes, and {whole} by its own header.")


def id3(body: bytes, budget: Budget, start: int = 0, end: int | None = None) -> Packets:
    """Yields the PRIV frame whose owner is XMP, of each tag at the beginning of a file (1.2.4, ID3v2.4 4.27).

    What follows the tags is FLAC, or scanned: their pictures are not the file.
    """
    octets = Octets(body, start, end)
    while body.startswith(b"ID3", octets.at) and octets.left >= 10:
        budget.frame()
        octets.skip(3)
        version, _, flags = octets.take(3)
        at = octets.skip(_synchsafe(octets.take(4)))
        if version > 2:  # 2.2 has no such frame
            yield from _frames(body[at : octets.at], version, flags, budget)
        octets.skip(10 if flags & 0x10 else 0)
    if body.startswith(b"fLaC", octets.at):
        yield from flac(body, budget, octets.at)
    else:
        yield from packet_scan.packets(body, budget, octets.at, octets.end)


def _frames(tag: bytes, version: int, flags: int, budget: Budget) -> Packets:
    """Yields the packets in a tag without its header (ID3v2.3 3.3, ID3v2.4 4)."""
    if flags & 0x80 and version == 3:
        tag = tag.replace(b"\xff\0", b"\xff")  # 3: unsynchronisation
    octets, inflates = Octets(tag), 0
    if flags & 0x40:
        size = octets.take(4)
        octets.skip(int.from_bytes(size) if version == 3 else _synchsafe(size) - 4)
    while octets.left >= 10 and tag[octets.at]:  # not padding
        budget.frame()
        kind, size, marks = octets.take(4), octets.take(4), octets.take(2)[1]
        start = octets.skip(_frame_size(tag, octets.at, size) if version == 4 else int.from_bytes(size))
        if marks & (0x80 if version == 3 else 0x08):
            length = _inflates_to(tag[start : octets.at], MAX_INFLATED - inflates)
            inflates += length
            if inflates > MAX_INFLATED:
                raise TooMuch(f"The tag has frames that inflate to more than {human_size(MAX_INFLATED)}.")
            budget.spend(length)
        if kind == b"PRIV":
            frame = _frame(tag[start : octets.at], version, marks, budget)
            if frame.startswith(b"XMP\0"):
                yield "frame PRIV", frame[4:]


def _frame_size(tag: bytes, at: int, size: bytes) -> int:
    """Returns a size of ID3v2.4, or the plain number that some writers put there instead."""
    synchsafe, plain = _synchsafe(size), int.from_bytes(size)
    if max(size) > 0x7F:
        return plain
    following = tag[at + synchsafe : at + synchsafe + 4]
    return synchsafe if not following.strip(b"\0") or following.isalnum() or at + plain > len(tag) else plain


def _frame(octets: bytes, version: int, marks: int, budget: Budget) -> bytes:
    """Returns the contents of a frame, by its format flags (ID3v2.3 3.3.1, ID3v2.4 4.1.2)."""
    compressed, encrypted, grouped, unsynchronised, measured = (
        (marks & 0x80, marks & 0x40, marks & 0x20, 0, marks & 0x80)
        if version == 3
        else (marks & 0x08, marks & 0x04, marks & 0x40, marks & 0x02, marks & 0x01)
    )
    if encrypted:
        raise Unreadable("The file has a private frame that is encrypted.")
    octets = octets[(4 if measured else 0) + (1 if grouped else 0) :]
    octets = octets.replace(b"\xff\0", b"\xff") if unsynchronised else octets
    return budget.inflated(octets) if compressed else octets


def _inflates_to(octets: bytes, most: int) -> int:
    """Returns how long a compressed frame is at least, damaged or not; a few bytes may precede its contents."""
    length = 0
    for start in range(6):
        inflater, rest = zlib.decompressobj(), octets[start:]
        with suppress(zlib.error):
            while rest and length <= most:
                length += len(inflater.decompress(rest, _STEP))
                rest = inflater.unconsumed_tail
            break
    return length


def _synchsafe(octets: bytes) -> int:
    """Returns a number of which each byte holds seven bits (ID3v2.4 6.2)."""
    number = 0
    for octet in octets:
        number = number << 7 | octet & 0x7F
    return number


def flac(body: bytes, budget: Budget, start: int = 0) -> Packets:
    """Yields packets found in the metadata blocks, except pictures, which are not the file (RFC 9639 8)."""
    octets = Octets(body, start + 4)
    for _ in range(MAX_PARTS):
        head = octets.number(1)
        at = octets.skip(octets.number(3))
        if head & 0x7F != 6:
            yield from packet_scan.packets(body, budget, at, octets.at)
        if head & 0x80:
            return
    raise _too_many("blocks")


_PAGE = 4_096
_OBJECT = bytes.fromhex("de39397951884b6c8e63eef8aee0dd38")


def indesign(body: bytes, budget: Budget) -> Packets:
    """Yields streams after the pages that are packets, but not those of placed pictures (1.3.1).

    The newer of two master pages says how many pages precede the streams. What is not a stream is scanned.
    """
    _, pages = max(
        (
            int.from_bytes(body[page + 264 : page + 272], "little"),
            int.from_bytes(body[page + 280 : page + 284], "little"),
        )
        for page in (0, _PAGE)
    )
    octets = Octets(body, order="little")
    octets.skip(max(pages, 2) * _PAGE)
    for _ in range(MAX_PARTS):
        if not body.startswith(_OBJECT, octets.at) and not _OBJECT.startswith(body[octets.at :] or b"\0"):
            yield from packet_scan.packets(body, budget, octets.at)
            return
        octets.skip(24)
        length = octets.number(4)
        octets.skip(4)
        start = octets.skip(length)
        if body.startswith(b"<?xpacket", start + 4):
            yield "stream", body[start + 4 : octets.at]
        octets.skip(32)
    raise _too_many("objects")


def _too_many(parts: str) -> TooMuch:
    return TooMuch(f"The file has more than {MAX_PARTS} {parts}.")
