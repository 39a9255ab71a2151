"""Walks files made of boxes to their XMP packets: ISO base media (ISO/IEC 14496-12:2022), JPEG XL and JPEG 2000."""

from __future__ import annotations

from collections.abc import Iterator

import brotli

from forbear.optout.readers import packet_scan
from forbear.optout.readers.errors import TooMuch, Unreadable
from forbear.optout.readers.octets import Octets
from forbear.optout.readers.packets import Budget, Packets

MAX_BOXES = 100_000
"""How many boxes and items a file may have, at all levels together."""
MAX_PACKET_ITEMS = 16
"""How many items of a file may be XMP packets or Exif."""
MAX_NESTED = 16
"""How deep boxes may be nested."""

_XMP_TYPE = b"application/rdf+xml"
# XMP specification part 3, 2020, 1.3: the box of videos and of JPEG 2000.
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
# What may hold the packet of the whole file: QuickTime has it in moov/udta, JPEG 2000 lets boxes be associated.
_HOLDERS = frozenset({b"moov", b"udta", b"trak", b"asoc"})
_CONTENTS = frozenset({b"meta", b"moov", b"moof", b"jp2c", b"jxlc", b"jxlp"})


def packets(body: bytes, budget: Budget) -> Packets:
    """Yields the packets of a file: boxes of XMP's own, and items of type ``mime`` (8.11.6, ISO/IEC 23008-12 A.3)."""
    walk = _Walk(body, budget)
    yield from walk.within(0, len(body), 0)
    if not walk.has_contents:
        raise Unreadable("The file ends before it says what is in it.")


_NATIVE = frozenset(
    b"moov trak mdia minf stbl moof traf edts udta dinf tref treg mvex mfra meta schi".split(),
)


def has_more_boxes(body: bytes, most: int) -> bool:
    """Returns whether a reader that enters every box would visit more than this many."""
    ends, at, count = [len(body)], 0, 0
    while ends:
        size, kind = int.from_bytes(body[at : at + 4]), body[at + 4 : at + 8]
        size = int.from_bytes(body[at + 8 : at + 16]) if size == 1 else size
        if at + 8 > ends[-1] or not size:
            at = ends.pop()
            continue
        count += 1
        if count > most:
            return True
        if kind in _NATIVE:
            ends.append(min(at + size, ends[-1]))
            is_full = kind == b"meta" and not body[at + 8 : at + 12].strip(b"\0")
            at += 12 if is_full else 8
        else:
            at += size
    return False


class _Walk:
    def __init__(self, body: bytes, budget: Budget) -> None:
        self.has_contents = False
        self._body = body
        self._budget = budget
        self._left = MAX_BOXES
        self._items_left = MAX_PACKET_ITEMS

    def within(self, start: int, end: int, depth: int) -> Packets:
        """Yields the packets between two positions, in boxes and behind the last of them."""
        if depth > MAX_NESTED:
            raise TooMuch(f"The file has boxes nested more than {MAX_NESTED} levels deep.")
        body = self._body
        for kind, at, until in self._boxes(start, end):
            self.has_contents |= kind in _CONTENTS
            if kind in _HOLDERS:
                yield from self.within(at, until, depth + 1)
            elif kind == b"meta":
                yield from self._items(at, until)
            elif kind == b"uuid" and body.startswith(_XMP_UUID, at):
                yield "box uuid (XMP)", body[at + 16 : until]
            elif kind == b"XMP_" or (kind == b"xml " and packet_scan.mentions_rdf(body, at, until)):
                yield f"box {kind.decode()}".rstrip(), body[at:until]
            elif kind == b"brob":
                yield from _packed(body[at : at + 4], body[at + 4 : until], self._budget)
            elif kind in (b"Exif", b""):
                yield from packet_scan.packets(body, self._budget, at, until)

    def _boxes(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Yields type, start and end of the contents of each box (4.2); what follows the last one has no type."""
        octets = Octets(self._body, start, end)
        while octets.left:
            self._count(1)
            begin = octets.at
            head = self._body[begin : min(begin + 8, octets.end)]
            # No box begins so: padding, or what somebody added.
            if min(head[4:8], default=0) < 0x20 and (len(head) == 8 or head[0] or head[:4] == bytes(4)):
                yield b"", begin, end
                return
            size, kind = octets.number(4), octets.take(4)
            if size == 1:
                size = octets.number(8)
            elif size == 0:
                size = octets.end - begin
            contents = octets.at
            octets.skip(size - (contents - begin))
            yield kind, contents, octets.at

    def _items(self, start: int, end: int) -> Packets:
        """Yields the packets among the items of a meta box (8.11.1), by its item information and item locations."""
        # QuickTime's meta box has no version and flags.
        start += 0 if self._body[start : start + 4].strip(b"\0") else 4
        boxes = {kind: (at, until) for kind, at, until in self._boxes(start, end)}
        if b"xml " in boxes and packet_scan.mentions_rdf(self._body, *boxes[b"xml "]):
            yield "box xml", self._body[slice(*boxes[b"xml "])]
        kinds = dict(self._metadata_items(*boxes[b"iinf"])) if b"iinf" in boxes else {}
        wanted = [item for item, kind in kinds.items() if kind == b"mime"]
        self._items_left -= len(kinds)
        if self._items_left < 0:
            raise TooMuch(f"The file has more than {MAX_PACKET_ITEMS} items of metadata.")
        located = self._places(wanted, boxes)
        for item in wanted:
            if item not in located:
                raise Unreadable(f"The file names a packet of metadata, item {item}, and does not say where it is.")
            yield f"item {item}", self._joined(located[item])
        try:
            located = self._places([item for item in kinds if item not in wanted], boxes)
        except TooMuch:
            raise
        except Unreadable:
            return  # Exif need not be where the file says
        for places in located.values():  # as in JPEG
            yield from packet_scan.packets(self._joined(places), self._budget)

    def _joined(self, places: list[tuple[int, int]]) -> bytes:
        self._budget.spend(sum(until - at for at, until in places))
        return b"".join(self._body[slice(*place)] for place in places)

    def _places(self, items: list[int], boxes: dict[bytes, tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
        if not items:
            return {}
        at, until = boxes.get(b"iloc", (0, 0))
        return self._located(Octets(self._body, at, until), frozenset(items), boxes.get(b"idat", (0, 0)))

    def _metadata_items(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yields numbers and types of the items that are XMP packets or Exif (8.11.6, ISO/IEC 23008-12 A.2)."""
        version_of_list = Octets(self._body, start, end).number(1)
        for kind, at, until in self._boxes(start + (8 if version_of_list else 6), end):
            entry = Octets(self._body, at, until)
            if kind != b"infe" or (version := entry.number(1)) < 2:
                continue
            entry.skip(3)
            item = entry.number(2 if version == 2 else 4)
            entry.skip(2)
            item_type = entry.take(4)
            if item_type == b"Exif":
                yield item, item_type
            elif item_type == b"mime":
                _, content_type, encoding, *_ = *entry.take(entry.left).split(b"\0"), b"", b""
                if content_type.strip().lower() == _XMP_TYPE:
                    if encoding:
                        raise Unreadable(f"The file has an XMP packet in an encoding that is not read, item {item}.")
                    yield item, item_type

    def _located(
        self, octets: Octets, wanted: frozenset[int], idat: tuple[int, int]
    ) -> dict[int, list[tuple[int, int]]]:
        """Returns the positions of the extents of the wanted items (8.11.3)."""
        if not octets.left:
            return {}
        version = octets.number(1)
        octets.skip(3)
        sizes = octets.number(2)
        offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_size = sizes & 15 if version else 0
        wide = 4 if version == 2 else 2
        count = octets.number(wide)
        self._count(count)
        if version > 2:
            raise Unreadable("The file has an item location box that is not read.")
        found: dict[int, list[tuple[int, int]]] = {}
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
            begin, end = idat if method else (0, len(self._body))
            found[item] = []
            self._count(extents)
            for _ in range(extents):
                octets.skip(index_size)
                part = Octets(self._body, begin + base + octets.number(offset_size), end)
                # 8.11.3.3: without a length, all there is.
                length = octets.number(length_size) or part.left
                found[item].append((part.skip(length), part.at))
        return found

    def _count(self, parts: int) -> None:
        self._left -= parts
        if self._left < 0:
            raise TooMuch(f"The file has more than {MAX_BOXES} boxes and items.")


def _packed(kind: bytes, packed: bytes, budget: Budget) -> Packets:
    if kind == b"xml ":
        yield "box brob (xml)", _unpacked(packed, budget)
    elif kind == b"Exif":
        yield from packet_scan.packets(_unpacked(packed, budget), budget)


def _unpacked(packed: bytes, budget: Budget) -> bytes:
    """Returns the contents of a box that is compressed with Brotli (ISO/IEC 18181-2 9.3, RFC 7932)."""
    stream = brotli.Decompressor()
    packet = bytearray()
    try:
        packet += stream.process(packed, output_buffer_limit=budget.most)
        while not stream.is_finished() and len(packet) < budget.most:
            more = stream.process(b"", output_buffer_limit=budget.most)
            if not more:
                break
            packet += more
    except brotli.error as error:
        raise Unreadable(f"The file has an XMP packet that does not inflate: {error}.") from None
    budget.spend(len(packet))
    if not stream.is_finished():
        raise Unreadable("The file has an XMP packet that is cut off.")
    return bytes(packet)
