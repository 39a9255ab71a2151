"""Hostile files, small to send and costly to read, one for each kind of reader."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

MIB = 1 << 20

_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"%s><dc:x>%s</dc:x></rdf:Description></rdf:RDF>'
    b"</x:xmpmeta>"
)


class Bomb(NamedTuple):
    """A hostile file with its type and the robots.txt of its site."""

    name: str
    kind: str
    make: Callable[[], bytes]
    robots: bytes = b""


def _chunk(name: bytes, octets: bytes) -> bytes:
    return struct.pack(">I", len(octets)) + name + octets + struct.pack(">I", zlib.crc32(name + octets))


def _png(*packets: bytes) -> bytes:
    texts = b"".join(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet, 9)) for packet in packets)
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + texts + _chunk(b"IDAT", zlib.compress(b"\0\0")) + _chunk(b"IEND", b"")


def _nested(levels: int, octets: int) -> bytes:
    return _XMP % (b"", b"<rdf:li>" * levels + "\U0001f600".encode() + b"a" * octets + b"</rdf:li>" * levels)


def _box(name: bytes, octets: bytes) -> bytes:
    return struct.pack(">I", 8 + len(octets)) + name + octets


def _movie() -> bytes:
    boxes = _box(b"free", bytes(60 * MIB)) + _box(b"meta", b"\0\0\0\0") * 1_000
    return _box(b"ftyp", b"isom\0\0\0\0isom") + boxes + _box(b"moov", b"")


def _pdf(*objects: bytes) -> bytes:
    out, places = b"%PDF-1.7\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj" % number + one + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return out + end % (len(places) + 1, table, len(places) + 1, len(out))


def _associated() -> bytes:
    data = zlib.compress(bytes(63 * MIB), 9)
    return _pdf(
        b"<</Type/Catalog/Pages 2 0 R/AF[" + b"3 0 R " * 1_000 + b"]>>",
        b"<</Type/Pages/Kids[5 0 R]/Count 1>>",
        b"<</Type/Filespec/AFRelationship/C2PA_Manifest/EF<</F 4 0 R>>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n" % len(data) + data + b"\nendstream",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    )


def _book() -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        with book.open("META-INF/container.xml", "w") as file:
            file.write(b"<a>")
            for _ in range(512):
                file.write(b" " * MIB)
    return octets.getvalue()


def _drawing(elements: int) -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg">' + b"<a/>" * elements


def _gzipped(octets: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(octets) + packer.flush()


def _page(unit: bytes, octets: int) -> Callable[[], bytes]:
    return lambda: b"<!doctype html><p>" + unit * (octets // len(unit))


_AGENTS = b"".join(b"User-agent: a%d\n" % number for number in range(1_500))
_RULES = b"".join(b"Disallow:/%d\n" % number for number in range(2_250))
_STARS = b"User-agent: *\n" + b"".join(b"Disallow:/*a*b%d*c\n" % number for number in range(24_000))

BOMBS = (
    Bomb("a page", "text/html", lambda: b"<!doctype html><title>t</title><p>text"),
    Bomb("PNG, XMP nested 200 deep, 7 MiB", "image/png", lambda: _png(_nested(200, 7 * MIB))),
    Bomb("PNG, 16 such packets", "image/png", lambda: _png(*[_nested(200, 7 * MIB)] * 16)),
    Bomb("PNG, XMP with 300,000 attributes", "image/png",
         lambda: _png(_XMP % (b"".join(b' a%d="1"' % number for number in range(300_000)), b""))),
    Bomb("PNG, XMP with 900,000 items", "image/png", lambda: _png(_XMP % (b"", b"<rdf:li/>" * 900_000))),
    Bomb("JPEG, 16 MiB of 0xFF", "image/jpeg", lambda: b"\xff\xd8" + b"\xff" * (16 * MIB)),
    Bomb("GIF, 8 million blocks", "image/gif",
         lambda: b"GIF89a" + bytes(7) + b"!\xff\x0bXMP DataXMP" + b"\1a" * (8 * MIB)),
    Bomb("MP4, 60 MiB, 1,000 meta boxes", "video/mp4", _movie),
    Bomb("PDF, 1,000 files of 63 MiB", "application/pdf", _associated),
    Bomb("PDF, arrays 4 million deep", "application/pdf",
         lambda: b"%PDF-1.7\n1 0 obj<</A " + b"[" * (4 * MIB) + b">>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"),
    Bomb("PDF, 600,000 objects, no table", "application/pdf",
         lambda: b"%PDF-1.7\n" + b"".join(b"%d 0 obj<<>>endobj\n" % number for number in range(600_000)) + b"%%EOF"),
    Bomb("EPUB, a file of 512 MiB", "application/epub+zip", _book),
    Bomb("SVG, 15 million elements, cut off", "image/svg+xml", lambda: _drawing(15 * MIB)),
    Bomb("XHTML, 10 MiB of elements", "application/xhtml+xml",
         lambda: b'<html xmlns="http://www.w3.org/1999/xhtml">tdm-' + b"<a/>" * (10 * MIB // 4) + b"</html>"),
    Bomb("RSS, 15 MiB of elements", "application/rss+xml",
         lambda: b'<rss xmlns:rsl="https://rslstandard.org/rsl">' + b"<a/>" * (15 * MIB // 4) + b"</rss>"),
    Bomb("sitemap, 48 KiB of gzip", "application/xml",
         lambda: _gzipped(b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">' + b"<a/>" * (12 * MIB))),
    Bomb("HTML, 10 MiB of unclosed elements", "text/html", _page(b"<a><p>", 10 * MIB)),
    Bomb("HTML, 10 MiB of tdm-", "text/html", _page(b"tdm-", 10 * MIB)),
    Bomb("HTML, 1 MiB of tables", "text/html", _page(b"<table><a>", MIB - 1_000)),
    Bomb("HTML, 1 MiB of drawings", "text/html", _page(b"tdm-<svg><desc>", MIB - 1_000)),
    Bomb("HTML, 1 MiB of words", "text/html", _page(b"no ai training ", MIB - 1_000)),
    Bomb("robots.txt, 1,500 names by 2,250 rules", "text/html", _page(b"text", 100), _AGENTS + _RULES),
    Bomb("robots.txt, 24,000 patterns", "text/html", _page(b"text", 100), _STARS),
)  # fmt: skip
