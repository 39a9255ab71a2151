"""The XMP packets that a file carries about itself, found and parsed once for all protocols that look into them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from optout import representation
from optout.model import Capture
from optout.readers import container, images, pdf, xml, xmp
from optout.readers.container import Container
from optout.readers.pdf import MAX_PACKET
from optout.readers.text import to_utf8
from optout.readers.unreadable import Unreadable

MAX_PACKETS = 16
"""How many packets a file may have; one is the rule."""

_END = re.compile(rb"</(?:[\w.-]+:)?svg\s*>\s*\Z")
_RDF = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@dataclass(slots=True)
class Embedded:
    """The packets of a file in its order, and a sentence on each that could not be read, or may be missing."""

    packets: list[xmp.Packet] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def read(capture: Capture) -> Embedded:
    """What an answer carries; nothing if it is no file that can."""
    embedded: Embedded | None = capture.memo.get("embedded_xmp")
    if embedded is None:
        embedded = capture.memo["embedded_xmp"] = _read(capture)
    return embedded


def _read(capture: Capture) -> Embedded:
    embedded = Embedded()
    kind = container.of(capture)
    try:
        for number, (where, octets) in enumerate(_packets(kind, capture)):
            if number == MAX_PACKETS:
                raise Unreadable(f"The file has more than {MAX_PACKETS} XMP packets.")
            try:
                if len(octets) > MAX_PACKET:
                    raise Unreadable(f"It has more than {MAX_PACKET} octets.")
                embedded.packets.append(xmp.parse(octets, where, in_a_document=kind is Container.SVG))
            except Unreadable as error:
                embedded.failures.append(f"The XMP packet in {where}: {error}")
    except Unreadable as error:
        embedded.failures.append(str(error))
    return embedded


def _packets(kind: Container | None, capture: Capture) -> Iterator[tuple[str, bytes]]:
    if kind is Container.PDF:
        if packet := pdf.packet(capture):
            yield "/Root/Metadata", packet
    elif kind is Container.SVG:
        source = to_utf8(capture.body)
        # A null octet is in no XML but one of wide characters, where the name is not to be found.
        if _RDF in source or b"\0" in source:
            yield "metadata", capture.body
        elif not _END.search(source[-1024:]):
            xml.parse(source)  # what is cut off may have had metadata
    elif kind is None and representation.of(capture).media_type in container.PICTURES and capture.body.strip():
        raise Unreadable(f"It is called {representation.of(capture).media_type}, and begins like no picture.")
    else:
        yield from images.packets(kind, capture.body)
