"""Checks the cost of a C2PA manifest store before the reader gets it.

c2pa-rs makes a value of some 80 bytes of each item of CBOR, and JSON from that: 1 MiB of CBOR takes 230 MiB and half a
second. Thumbnails are not in CBOR, so real stores have at most some 100 KiB of it. Boxes are counted wherever in a file
they are, once what the container cuts into pieces is put together: more may be counted than is read, never less.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict
from collections.abc import Iterator

from forbear.optout.readers import bmff, epub, images
from forbear.optout.readers.container import Container
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.octets import Octets
from forbear.optout.readers.text import human_size, to_utf8

MAX_CBOR = 1_048_576
"""Bytes of all CBOR and JSON boxes of a store together: 1 MiB."""
MAX_BOXES = 20_000
"""How many boxes an ISO base media file may have that has a store, and how many a store itself."""
MAX_STORE = 16_777_216
"""Bytes of the stores of a document or archive together, when inflated: 16 MiB."""

_TYPES = re.compile(rb"cbor|json|jumd(?:c2cm)?")
_COMPRESSED = b"jumdc2cm"
_IN_DRAWING = re.compile(rb"<c2pa:manifest[^>]*>([^<]*)")
_IN_ARCHIVE = b"content_credential.c2pa"


def check(kind: Container | None, body: bytes) -> None:
    """Raises Unreadable if a file, or a store by itself, has more than the reader should be given."""
    if kind is Container.BMFF and bmff.has_more_boxes(body, MAX_BOXES):
        raise Unreadable(f"The file has more than {MAX_BOXES} boxes.")
    for octets in _stores(kind, body):
        total = 0
        for number, match in enumerate(_TYPES.finditer(octets)):
            at = match.start()
            size = int.from_bytes(octets[at - 4 : at]) if at >= 4 else 0
            size = (
                0
                if match[0] == b"jumd"
                else len(octets) - at
                if size == 0
                else int.from_bytes(octets[at + 4 : at + 12])
                if size == 1
                else size
            )
            # 11.2.4: a compressed manifest may be as long as the reader's settings let it.
            total += MAX_CBOR // 2 if match[0] == _COMPRESSED else size if size <= len(octets) - at + 4 else 0
            if total > MAX_CBOR or number == MAX_BOXES:
                raise Unreadable(f"The manifest store has more than {human_size(MAX_CBOR)} of CBOR.")


def _stores(kind: Container | None, body: bytes) -> Iterator[bytes]:
    """Yields bytes in which the boxes of a store are whole."""
    if kind is Container.JPEG:  # 11.4: the pieces of a store have a number in common
        pieces: dict[bytes, list[bytes]] = defaultdict(list)
        for start, end in images.segments(Octets(body, 2), images.APP11):
            pieces[body[start + 2 : start + 4]].append(body[start + 16 : end])
        yield from map(b"".join, pieces.values())
    elif kind is Container.GIF:
        for match in re.finditer(rb"C2PA_GIF...", body, re.DOTALL):
            yield images.sub_blocks(Octets(body, match.end()))
    elif kind is Container.SVG:
        for match in _IN_DRAWING.finditer(to_utf8(body)):
            try:
                yield base64.b64decode(match[1])
            except binascii.Error:
                continue  # only a store can be too large
    elif kind in (Container.ZIP, Container.EPUB):
        yield from _in_archive(body)
    else:
        yield body
        if kind is Container.ID3 and b"\xff\0" in body:  # unsynchronisation
            yield body.replace(b"\xff\0", b"\xff")


def _in_archive(body: bytes) -> Iterator[bytes]:
    try:
        with epub.opened(body) as archive:
            for each in archive.infolist():
                if each.filename.encode().endswith(_IN_ARCHIVE):
                    with archive.open(each) as file:
                        octets = file.read(MAX_STORE + 1)
                    if len(octets) > MAX_STORE:
                        raise Unreadable(f"The manifest store has more than {human_size(MAX_STORE)}.")
                    yield octets
    except epub.BROKEN as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"The archive cannot be unpacked: {error}.") from None
