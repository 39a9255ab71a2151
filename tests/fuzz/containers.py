"""Files of every container that carries metadata: what the fuzzer begins with, and which protocol reads them."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from unittest.mock import patch

from forbear.optout.model import Capture
from forbear.optout.readers import bmff, embedded_xmp, packets
from tests.fuzz import harness
from tests.line_counter import PER_OCTET, steps
from tests.optout import pictures
from tests.optout.manifests import signed, training

URL = "https://site.example/a/file"
_LEAST_STEPS = 200_000
_OF_OTHERS = ("pdf", "epub", "svg", "packet")
"""Containers that libraries read, or that are read whole."""
_XMP = pictures.packet()
_TDM = pictures.packet('xmlns:tdm="http://www.w3.org/ns/tdmrep/" tdm:reservation="1">')
_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
_GUID = b"0123456789ABCDEF0123456789ABCDEF"
_NAMES_MORE = pictures.packet(f'xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="{_GUID.decode()}">')
_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_WIDE = tuple(_XMP.decode().encode(coding) for coding in ("utf-16", "utf-16-be", "utf-32-le"))


def _book(*, compression: int) -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", compression) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/epub+zip")
        archive.writestr(
            zipfile.ZipInfo("META-INF/container.xml"),
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="a.opf"/></rootfiles></container>',
        )
        archive.writestr(
            zipfile.ZipInfo("a.opf"),
            '<package xmlns="http://www.idpf.org/2007/opf" prefix="tdm: http://www.w3.org/ns/tdmrep#"><metadata>'
            '<meta property="tdm:reservation">1</meta></metadata></package>',
        )
    return octets.getvalue()


FILES: dict[str, tuple[str, str, tuple[bytes, ...]]] = {
    "jpeg": ("iptc", "image/jpeg", (
        pictures.jpeg(pictures.main(_XMP)),
        pictures.jpeg(pictures.main(_NAMES_MORE), *pictures.extended(_XMP, _GUID)),
        pictures.jpeg() + _XMP,
    )),
    "png": ("iptc", "image/png", (
        pictures.png(pictures.text_chunk(_XMP)), pictures.png(pictures.text_chunk(_XMP, compressed=True)),
        pictures.png((b"tEXt", b"Raw profile type xmp\0\nxmp\n%8d\n" % len(_XMP) + _XMP.hex().encode()), behind=True),
    )),
    "gif": ("iptc", "image/gif", (pictures.gif(_XMP), pictures.gif(_XMP, in_blocks=True))),
    "webp": ("iptc", "image/webp", (pictures.picture("WEBP", xmp=_XMP),)),
    "tiff": ("iptc", "image/tiff", (
        pictures.tiff(_XMP), pictures.tiff(_WIDE[0], ">"), pictures.tiff(_XMP, ">", big=True),
    )),
    "bmff": ("iptc", "image/heic", (
        pictures.picture("AVIF", xmp=_XMP), *(pictures.heic(_XMP, version, version % 2) for version in range(3)),
        pictures.video(pictures.box(b"uuid", _UUID, _XMP)),
        pictures.video(moov=(pictures.box(b"udta", pictures.box(b"XMP_", _XMP)),)),
    )),
    "jpeg-xl": ("iptc", "image/jxl", (pictures.jxl(pictures.box(b"xml ", _XMP)),)),
    "jpeg-2000": ("iptc", "image/jp2", (pictures.jp2(pictures.box(b"uuid", _UUID, _XMP)),)),
    "psd": ("iptc", "image/vnd.adobe.photoshop", (pictures.psd(_XMP), pictures.psd(_XMP, large=True))),
    "flif": ("iptc", "image/flif", (pictures.flif(_XMP),)),
    "svg": ("iptc", "image/svg+xml", (pictures.svg(_XMP), pictures.svg(_XMP).decode().encode("utf-16"))),
    "pdf": ("tdmrep", "application/pdf", (pictures.document(_TDM), b"junk\r\n" + pictures.document(_TDM))),
    "epub": ("tdmrep", "application/epub+zip", (
        _book(compression=zipfile.ZIP_STORED), _book(compression=zipfile.ZIP_DEFLATED),
    )),
    "riff": ("iptc", "audio/wav", (
        pictures.riff(b"WAVE", (b"fmt ", bytes(16)), (b"_PMX", _XMP)),
        pictures.riff(b"AVI ", (b"LIST", b"INFO"), (b"_PMX", _XMP), size=9),
    )),
    "id3": ("iptc", "audio/mpeg", tuple(
        pictures.id3((b"PRIV", b"XMP\0" + _XMP, 0), version=version, flags=0x80) for version in (3, 4)
    )),
    "flac": ("iptc", "audio/flac", (pictures.flac((2, b"xmp " + _XMP)),)),
    "indesign": ("iptc", "application/x-indesign", (pictures.indesign(_XMP),)),
    "packet": ("iptc", "application/rdf+xml", (_XMP, *_WIDE)),
    "unknown": ("iptc", "application/octet-stream", tuple(
        b"\0\1KIND" + bytes(9) + signature + packet + b"\xff" * 9 for signature in (b"", _SIGNATURE)
        for packet in (_XMP, *_WIDE)
    )),
}  # fmt: skip
"""By the name of the container: the protocol, what the file is served as, and files that reserve something."""


def check(name: str, octets: bytes) -> None:
    """Checks a file as it is served, and under a type that says nothing; of one in eight, how much work it is."""
    protocol, media_type, _ = FILES[name]
    for served_as in (media_type, "application/octet-stream"):
        harness.check(protocol, written(octets, served_as))
    if name not in _OF_OTHERS and zlib.crc32(octets) % 8 == 0:
        check_work(octets)


def check_work(octets: bytes) -> None:
    """Checks that a file takes steps in proportion to its size, with limits that are in proportion to a small one."""
    capture = Capture(URL, 200, (), octets)
    with (
        patch.object(bmff, "MAX_BOXES", 1_000),
        patch.object(packets, "MAX_FRAMES", 1_000),
        patch.object(packets, "MAX_MARKS", 1_000),
        patch.object(packets, "MAX_PACKET", 65_536),
    ):
        taken = steps(lambda: embedded_xmp.read(capture))
    assert taken < _LEAST_STEPS + PER_OCTET * len(octets), taken


def inputs(name: str) -> tuple[bytes, ...]:
    """Returns the files that the fuzzer begins with."""
    return FILES[name][2]


def written(octets: bytes, media_type: str) -> bytes:
    """Returns an input of harness.check: a site whose only answer is the file."""
    return harness.written(URL, [Capture(URL, 200, (("Content-Type", media_type),), octets)])


def stores() -> Iterator[bytes]:
    """Returns inputs with manifest stores, in each kind of file that c2pa-python signs."""
    said = training({"cawg.ai_generative_training": "notAllowed"})
    book = _book(compression=zipfile.ZIP_STORED)
    files = (
        *((pictures.picture(kind), f"image/{kind.lower()}") for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF")),
        (pictures.svg(_XMP), "image/svg+xml"), (pictures.heic(_XMP), "image/heic"), (pictures.jxl(), "image/jxl"),
        (pictures.video(), "video/quicktime"), (pictures.video(brand=b"isom"), "video/mp4"),
        (pictures.riff(b"WAVE", (b"fmt ", bytes(16))), "audio/wav"), (pictures.riff(b"AVI "), "video/avi"),
        (pictures.id3((b"TIT2", b"\0tides", 0)), "audio/mpeg"), (pictures.flac(), "audio/flac"),
        (book, "application/epub+zip"),
    )  # fmt: skip
    for asset, media_type in files:
        yield written(signed(asset, said, media_type=media_type)[0], media_type)
