"""Finds and parses the XMP packets that a file carries about itself, once for all protocols that look into them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from forbear.optout.model import Capture
from forbear.optout.readers import bmff, container, images, media, packet_scan, pdf, xmp
from forbear.optout.readers.container import Container
from forbear.optout.readers.errors import TooMuch, Unreadable
from forbear.optout.readers.packets import MAX_PACKET, Budget, Packets
from forbear.optout.readers.text import human_size
from forbear.optout.readers.xml_events import MAX_TAGS

MAX_PACKETS = 1_000
"""How many packets a file may have; one is the rule."""
MAX_FAILURES = 16
"""How many of them may be unreadable before no more are read."""

_WALKS: dict[Container, Callable[[bytes, Budget], Packets]] = {
    Container.JPEG: images.jpeg,
    Container.PNG: images.png,
    Container.GIF: images.gif,
    Container.TIFF: images.tiff,
    Container.PSD: images.psd,
    Container.FLIF: images.flif,
    Container.BMFF: bmff.packets,
    Container.JPEG_XL: bmff.packets,
    Container.JPEG_2000: bmff.packets,
    Container.WEBP: media.riff,
    Container.RIFF: media.riff,
    Container.ID3: media.id3,
    Container.FLAC: media.flac,
    Container.INDESIGN: media.indesign,
    Container.POSTSCRIPT: packet_scan.packets,
    Container.BITMAP: packet_scan.packets,
    Container.BINARY: packet_scan.packets,
}
# What is neither a picture nor a PDF document, whatever it is called.
_UNKNOWN = frozenset({None, Container.BINARY, Container.ARCHIVE, Container.ZIP})
_END = re.compile(rb"</(?:[\w.-]+:)?svg\s*>\s*\Z")


class _BeyondLimits(Unreadable):
    """More packets than are read."""


@dataclass(slots=True)
class EmbeddedPackets:
    """The packets of a file in its order, and a sentence on each that could not be read, or may be missing."""

    packets: list[xmp.Packet] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    too_much: str = ""
    """Why the file is too much for any reader, or empty."""


def read(capture: Capture) -> EmbeddedPackets:
    """Returns what an answer carries; nothing if it is not a file that can."""
    embedded: EmbeddedPackets | None = capture.memo.get("embedded_xmp")
    if embedded is None:
        embedded = EmbeddedPackets()
        kind = container.of(capture)
        budget = Budget()
        is_broken = False
        try:
            for where, octets in _bounded(_packets(kind, capture, budget)):
                is_broken |= not packet_scan.may_be_whole(octets)
                _parse(octets, where, embedded, in_a_document=kind is Container.SVG)
        except Unreadable as error:
            embedded.failures.append(str(error))
            embedded.too_much = str(error) if isinstance(error, TooMuch) else ""
            is_broken = not isinstance(error, _BeyondLimits)
        if embedded.failures and is_broken and kind in _WALKS:
            _search(capture.body, embedded, budget)
        capture.memo["embedded_xmp"] = embedded  # not before: what fails in another way must fail again
    return embedded


def _bounded(packets: Packets) -> Packets:
    octets_read = tags = 0
    for number, (where, octets) in enumerate(packets):
        octets_read += len(octets)
        tags += octets.count(b"<") + octets.count(b"xmlns")  # each of which costs about as much
        if number == MAX_PACKETS or octets_read > MAX_PACKET or tags > MAX_TAGS:
            limits = f"{MAX_PACKETS} XMP packets, or {human_size(MAX_PACKET)} or {MAX_TAGS} tags in them"
            raise _BeyondLimits(f"The file has more than {limits}.")
        yield where, octets


def _parse(octets: bytes, where: str, embedded: EmbeddedPackets, *, in_a_document: bool) -> None:
    try:
        embedded.packets.append(xmp.parse(octets, where, in_a_document=in_a_document))
    except Unreadable as error:
        embedded.failures.append(f"The XMP packet in {where}: {error}")
        if len(embedded.failures) == MAX_FAILURES:
            raise _BeyondLimits("The file has more XMP packets that cannot be read.") from None


def _search(body: bytes, embedded: EmbeddedPackets, budget: Budget) -> None:
    """Adds the packets that can be seen in a broken file, whatever leads to them, if they say something new."""
    seen = EmbeddedPackets()
    try:
        for where, octets in _bounded(packet_scan.packets(body, budget)):
            _parse(octets, where, seen, in_a_document=False)
    except Unreadable:
        pass  # that something cannot be read is known
    known = {one for packet in embedded.packets for one in packet.statements}
    embedded.packets += [packet for packet in seen.packets if not packet.statements <= known]


def _packets(kind: Container | None, capture: Capture, budget: Budget) -> Packets:
    body = capture.body
    if kind is Container.PDF:
        if packet := pdf.packet(capture):
            yield "/Root/Metadata", packet
    elif kind is Container.SVG:
        yield from _drawing(xmp.utf8(body))
    elif kind is Container.XMP:
        yield "whole file", body
    elif kind in _WALKS:
        yield from _WALKS[kind](body, budget)
    if kind in _UNKNOWN and body.strip():
        if container.is_called_a_picture(capture):
            raise Unreadable("It is called a picture, and begins like no picture.")
        if container.is_called_a_pdf(capture):
            raise Unreadable("It is called a PDF document, and neither begins nor ends like one.")


def _drawing(source: bytes) -> Packets:
    """Yields the whole drawing, if it has an element of RDF: their names are written as they are (XML 1.0 3.1)."""
    if b"RDF" in source or b"Description" in source:
        yield "metadata", source
    elif not _END.search(source[-1024:]):
        if len(source) > MAX_PACKET:
            raise Unreadable(f"The drawing is cut off, or has more than {human_size(MAX_PACKET)}.")
        xmp.parse(source, "metadata", in_a_document=True)  # what is cut off may have had metadata
