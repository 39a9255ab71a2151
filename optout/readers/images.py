"""Walks images to their XMP packets (XMP specification part 3, January 2020, 1.1): found, not decoded.

The containers are walked here and not by Pillow: it skips a packet that a TIFF file announces and does not
hold, it does not see the packets of GIF files, and its WebP and AVIF readers run native decoders on the whole image.
No picture is decoded and nothing but a packet is inflated, so that no image can be a bomb.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from forbear.optout.readers import packet_scan, xmp
from forbear.optout.readers.errors import TooMuch, Unreadable
from forbear.optout.readers.octets import Octets
from forbear.optout.readers.packets import MAX_PACKET, Budget, Packets
from forbear.optout.readers.text import readable

MAX_PARTS = 50_000
"""How many segments, chunks, resources or directories and fields an image may have."""
MAX_BLOCKS = 500_000
"""How many blocks and sub-blocks a GIF image may have; each has 255 bytes at most."""
MAX_SUBFILES = 1_000
"""How many subfiles a directory of a TIFF file may name. Their metadata are their own and not read."""

_JPEG_MAIN = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_MORE = b"http://ns.adobe.com/xmp/extension/\0"
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_FILL = re.compile(rb"\xff+")
_START_OF_SCAN, _END_OF_IMAGE, _APP1, APP11 = 0xDA, 0xD9, 0xE1, 0xEB


def jpeg(body: bytes, budget: Budget) -> Packets:
    """Yields packets of APP1 segments before the first scan, extended ones put together by GUID (1.1.3).

    What follows is scanned: cameras put further images and videos there, and some writers the packet.
    """
    named: set[bytes] = set()
    more: dict[bytes, list[tuple[int, int, int]]] = {}
    whole: dict[bytes, int] = {}
    octets = Octets(body, 2)
    for start, end in segments(octets, _APP1):
        if body.startswith(_JPEG_MAIN, start):
            packet = body[start + len(_JPEG_MAIN) : end]
            named.update(_named(packet))
            yield "segment APP1", packet
        elif body.startswith(_JPEG_MORE, start):
            part = Octets(body, start + len(_JPEG_MORE), end)
            guid = part.take(32).upper()
            whole[guid], offset = part.number(4), part.number(4)
            more.setdefault(guid, []).append((offset, part.at, end))
        else:  # Exif, in which Android puts it as TIFF files have it
            yield from packet_scan.packets(body, budget, start, end)
    # 1.1.3.1: extended XMP that the main packet does not name belongs to another version of the file.
    for guid in sorted(named):
        yield "segments APP1, extended", _extended(body, more.get(guid, []), whole.get(guid, 0), guid)
    yield from packet_scan.packets(body, budget, octets.at)


def segments(octets: Octets, wanted: int) -> Iterator[tuple[int, int]]:
    """Yields start and end of the contents of JPEG's segments of a kind before the first scan (ITU-T T.81 B.1.1)."""
    body = octets.source
    for _ in range(MAX_PARTS):
        fill = _JPEG_FILL.search(body, octets.at)
        octets.at = fill.end() if fill else octets.end
        marker = octets.number(1)
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        # A byte 0 is not a marker but data, where no data should be; decoders skip it.
        if marker and marker not in _JPEG_BARE:
            start = octets.skip(octets.number(2) - 2)
            if marker == wanted:
                yield start, octets.at
    raise _too_many("segments")


def _named(packet: bytes) -> Iterator[bytes]:
    """Yields the GUIDs of the extended packets that a main packet names."""
    if b"HasExtendedXMP" in packet.replace(b"\0", b""):
        try:
            for item in xmp.parse(packet, "").properties((xmp.NOTE,)):
                if item.name == "HasExtendedXMP":
                    yield item.value.upper().encode()
        except Unreadable:
            return  # and is found to be so where it is read


def _extended(body: bytes, parts: list[tuple[int, int, int]], whole: int, guid: bytes) -> bytes:
    """Returns the extended packet, of its parts: offset in it, start and end in the file."""
    length, places = 0, []
    for offset, start, end in sorted(parts):
        if offset == length:
            length += end - start
            places.append((start, end))
    if not length or length != whole or length > MAX_PACKET:
        raise Unreadable(f"The image names an extended XMP packet, {readable(guid)}, that is not whole, or too long.")
    return b"".join(body[slice(*place)] for place in places)


_PNG_KEYWORD = b"XML:com.adobe.xmp\0"
# ImageMagick has written packets so: name, number of bytes, hexadecimal digits.
_PNG_PROFILE = b"Raw profile type xmp\0"


def png(body: bytes, budget: Budget) -> Packets:
    """Yields packets of text chunks before and after the image data (1.1.5, PNG 11.3.3); scans what follows."""
    octets = Octets(body, 8)
    for _ in range(MAX_PARTS):
        length, kind = octets.number(4), octets.take(4)
        start = octets.skip(length)
        octets.skip(4)
        if kind in (b"IEND", b"MEND"):
            yield from packet_scan.packets(body, budget, octets.at)
            return
        if kind == b"eXIf":  # as in JPEG
            yield from packet_scan.packets(body, budget, start, start + length)
        text = body[start : start + length] if kind in (b"iTXt", b"tEXt", b"zTXt") else b""
        if kind == b"iTXt" and text.startswith(_PNG_KEYWORD):
            flags, rest = text[len(_PNG_KEYWORD) :][:2], text[len(_PNG_KEYWORD) + 2 :]
            parts = rest.split(b"\0", 2)
            if len(parts) < 3:
                raise Unreadable("The image has an XMP chunk that is not a text chunk.")
            yield "chunk iTXt", budget.inflated(parts[2]) if flags[0] else parts[2]
        elif kind != b"iTXt" and text.startswith((_PNG_KEYWORD, _PNG_PROFILE)):
            # A slip of writers: the packet is in UTF-8 and belongs into an international text chunk.
            written = text.partition(b"\0")[2]
            written = budget.inflated(written[1:]) if kind == b"zTXt" else written
            yield f"chunk {kind.decode()}", _profile(written) if text.startswith(_PNG_PROFILE) else written
    raise _too_many("chunks")


def _profile(written: bytes) -> bytes:
    try:
        _, _, digits = written.split(None, 2)
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        raise Unreadable("The image has a raw XMP profile that is not hexadecimal.") from None


_XMP_TAG, _C2PA_TAG, _SUBFILES = 700, 52_545, 330
# TIFF 6.0 section 2: the sizes of types other than bytes.
_SIZES = {3: 2, 4: 4, 8: 2, 9: 4}


def tiff(body: bytes, _budget: Budget) -> Packets:
    """Yields field 700 of each image file directory (1.1.8)."""
    for place, length in _fields(body, _XMP_TAG):
        yield "field 700", Octets(body, place).take(length)


def has_manifest_field(body: bytes) -> bool:
    """Returns whether a TIFF file has a C2PA manifest store (C2PA 2.2 A.3.5), or may have one where it is broken."""
    try:
        return body[2:4] in _TIFF_NUMBERS and any(True for _ in _fields(body, _C2PA_TAG))
    except Unreadable:
        return True


_TIFF_NUMBERS = (b"*\0", b"\0*", b"+\0", b"\0+")


def _fields(body: bytes, wanted: int) -> Iterator[tuple[int, int]]:
    """Yields start and length of the values of a field, in all directories (TIFF 6.0 section 2; BigTIFF)."""
    little, big = body[:2] == b"II", body[2:4] in _TIFF_NUMBERS[2:]
    octets = Octets(body, 8 if big else 4, order="little" if little else "big")
    word = 8 if big else 4
    field = struct.Struct(("<" if little else ">") + ("HHQQ" if big else "HHLL"))
    seen: set[int] = set()
    parts = 0
    while (at := octets.number(word)) and at not in seen:
        seen.add(at)
        octets.at = min(at, octets.end)
        count = octets.number(8 if big else 2)
        parts += 1 + count
        if parts > MAX_PARTS:
            raise _too_many("directories and fields")
        start = octets.skip(count * field.size)
        for number in range(count):
            tag, kind, length, place = field.unpack_from(body, start + number * field.size)
            if tag == _SUBFILES and length > MAX_SUBFILES:
                raise TooMuch(f"The image has more than {MAX_SUBFILES} subfiles.")
            if tag == wanted:
                size = length * _SIZES.get(kind, 1)
                yield (place if size > word else start + (number + 1) * field.size - word), size


_GIF_XMP = b"XMP DataXMP"
# 1.1.2: wherever a reader of sub-blocks enters this, it is led to its end.
_GIF_TRAILER = b"\x01" + bytes(range(0xFF, -1, -1)) + b"\0"

_WIDE = re.compile(rb"(?:%s)?(?:\xff\xfe|(?:\0\0)?\xfe\xff)?\0*(?:<\0|(?<=\0)<)" % re.escape(_JPEG_MAIN))


def gif(body: bytes, budget: Budget) -> Packets:
    """Yields the packet of the application extension: as it is or, by mistake, in sub-blocks (1.1.2)."""
    octets = Octets(body, 10)
    octets.skip(_colours(octets.number(1)) + 2)
    blocks = MAX_BLOCKS
    wide_end = 0
    while (introducer := octets.number(1)) != 0x3B:
        blocks -= 1
        if introducer == 0x2C:
            octets.skip(8)
            octets.skip(_colours(octets.number(1)) + 1)
        elif introducer != 0x21:
            raise Unreadable(f"The image has no block at octet {octets.at - 1}.")
        is_xmp = introducer == 0x21 and octets.take(1) == b"\xff" and body.startswith(_GIF_XMP, octets.at + 1)
        octets.skip(12 if is_xmp else 0)
        start = octets.at
        # Not so in UTF-16 and UTF-32, whose null bytes end a reader's way early.
        if is_xmp and wide_end >= 0 and _WIDE.match(body, start):
            wide_end = body.find(_GIF_TRAILER, start)
            octets.at = start if wide_end < 0 else wide_end + len(_GIF_TRAILER) - 1
        while length := octets.number(1):
            octets.skip(length)
            blocks -= 1
            if blocks < 0:
                break
        if blocks < 0:
            raise TooMuch(f"The image has more than {MAX_BLOCKS} blocks.")
        if is_xmp:
            written = body[start : octets.at]
            yield "extension XMP", written if written.endswith(_GIF_TRAILER) else sub_blocks(Octets(body, start))
    yield from packet_scan.packets(body, budget, octets.at)


def sub_blocks(octets: Octets) -> bytes:
    """Returns the contents of data sub-blocks (GIF89a 15)."""
    joined = bytearray()
    while octets.left and (length := octets.number(1)):
        joined += octets.take(min(length, octets.left))
    return bytes(joined)


def _colours(flags: int) -> int:
    """Returns the bytes of a colour table (GIF89a 18, 20)."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def psd(body: bytes, _budget: Budget) -> Packets:
    """Yields image resource 1060 (1.1.6, Adobe Photoshop File Formats Specification), not those of layers."""
    octets = Octets(body, 26)
    octets.skip(octets.number(4))
    length = octets.number(4)
    start = octets.skip(length)
    resources = Octets(body, start, octets.at)
    for _ in range(MAX_PARTS):
        if resources.left < 12:
            return
        resources.skip(4)  # 8BIM, and other words of other writers
        number, name = resources.number(2), resources.number(1)
        resources.skip(name + (name + 1) % 2)
        size = resources.number(4)
        start = resources.skip(size)
        resources.skip(min(size % 2, resources.left))
        if number == 1060:
            yield "resource 1060", body[start : start + size]
    raise _too_many("resources")


def flif(body: bytes, budget: Budget) -> Packets:
    """Yields the deflated metadata chunks before the first byte below 32 (FLIF 16, part 2)."""
    octets = Octets(body, 6)
    for _ in range(3 if body[4] > 0x4F else 2):
        _varint(octets)
    for _ in range(MAX_PARTS):
        if octets.number(1) < 0x20:
            return
        octets.at -= 1
        kind, length = octets.take(4), _varint(octets)
        start = octets.skip(length)
        if kind == b"eXmp":
            yield "chunk eXmp", budget.inflated(body[start : octets.at], -zlib.MAX_WBITS)
    raise _too_many("chunks")


def _varint(octets: Octets) -> int:
    number = 0
    for _ in range(8):
        octet = octets.number(1)
        number = number << 7 | octet & 0x7F
        if octet < 0x80:
            return number
    raise Unreadable("The image has a number of more than 8 octets.")


def _too_many(parts: str) -> TooMuch:
    return TooMuch(f"The image has more than {MAX_PARTS} {parts}.")
