"""Where images keep their XMP packets (XMP specification part 3, January 2020, 1.1): found, not decoded.

The containers are walked here and not by Pillow: it passes over a packet that a TIFF file announces and does not
hold, it does not see the packets of GIF files, and its WebP and AVIF readers run native decoders on the whole image.
No picture is decoded and nothing but a packet is inflated, so that no image can be a bomb.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator

from optout.readers import bmff
from optout.readers.container import Container
from optout.readers.octets import Octets
from optout.readers.pdf import MAX_PACKET
from optout.readers.text import readable
from optout.readers.unreadable import Unreadable

MAX_PARTS = 500_000
"""How many segments, chunks, blocks or fields an image may have."""

Packets = Iterator[tuple[str, bytes]]
"""Place and octets of each packet, in the order of the file. Raises Unreadable where one may be missing."""

_JPEG_MAIN = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_MORE = b"http://ns.adobe.com/xmp/extension/\0"
_HAS_MORE = re.compile(rb"HasExtendedXMP\s*(?:=\s*[\"']|>)\s*([^\s\"'<]{1,64})")
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1


def packets(container: Container | None, body: bytes) -> Packets:
    """The packets of an image; none for containers that are no images."""
    walk = _WALKS.get(container) if container else None
    return walk(body) if walk else iter(())


def _jpeg(body: bytes) -> Packets:
    """1.1.3: APP1 segments before the first scan; what does not fit into one is in further ones, by GUID."""
    named: set[bytes] = set()
    more: dict[bytes, dict[int, bytes]] = {}
    whole: dict[bytes, int] = {}
    for marker, segment in _segments(body):
        if marker != _APP1:
            continue
        if segment.startswith(_JPEG_MAIN):
            packet = segment[len(_JPEG_MAIN) :]
            named.update(guid.upper() for guid in _HAS_MORE.findall(packet))
            yield "segment APP1", packet
        elif segment.startswith(_JPEG_MORE):
            part = Octets(segment, len(_JPEG_MORE))
            guid = part.take(32).upper()
            whole[guid], offset = part.number(4), part.number(4)
            more.setdefault(guid, {})[offset] = part.take(part.left)
    # 1.1.3.1: extended XMP that the main packet does not name belongs to another version of the file.
    for guid in sorted(named):
        extended = bytearray()
        for offset, octets in sorted(more.get(guid, {}).items()):
            if offset == len(extended):
                extended += octets
        if not extended or len(extended) != whole[guid]:
            raise Unreadable(f"The image names an extended XMP packet, {readable(guid)}, that is not whole.")
        yield "segments APP1, extended", bytes(extended)


def _segments(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and contents of the segments before the first scan (ITU-T T.81 B.1.1)."""
    octets = Octets(body, 2)
    for _ in range(MAX_PARTS):
        at = body.find(b"\xff", octets.at)
        octets.at = len(body) if at < 0 else at + 1
        marker = octets.number(1)
        while marker == 0xFF:
            marker = octets.number(1)
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        # An octet 0 is no marker but data, where no data should be; decoders pass over it.
        if marker and marker not in _JPEG_BARE:
            yield marker, octets.take(octets.number(2) - 2)
    raise _too_many("segments")


_PNG_KEYWORD = b"XML:com.adobe.xmp\0"
# ImageMagick has written packets so: name, number of octets, hexadecimal digits.
_PNG_PROFILE = b"Raw profile type xmp\0"


def _png(body: bytes) -> Packets:
    """1.1.5 and PNG 11.3.3: text chunks, before and behind the image data."""
    octets = Octets(body, 8)
    for _ in range(MAX_PARTS):
        length, kind = octets.number(4), octets.take(4)
        start = octets.skip(length)
        octets.skip(4)
        if kind == b"IEND":
            return
        text = body[start : start + length] if kind in (b"iTXt", b"tEXt", b"zTXt") else b""
        if kind == b"iTXt" and text.startswith(_PNG_KEYWORD):
            flags, rest = text[len(_PNG_KEYWORD) :][:2], text[len(_PNG_KEYWORD) + 2 :]
            parts = rest.split(b"\0", 2)
            if len(parts) < 3:
                raise Unreadable("The image has an XMP chunk that is no text chunk.")
            yield "chunk iTXt", _inflated(parts[2]) if flags[0] else parts[2]
        elif kind != b"iTXt" and text.startswith((_PNG_KEYWORD, _PNG_PROFILE)):
            # A slip of writers: the packet is in UTF-8 and belongs into an international text chunk.
            written = text.partition(b"\0")[2]
            written = _inflated(written[1:]) if kind == b"zTXt" else written
            yield f"chunk {kind.decode()}", _profile(written) if text.startswith(_PNG_PROFILE) else written
    raise _too_many("chunks")


def _inflated(octets: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        packet = inflater.decompress(octets, MAX_PACKET + 1)
    except zlib.error as error:
        raise Unreadable(f"The image has an XMP packet that does not inflate: {error}.") from None
    if len(packet) > MAX_PACKET or not inflater.eof:
        raise Unreadable(f"The image has an XMP packet that is cut off, or longer than {MAX_PACKET} octets.")
    return packet


def _profile(written: bytes) -> bytes:
    try:
        _, _, digits = written.split(None, 2)
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        raise Unreadable("The image has a raw XMP profile that is no hexadecimal text.") from None


def _webp(body: bytes) -> Packets:
    """1.1.10 and RFC 9649 2.7.1.5: the XMP chunk; its name with a null octet is a slip of old writers."""
    octets = Octets(body, 4, "little")
    end = octets.number(4) + 8
    octets.skip(4)
    for _ in range(MAX_PARTS):
        if octets.at + 8 > end:
            return
        kind, length = octets.take(4), octets.number(4)
        start = octets.skip(length)
        octets.skip(min(length % 2, octets.left))
        if kind in (b"XMP ", b"XMP\0"):
            yield "chunk XMP", body[start : start + length]
    raise _too_many("chunks")


_XMP_TAG = 700


def _tiff(body: bytes) -> Packets:
    """1.1.8 and TIFF 6.0 section 2: field 700 of each image file directory, in both orders; BigTIFF too."""
    little, big = body[:2] == b"II", body[2:3] == b"+" or body[3:4] == b"+"
    octets = Octets(body, 8 if big else 4, "little" if little else "big")
    word = 8 if big else 4
    field = struct.Struct(("<" if little else ">") + ("HHQ8s" if big else "HHL4s"))
    seen: set[int] = set()
    fields = 0
    while (at := octets.number(word)) and at not in seen:
        seen.add(at)
        octets.at = min(at, len(body))
        count = octets.number(8 if big else 2)
        fields += count
        if fields > MAX_PARTS:
            raise _too_many("fields")
        for tag, _, length, value in field.iter_unpack(octets.take(count * field.size)):
            if tag == _XMP_TAG:
                place = int.from_bytes(value, "little" if little else "big")
                here = Octets(body, min(place, len(body)))
                yield "field 700", value[:length] if length <= word else here.take(length)


_GIF_XMP = b"XMP DataXMP"
# 1.1.2: wherever a reader of sub-blocks enters this, it is led to its end.
_GIF_TRAILER = b"\x01" + bytes(range(0xFF, -1, -1)) + b"\0"


def _gif(body: bytes) -> Packets:
    """1.1.2: the application extension; the packet stands in it as it is, or (a slip of writers) in sub-blocks."""
    octets = Octets(body, 10)
    octets.skip(_colours(octets.number(1)) + 2)
    while (introducer := octets.number(1)) != 0x3B:
        if introducer == 0x2C:
            octets.skip(8)
            octets.skip(_colours(octets.number(1)) + 1)
        elif introducer != 0x21:
            raise Unreadable(f"The image has no block at octet {octets.at - 1}.")
        is_xmp = introducer == 0x21 and octets.take(1) == b"\xff" and body[octets.at + 1 :][:11] == _GIF_XMP
        octets.skip(12 if is_xmp else 0)
        start = octets.at
        blocks = list(_sub_blocks(octets))
        if is_xmp:
            written = body[start : octets.at]
            whole = written.removesuffix(_GIF_TRAILER)
            yield "extension XMP", whole if whole != written else b"".join(body[slice(*block)] for block in blocks)


def _colours(flags: int) -> int:
    """The octets of a colour table (GIF89a 18, 20)."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _sub_blocks(octets: Octets) -> Iterator[tuple[int, int]]:
    """Start and end of each data sub-block (GIF89a 15)."""
    for _ in range(MAX_PARTS):
        length = octets.number(1)
        if not length:
            return
        start = octets.skip(length)
        yield start, start + length
    raise _too_many("sub-blocks")


def _too_many(parts: str) -> Unreadable:
    return Unreadable(f"The image has more than {MAX_PARTS} {parts}.")


_WALKS: dict[Container, Callable[[bytes], Packets]] = {
    Container.JPEG: _jpeg,
    Container.PNG: _png,
    Container.WEBP: _webp,
    Container.TIFF: _tiff,
    Container.GIF: _gif,
    Container.BMFF: bmff.packets,
}
