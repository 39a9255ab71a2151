"""ISO base media files (ISO/IEC 14496-12:2022): where AVIF, HEIC and MP4 files keep their XMP packets."""

from __future__ import annotations

from collections.abc import Iterator

from optout.readers.octets import Octets
from optout.readers.pdf import MAX_PACKET
from optout.readers.unreadable import Unreadable

MAX_BOXES = 100_000
"""How many boxes or items a file may have at one level."""
MAX_ITEMS = 16
"""How many of its items may be XMP packets."""

_XMP_TYPE = b"application/rdf+xml"
# XMP specification part 3, 2020, 1.3: the box of videos.
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def packets(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Place and octets of each packet: items of type ``mime`` (8.11.6, ISO/IEC 23008-12 A.3), and XMP's own box.

    Raises Unreadable.
    """
    said = False
    for kind, start, end in _boxes(body, 0, len(body)):
        said |= kind in (b"meta", b"moov", b"moof")
        if kind == b"meta":
            yield from _items(body, start + 4, end)
        elif kind == b"uuid" and body[start : start + 16] == _XMP_UUID:
            yield "box uuid (XMP)", body[start + 16 : end]
    if not said:
        raise Unreadable("The file ends before it says what is in it.")


def _boxes(body: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the contents of each box (4.2)."""
    octets = Octets(body[:end] if end < len(body) else body, start)
    for _ in range(MAX_BOXES):
        if octets.left <= 0:
            return
        begin = octets.at
        size, kind = octets.number(4), octets.take(4)
        if size == 1:
            size = octets.number(8)
        elif size == 0:
            size = end - begin
        contents = octets.at
        octets.skip(size - (contents - begin))
        yield kind, contents, octets.at
    raise Unreadable(f"The file has more than {MAX_BOXES} boxes at one level.")


def _items(body: bytes, start: int, end: int) -> Iterator[tuple[str, bytes]]:
    """The packets among the items of a meta box (8.11.1), by its item information and item location boxes."""
    boxes = {kind: (at, until) for kind, at, until in _boxes(body, start, end)}
    if b"iinf" not in boxes:
        return
    wanted = list(dict.fromkeys(_xmp_items(body, *boxes[b"iinf"])))
    if not wanted:
        return
    if len(wanted) > MAX_ITEMS:
        raise Unreadable(f"The file has more than {MAX_ITEMS} XMP packets.")
    if b"iloc" not in boxes:
        raise Unreadable("The file names an XMP packet and does not say where it is.")
    at, until = boxes.get(b"idat", (0, 0))
    located = _located(body[slice(*boxes[b"iloc"])], frozenset(wanted), body, body[at:until])
    for item in wanted:
        if item not in located:
            raise Unreadable(f"The file names an XMP packet, item {item}, and does not say where it is.")
        yield f"item {item}", located[item]


def _xmp_items(body: bytes, start: int, end: int) -> Iterator[int]:
    """8.11.6: the numbers of the items that are XMP packets."""
    version_of_list = Octets(body[start:end]).number(1)
    for kind, at, until in _boxes(body, start + (8 if version_of_list else 6), end):
        entry = Octets(body[at:until])
        version = entry.number(1)
        if kind != b"infe" or version < 2:
            continue
        entry.skip(3)
        item = entry.number(2 if version == 2 else 4)
        entry.skip(2)
        if entry.take(4) == b"mime":
            _, content_type, encoding, *_ = *entry.take(entry.left).split(b"\0"), b"", b""
            if content_type.strip().lower() == _XMP_TYPE:
                if encoding:
                    raise Unreadable(f"The file has an XMP packet in an encoding that is not read, item {item}.")
                yield item


def _located(iloc: bytes, wanted: frozenset[int], body: bytes, idat: bytes) -> dict[int, bytes]:
    """8.11.3: the octets of the items that are wanted."""
    octets = Octets(iloc)
    version = octets.number(1)
    octets.skip(3)
    sizes = octets.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    wide = 4 if version == 2 else 2
    count = octets.number(wide)
    if version > 2 or count > MAX_BOXES:
        raise Unreadable("The file has an item location box that is not read.")
    found: dict[int, bytes] = {}
    for _ in range(count):
        item = octets.number(wide)
        method = octets.number(2) & 15 if version else 0
        elsewhere = octets.number(2)
        base = octets.number(base_size)
        extents = octets.number(2)
        if item not in wanted:
            octets.skip(extents * (index_size + offset_size + length_size))
            continue
        if method > 1 or elsewhere or item in found:
            raise Unreadable(f"The file has an XMP packet in a place that is not read, item {item}.")
        source = idat if method else body
        packet = bytearray()
        for _ in range(extents):
            octets.skip(index_size)
            part = Octets(source, min(base + octets.number(offset_size), len(source)))
            # 8.11.3.3: without a length, all there is.
            packet += part.take(octets.number(length_size) or part.left)
            if len(packet) > MAX_PACKET:
                raise Unreadable(f"The file has an XMP packet of more than {MAX_PACKET} octets.")
        found[item] = bytes(packet)
    return found
