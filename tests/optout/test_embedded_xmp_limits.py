"""Files that are made to cost much: each is given up with a reason, in steps and memory in proportion to it."""

from __future__ import annotations

import importlib
import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import brotli
import pytest

from forbear.optout.model import Capture
from forbear.optout.readers import bmff, embedded_xmp, images, packets
from forbear.optout.readers.packets import MAX_PACKET
from tests.line_counter import PER_OCTET, steps
from tests.optout.pictures import (
    PROHIBITED,
    box,
    flac,
    flif,
    heic,
    id3,
    jpeg,
    jxl,
    main,
    packet,
    picture,
    png,
    read,
    riff,
    svg,
    text_chunk,
    tiff,
    values,
)

ROOT = Path(__file__).parents[2]
PACKET = packet()


def many_boxes() -> bytes:
    return box(b"ftyp", b"heic\0\0\0\0") + box(b"free") * 50_000


def chain_of_directories() -> bytes:
    """Directories that lie in each other, each two bytes further."""
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 60_000) * 400_000


def exif_items(octets: bytes, count: int) -> bytes:
    """A HEIC file with meta boxes that each name the same bytes as Exif."""
    file = heic(octets, 0, 0).replace(b"mime\0application/rdf+xml", b"Exif\0application/rdf+xml")
    return file + file[24 : file.index(b"mdat") - 4] * (count - 1)


OPENED = b"<rdf:RDF " * 900
BROKEN_FRAME = bytes(4) + zlib.compress(bytes(900_000))[:-6]
HOSTILE = [
    ("a bomb", png(text_chunk(b" " * (MAX_PACKET * 8), compressed=True))),
    ("bombs", png(*[text_chunk(b" " * MAX_PACKET, compressed=True)] * 40)),
    ("many packets", jpeg(*[main(b"<a/>")] * 1_001)),
    ("many broken packets", jpeg(*[main(b"<a>")] * 100)),
    ("many tags", jpeg(*[main(b"<a>" + b"<b/>" * 16_000 + b"</a>")] * 70)),
    ("many attributes", png(text_chunk(packet(" ".join(f'a{n}=""' for n in range(400_000)) + ">"), compressed=True))),
    ("many statements", png(text_chunk(packet(">" + "<plus:a>b</plus:a>" * 2_000)))),
    ("many values", png(text_chunk(packet("><plus:a>" + "<rdf:li>b</rdf:li>" * 2_000 + "</plus:a>")))),
    ("a long value", png(text_chunk(packet("><plus:a>" + "b" * 70_000 + "</plus:a>"), compressed=True))),
    ("long entities", svg(PACKET, b'<!DOCTYPE svg [<!ENTITY a "' + b"a" * 60_000 + b'">]>').replace(
        b"<path/>", b"<path>" + b"&a;" * 300 + b"</path>")),
    ("long attributes by default", svg(PACKET, b'<!DOCTYPE svg [<!ATTLIST path a CDATA "' + b"a" * 2_000 + b'">]>')),
    ("letters of RDF", bytes(9) + OPENED * 6),
    ("letters of RDF in many segments", jpeg(*[b"Exif\0\0" + OPENED] * 6)),
    ("letters of RDF in many chunks", png(*[(b"eXIf", OPENED)] * 6)),
    ("letters of RDF in chunks of WebP", riff(b"WEBP", *[(b"EXIF", OPENED)] * 6)),
    ("letters of RDF in blocks", flac(*[(4, OPENED)] * 6)),
    ("letters of RDF in items", exif_items(OPENED, 6)),
    ("the same octets in many items", exif_items(bytes(700_000), 12)),
    ("items in many boxes", exif_items(bytes(9), 17)),
    ("an item of extents without length", exif_items(b"", 2).replace(
        b"\x44\x40" + b"\0\2", b"\0\0" + b"\0\1" + struct.pack(">HHH", 7, 0, 65_535))),
    ("Brotli bombs in Exif", jxl(*[box(b"brob", b"Exif", brotli.compress(bytes(900_000), quality=1))] * 10)),
    ("tags whose frames inflate", id3((b"TXXX", bytes(4) + zlib.compress(bytes(900_000)), 0x80), behind=b"") * 10),
    ("many tags of ID3", id3(behind=b"") * 1_001),
    ("many frames in many tags", id3(*[(b"TIT2", b"", 0)] * 90, behind=b"") * 11),
    ("many frames in chunks", riff(b"WAVE", *[(b"id3 ", id3(*[(b"TIT2", b"", 0)] * 90, behind=b""))] * 11)),
    ("frames that inflate and break", id3(*[(b"TXXX", BROKEN_FRAME + b"\xff" * 6, 0x80)] * 3)),
    ("chunks that inflate", b"FLIF31\7\7" + flif(b" " * 900_000)[8:-8] * 10),
    ("a long namespace", png(text_chunk(packet(f"xmlns:l='{'u' * 99_999}'>" + "<l:a/>" * 9_999), compressed=True))),
    ("many names", png(text_chunk(packet(">" + "".join(f"<a{n}/>" for n in range(20_000))), compressed=True))),
    ("many attributes by default", svg(PACKET, b"<!DOCTYPE svg [<!ATTLIST path %s>]>" % b"".join(
        b"a%d CDATA '' " % n for n in range(2_000)))),
    ("subfiles", b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHLL", 330, 4, 2_000, 8) + bytes(8)),
    ("a Brotli bomb", jxl(box(b"brob", b"xml ", brotli.compress(bytes(MAX_PACKET + 9), quality=1)))),
    ("frames that inflate", id3(*[(b"TXXX", bytes(4) + zlib.compress(bytes(400_000)), 0x80)] * 3)),
    ("a huge packet", png(text_chunk(PACKET + b" " * MAX_PACKET))),
    ("many chunks", png(*[(b"tEXt", b"")] * 50_000)),
    ("many segments", jpeg(*[b""] * 50_000)),
    ("many directories", chain_of_directories()),
    ("many sub-blocks", picture("GIF")[:-1] + b"!\xfe" + b"\x01a" * 50_000),
    ("many boxes", many_boxes()),
    ("nested entities", svg(PACKET, b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 100) for n in range(9)) + b"]>").replace(
            b"<path/>", b"<path d='&j;'/>")),
    ("deep elements", jpeg(main(b"<a>" * 9_000))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body"), HOSTILE, ids=[what for what, _ in HOSTILE])
def test_hostile_file_is_given_up(what, body, monkeypatch):
    monkeypatch.setattr(images, "MAX_BLOCKS", 20_000)  # the same is shown sooner
    monkeypatch.setattr(bmff, "MAX_BOXES", 20_000)
    monkeypatch.setattr(packets, "MAX_MARKS", 5_000)
    monkeypatch.setattr(packets, "MAX_FRAMES", 1_000)
    monkeypatch.setattr(packets, "MAX_PACKET", MAX_PACKET // 4)
    found = read(body)
    assert values(found) == []
    assert 1 <= len(found.failures) <= embedded_xmp.MAX_FAILURES + 1
    assert steps(lambda: read(body)) < PER_OCTET * len(body)


def test_a_directory_that_leads_to_itself_is_read_once():
    """The second directory's pointer to a third names the second: TIFF 6.0 section 2."""
    whole = bytearray(tiff(PACKET))
    second = whole[22:26]
    assert int.from_bytes(second, "little") == 26
    whole[40:44] = second
    assert values(read(bytes(whole))) == [PROHIBITED]


def test_packets_are_parsed_once():
    capture = Capture("https://lens.example/1", 200, (), jpeg(main(PACKET)))
    assert embedded_xmp.read(capture) is embedded_xmp.read(capture)


LIMITS = re.findall(
    r"^\| .*? \| ([\d,]+)( MiB)? \| `(\w+)\.(\w+)` \|$",
    (ROOT / "docs/reference/containers.md").read_text(encoding="utf-8"),
    re.M,
)


@pytest.mark.parametrize(("number", "unit", "module", "constant"), LIMITS, ids=[limit[3] for limit in LIMITS])
def test_page_shows_the_limits_as_they_are(number, unit, module, constant):
    value = getattr(importlib.import_module(f"forbear.optout.readers.{module}"), constant)
    assert value == int(number.replace(",", "")) << (20 if unit else 0)
    assert len(LIMITS) == 37


def test_nested_items_cost_their_text_once():
    """Each level that keeps its own copy of the text takes gigabytes for a picture of some kilobytes."""
    text = "\U0001f600" + "a" * 1_000_000
    xmp = packet(f"><plus:Licensor>{'<rdf:li>' * 200}{text[:60_000]}{'</rdf:li>' * 200}</plus:Licensor>").replace(
        b"</rdf:RDF>", f"<dc:x xmlns:dc='d'>{'<rdf:li>' * 200}{text}{'</rdf:li>' * 200}</dc:x></rdf:RDF>".encode()
    )
    body = png(text_chunk(xmp, compressed=True))
    tracemalloc.start()
    try:
        assert read(body).failures == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(xmp)
