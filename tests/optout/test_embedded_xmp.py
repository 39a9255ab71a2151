"""XMP packets out of every container (XMP specification part 3, January 2020): whole, torn and hostile ones."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optout.model import Capture
from optout.readers import bmff, embedded_xmp, images
from optout.readers.pdf import MAX_PACKET
from tests.optout.pictures import (
    PROHIBITED,
    box,
    document,
    extended,
    gif,
    heic,
    jpeg,
    main,
    packet,
    picture,
    png,
    svg,
    text_chunk,
    tiff,
)
from tests.steps import PER_OCTET, steps

PACKET = packet()
GUID = b"0123456789ABCDEF0123456789ABCDEF"
NAMES_MORE = packet(f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{GUID.decode()}">')
NAMES_MORE_BELOW = packet(
    f'xmlns:n="http://ns.adobe.com/xmp/note/"><n:HasExtendedXMP> {GUID.decode()}\n</n:HasExtendedXMP>'
)
PROFILE = b"\nxmp\n%8d\n" % len(PACKET) + PACKET.hex().encode()
ILLUSTRATOR = (
    b'<?xml version="1.0"?><!-- a --><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x" [ <!ENTITY a "b"> ]>\n'
)
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def read(body: bytes, media_type: str = "application/octet-stream") -> embedded_xmp.Embedded:
    return embedded_xmp.read(Capture("https://lens.example/1", 200, (("Content-Type", media_type),), body))


def values(found: embedded_xmp.Embedded) -> list[str]:
    properties = [item for one in found.packets for item in one.properties(("http://ns.useplus.org/ldf/xmp/1.0/",))]
    return [item.value for item in properties]


FILES = [
    # section, file
    ("1.1.3, as Pillow writes it", picture("JPEG", xmp=PACKET)),
    ("1.1.3, progressive", picture("JPEG", xmp=PACKET, progressive=True)),
    ("1.1.3, behind an Exif segment", jpeg(b"Exif\0\0" + bytes(20), main(PACKET))),
    ("T.81 B.1.1.2, fill octets", jpeg(main(PACKET)).replace(b"\xff\xe1", b"\xff\xff\xff\xe1", 1)),
    ("1.1.3.1, extended", jpeg(main(NAMES_MORE), *extended(PACKET, GUID))),
    ("1.1.3.1, named in an element", jpeg(main(NAMES_MORE_BELOW), *extended(PACKET, GUID))),
    ("1.1.3.1, parts in another order", jpeg(*reversed(extended(PACKET, GUID)), main(NAMES_MORE))),
    ("1.1.5", png(text_chunk(PACKET))),
    ("1.1.5, behind the image data", png(text_chunk(PACKET), behind=True)),
    ("1.1.5, compressed", png(text_chunk(PACKET, compressed=True))),
    ("1.1.5, compressed, behind the image data", png(text_chunk(PACKET, compressed=True), behind=True)),
    ("1.1.5, in a text chunk of another kind", png((b"tEXt", b"XML:com.adobe.xmp\0" + PACKET))),
    ("1.1.5, in a text chunk of another kind", png((b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(PACKET)))),
    ("ImageMagick", png((b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(PROFILE)))),
    ("ImageMagick", png((b"tEXt", b"Raw profile type xmp\0" + PROFILE))),
    ("1.1.10, as Pillow writes it", picture("WEBP", xmp=PACKET)),
    ("1.1.10, lossless", picture("WEBP", xmp=PACKET, lossless=True)),
    ("1.1.10, a slip of old writers", picture("WEBP", xmp=PACKET).replace(b"XMP ", b"XMP\0")),
    ("1.1.8, as Pillow writes it", picture("TIFF", tiffinfo={700: PACKET})),
    ("1.1.8, BigTIFF by Pillow", picture("TIFF", tiffinfo={700: PACKET}, big_tiff=True)),
    ("1.1.8, II", tiff(PACKET, "<")),
    ("1.1.8, MM", tiff(PACKET, ">")),
    ("1.1.8, BigTIFF, II", tiff(PACKET, "<", big=True)),
    ("1.1.8, BigTIFF, MM", tiff(PACKET, ">", big=True)),
    ("1.1.2", gif(PACKET)),
    ("1.1.2, in sub-blocks", gif(PACKET, in_blocks=True)),
    ("23008-12 A.3, AVIF as Pillow writes it", picture("AVIF", xmp=PACKET)),
    ("14496-12 8.11.3, version 0", heic(PACKET, 0, 0)),
    ("14496-12 8.11.3, version 1, in the file", heic(PACKET, 1, 0)),
    ("14496-12 8.11.3, version 1, in the box", heic(PACKET, 1, 1)),
    ("14496-12 8.11.3, version 2, in the box", heic(PACKET, 2, 1)),
    ("1.3, a video", box(b"ftyp", b"isom\0\0\0\0") + box(b"moov") + box(b"uuid", XMP_UUID, PACKET)),
    ("SVG 2 5.10", svg(PACKET)),
    ("SVG 1.1, as drawing programs write it", svg(PACKET, ILLUSTRATOR)),
    ("SVG, UTF-16", svg(PACKET).decode().encode("utf-16")),
    ("SVG, UTF-16 that says so", svg(PACKET, b'<?xml version="1.0" encoding="UTF-16"?>').decode().encode("utf-16")),
    ("PDF", document(PACKET)),
    ("ISO 16684-1 7.3, UTF-16", png(text_chunk(PACKET.decode().encode("utf-16")))),
    ("ISO 16684-1 7.3, padded", png(text_chunk(PACKET + b" \n" * 500 + b"\0"))),
]  # fmt: skip


@pytest.mark.parametrize(("section", "body"), FILES, ids=range(len(FILES)))
@pytest.mark.parametrize("media_type", ["application/octet-stream", "image/jpg", "image/svg+xml"])
def test_container_is_told_by_its_octets(section, body, media_type):
    found = read(body, media_type)
    assert (values(found), found.failures) == ([PROHIBITED], []), section


SILENT = [
    ("no metadata", picture("JPEG")),
    ("no metadata", picture("PNG")),
    ("no metadata", picture("WEBP")),
    ("no metadata", picture("TIFF")),
    ("no metadata", picture("GIF")),
    ("no metadata", picture("AVIF")),
    ("no metadata", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    ("a drawing that is not well-formed and has no metadata", b'<svg xmlns="http://www.w3.org/2000/svg"><path></svg>'),
    ("a comment", jpeg().replace(b"\xff\xdb", b"\xff\xfe\x04\x00" + PACKET.ljust(1022) + b"\xff\xdb", 1)),
    ("a caption", png((b"iTXt", b"Comment\0\0\0\0\0" + PACKET))),
    ("another item", heic(PACKET, media_type=b"text/plain")),
    ("a page that begins with a drawing", svg(PACKET) + b"<p>tides"),
    ("1.1.3.1, an extension that the main packet does not name", jpeg(main(packet(">")), *extended(PACKET, GUID))),
    ("a page", b"<!DOCTYPE html><title>tides</title>"),
    ("nothing", b""),
]


@pytest.mark.parametrize(("what", "body"), SILENT, ids=range(len(SILENT)))
def test_file_that_says_nothing(what, body):
    found = read(body, "text/html" if what.startswith("a page") else "image/jpeg")
    assert (values(found), found.failures) == ([], []), what


WEBP, AVIF = picture("WEBP", xmp=PACKET), picture("AVIF", xmp=PACKET)
TORN = [
    ("JPEG, within the packet", jpeg(main(PACKET))[:300]),
    ("JPEG, in its head", picture("JPEG")[:30]),
    ("JPEG, an extension that is not there", jpeg(main(NAMES_MORE))),
    ("JPEG, an extension by no GUID",
     jpeg(main(NAMES_MORE.replace(GUID, b"tide")), *extended(PACKET, GUID))),
    ("JPEG, an extension that lacks a part", jpeg(main(NAMES_MORE), *extended(PACKET, GUID)[1:])),
    ("JPEG, an extension that lacks its end", jpeg(main(NAMES_MORE), *extended(PACKET, GUID)[:-1])),
    ("JPEG, a segment of no length", b"\xff\xd8\xff\xe1\0\0"),
    ("PNG, within the image data", picture("PNG")[:-14]),
    ("PNG, a chunk beyond the end", picture("PNG").replace(b"\0\0\0\0IEND", b"\x7f\xff\xff\xffIEND")),
    ("PNG, a packet that does not inflate", png((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + PACKET))),
    ("PNG, a packet that inflates to its half",
     png((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(PACKET)[:-40]))),
    ("PNG, no text chunk", png((b"iTXt", b"XML:com.adobe.xmp\0\0"))),
    ("PNG, no hexadecimal digits", png((b"tEXt", b"Raw profile type xmp\0\nxmp\n 3\nxyz"))),
    ("PNG, a profile without a length", png((b"tEXt", b"Raw profile type xmp\0xmp"))),
    ("WebP, within the packet", WEBP[:-100]),
    ("TIFF, within the packet, which Pillow passes over", tiff(PACKET)[:-100]),
    ("TIFF, a directory beyond the end", b"II*\0\xff\xff\0\0"),
    ("GIF, within the packet", gif(PACKET)[:-300]),
    ("GIF, without its trailer", picture("GIF")[:-1]),
    ("AVIF, its first box alone", AVIF[:32]),
    ("SVG, cut before its metadata", svg(PACKET)[:50]),
    ("GIF, no block", picture("GIF")[:-1] + b"\x99"),
    ("AVIF, within the packet", AVIF[: AVIF.index(b"<?xpacket") + 50]),
    ("HEIC, without a place", heic(PACKET).replace(b"iloc", b"free")),
    ("HEIC, encoded", heic(PACKET, media_type=b"application/rdf+xml\0deflate")),
    ("HEIC, in another file", heic(PACKET, 1, 2)),
    ("HEIC, beyond the file", heic(PACKET, 0, 0).replace(struct.pack(">L", len(PACKET) // 2), b"\xff\xff\xff\xff")),
    ("HEIC, an empty list", box(b"ftyp", b"heic\0\0\0\0") + box(b"meta", bytes(4), box(b"iinf"))),
    ("SVG, not well-formed", svg(PACKET)[:-3]),
    ("SVG, a value in an entity",
     svg(packet("><plus:DataMining>&a;</plus:DataMining>"), b'<!DOCTYPE svg [<!ENTITY a "x">]>')),
    ("PDF, not well-formed", document(PACKET[:-60])),
    ("a packet cut off", jpeg(main(PACKET[:-60]))),
    ("a packet with a document type", jpeg(main(b'<!DOCTYPE a [<!ENTITY b "c">]>' + PACKET.partition(b"?>")[2]))),
    ("an empty packet", jpeg(main(b""))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body"), TORN, ids=[what for what, _ in TORN])
def test_file_that_cannot_be_read(what, body):
    found = read(body)
    assert (values(found), len(found.failures)) == ([], 1)


def test_what_is_wrong_with_a_pdf_is_said_in_the_same_words_in_every_run():
    # Two files, so that nothing is remembered; streams that live at once stand at different addresses.
    broken = [read(b"%PDF-1.4\n1 0 obj<</Metadata 2 0 R>>endobj" + end).failures for end in (b"", b" ")]
    assert broken[0] == broken[1]
    assert "stream of the document" in str(broken[0])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_drawing_in_an_encoding_that_nothing_announces_is_never_silent(encoding):
    declared = svg(PACKET, b'<?xml version="1.0" encoding="UTF-16"?>')
    found = read(declared.decode().encode(encoding), "image/svg+xml")
    assert values(found) == [PROHIBITED] or found.failures


@pytest.mark.parametrize(("section", "body"), FILES, ids=range(len(FILES)))
def test_file_that_is_cut_off_is_never_silent(section, body):
    for length in range(16, len(body), 11):
        found = read(body[:length], "image/svg+xml")
        assert values(found) == [PROHIBITED] or found.failures, (section, length)


@given(st.sampled_from([body for _, body in FILES]), st.data())
def test_damage_of_any_kind_is_no_crash(body, data):
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:at] + data.draw(st.binary(max_size=8)) + body[at + data.draw(st.integers(0, 8)) :]
    found = read(damaged)
    assert len(found.packets) <= embedded_xmp.MAX_PACKETS


def test_what_was_read_before_a_file_ends_counts_beside_the_doubt():
    found = read(png(text_chunk(PACKET))[:-14])
    assert (values(found), len(found.failures)) == ([PROHIBITED], 1)


def test_a_broken_packet_does_not_hide_another():
    found = read(jpeg(main(b"<x>"), main(PACKET)))
    assert (values(found), len(found.failures)) == ([PROHIBITED], 1)


def many_boxes() -> bytes:
    return box(b"ftyp", b"heic\0\0\0\0") + box(b"free") * 50_000


def chain_of_directories() -> bytes:
    """Directories that lie in each other, each two octets further."""
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 60_000) * 400_000


HOSTILE = [
    ("a bomb", png(text_chunk(b" " * (MAX_PACKET * 8), compressed=True))),
    ("bombs", png(*[text_chunk(b" " * MAX_PACKET, compressed=True)] * 40)),
    ("many packets", jpeg(*[main(b"<a/>")] * 100)),
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
    monkeypatch.setattr(images, "MAX_PARTS", 20_000)  # the same is shown sooner
    monkeypatch.setattr(bmff, "MAX_BOXES", 20_000)
    found = read(body)
    assert values(found) == []
    assert 1 <= len(found.failures) <= embedded_xmp.MAX_PACKETS + 1
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
