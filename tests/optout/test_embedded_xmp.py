"""XMP packets out of every container (XMP specification part 3, January 2020): whole, torn and hostile ones."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import brotli
import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.optout.readers import embedded_xmp
from tests.optout.pictures import (
    PROHIBITED,
    box,
    document,
    extended,
    flac,
    flif,
    gif,
    heic,
    id3,
    indesign,
    jp2,
    jpeg,
    jxl,
    main,
    packet,
    picture,
    png,
    psd,
    read,
    riff,
    svg,
    text_chunk,
    tiff,
    values,
    video,
)

ROOT = Path(__file__).parents[2]
PACKET = packet()
GUID = b"0123456789ABCDEF0123456789ABCDEF"
NAMES_MORE = packet(f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{GUID.decode()}">')
NAMES_MORE_BELOW = packet(
    f'xmlns:n="http://ns.adobe.com/xmp/note/"><n:HasExtendedXMP> {GUID.decode()}\n</n:HasExtendedXMP>'
)
NAMES_MORE_ODDLY = packet(
    f'xmlns:n="http://ns.adobe.com/xmp/note/"><n:HasExtendedXMP rdf:parseType="Literal">'
    f"<![CDATA[{GUID.decode().lower()}]]></n:HasExtendedXMP>"
)
SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
BARE = PACKET.partition(b"?>")[2].rpartition(b"<?")[0]
RDF = BARE[BARE.index(b"<rdf:RDF") : BARE.index(b"</x:xmpmeta")]
WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
SHIFTED = BARE.decode().replace("<rdf:Desc", "<!--Тихий прилив--><rdf:Desc")
PROFILE = b"\nxmp\n%8d\n" % len(PACKET) + PACKET.hex().encode()
ILLUSTRATOR = (
    b'<?xml version="1.0"?><!-- a --><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x" [ <!ENTITY a "b"> ]>\n'
)
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


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
    ("1.1.3.1, named in another syntax", jpeg(main(NAMES_MORE_ODDLY), *extended(PACKET, GUID))),
    ("1.1.3.1, named in UTF-16", jpeg(main(NAMES_MORE.decode().encode("utf-16-be")), *extended(PACKET, GUID))),
    ("ISO 16684-1 7.3, UTF-16", png(text_chunk(PACKET.decode().encode("utf-16")))),
    *((f"ISO 16684-1 7.3, {name}", jpeg(main(PACKET.decode().encode(name)))) for name in WIDE),
    ("the signature of JPEG elsewhere", png(text_chunk(SIGNATURE + PACKET))),
    ("the signature of JPEG elsewhere", heic(SIGNATURE + PACKET)),
    ("a wrapper that does not end", jpeg(main(PACKET.removesuffix(b"?>")))),
    ("1.1.10, a size that is too small", riff(b"WEBP", (b"XMP ", PACKET), size=4)),
    ("1.1.10, no octet to make an odd size even",
     riff(b"WEBP", (b"EXIF", b"odd")).removesuffix(b"\0") + riff(b"WEBP", (b"XMP ", PACKET))[12:]),
    ("1.2.5, AVI", riff(b"AVI ", (b"LIST", b"hdrl"), (b"_PMX", PACKET))),
    ("1.2.5, WAV", riff(b"WAVE", (b"fmt ", bytes(16)), (b"data", bytes(9)), (b"_PMX", PACKET))),
    ("a sound of unknown length", riff(b"WAVE", (b"XMP ", PACKET)) + b"data\xff\xff\xff\xff" + bytes(50)),
    ("a tag of ID3 in WAV", riff(b"WAVE", (b"id3 ", id3((b"PRIV", b"XMP\0" + PACKET, 0), behind=b"")))),
    ("1.2.4, ID3v2.3", id3((b"TIT2", b"\0tides", 0), (b"PRIV", b"XMP\0" + PACKET, 0))),
    ("1.2.4, ID3v2.4", id3((b"PRIV", b"XMP\0" + PACKET, 0), version=4)),
    ("ID3v2.4 6.2, a size in ordinary numbers",
     id3((b"PRIV", b"XMP\0" + PACKET, 0), (b"TIT2", b"\0a", 0)).replace(b"ID3\3", b"ID3\4")),
    ("ID3v2.3 5, unsynchronisation", id3((b"PRIV", b"XMP\0" + PACKET.decode().encode("utf-16"), 0), flags=0x80)),
    ("ID3v2.3 3.3.1, compressed", id3((b"PRIV", bytes(4) + zlib.compress(b"XMP\0" + PACKET), 0x80))),
    ("ID3v2.4 4.1.2, compressed", id3((b"PRIV", bytes(4) + zlib.compress(b"XMP\0" + PACKET), 0x09), version=4)),
    ("RFC 9639 8.4, an application's block", flac((2, b"abcd" + PACKET))),
    ("RFC 9639, behind ID3", id3((b"PRIV", b"XMP\0" + PACKET, 0), behind=flac())),
    ("1.1.6", psd(PACKET)),
    ("1.1.6, PSB", psd(PACKET, large=True)),
    ("FLIF", flif(PACKET)),
    ("1.3.1, InDesign", indesign(b"no packet" * 9, PACKET)),
    ("1.3, QuickTime", video(moov=(box(b"udta", box(b"\xa9nam", bytes(9)), box(b"XMP_", PACKET), bytes(4)),))),
    ("1.3, a video that begins with another box", box(b"free") + video(box(b"uuid", XMP_UUID, PACKET))),
    ("1.3, in moov", video(moov=(box(b"uuid", XMP_UUID, PACKET),), brand=b"isom")),
    ("14496-12 8.11.2", video(box(b"meta", bytes(4), box(b"xml ", PACKET)))),
    ("QuickTime's meta box", video(box(b"meta", box(b"hdlr", bytes(20)), heic(PACKET)[36:]))),
    ("18181-2 9", jxl(box(b"xml ", PACKET))),
    ("18181-2 9.3", jxl(box(b"brob", b"xml ", brotli.compress(PACKET)))),
    ("15444-1 I.7.1", jp2(box(b"xml ", b"<other/>"), box(b"xml ", PACKET))),
    ("1.1.4", jp2(box(b"uuid", XMP_UUID, PACKET))),
    ("15444-2 M.11, associated", jp2(box(b"asoc", box(b"lbl ", b"a"), box(b"xml ", PACKET)))),
    ("Panasonic", tiff(PACKET).replace(b"*", b"U", 1)),
    ("a file of its own", PACKET),
    ("a file of its own, without a wrapper", b"\xef\xbb\xbf\n" + BARE),
    ("Exif in JPEG, as Android writes it", jpeg(b"Exif\0\0" + tiff(PACKET))),
    ("Exif in PNG", png((b"eXIf", tiff(PACKET)))),
    ("Exif in WebP", riff(b"WEBP", (b"VP8X", bytes(10)), (b"EXIF", tiff(PACKET)))),
    ("Exif in HEIC", heic(tiff(PACKET)).replace(b"mime\0application/rdf+xml", b"Exif\0application/rdf+xml")),
    ("Exif in JPEG XL", jxl(box(b"Exif", bytes(4), tiff(PACKET)))),
    ("Exif in JPEG XL, compressed", jxl(box(b"brob", b"Exif", brotli.compress(bytes(4) + tiff(PACKET))))),
    ("remains of a longer packet", png(text_chunk(BARE + b"  <rdf:li/></rdf:Seq></x:xmpmeta>"))),
    ("UTF-8 in UTF-8", jpeg(main(PACKET.decode("latin-1").encode()))),
    ("a file of its own, with a root of another name",
     b"<?xml version='1.0' encoding='utf-8'?>\n" + BARE.replace(b"xmpmeta", b"xml_doc")),
    ("a file of its own, RDF alone", b'<?xml version="1.0"?>' + RDF),
    *(("a file of its own", ("\ufeff" + BARE.decode()).encode(name)) for name in WIDE),
    *(("a file of its own", BARE.decode().encode(name)) for name in WIDE),
    ("an internal entity", svg(packet("><plus:DataMining>&a;</plus:DataMining>"), (
        f'<!DOCTYPE svg [<!ENTITY a "{PROHIBITED}">]>').encode())),
    ("an attribute by default", svg(packet(">"), (
        f'<!DOCTYPE svg [<!ATTLIST rdf:Description plus:DataMining CDATA "{PROHIBITED}">]>').encode())),
    ("a namespace in a character reference", svg(PACKET.replace(b"22-rdf", b"&#50;2-rdf"))),
    ("ISO 32000-2 Annex I, behind a BOM", b"\xef\xbb\xbf" + document(PACKET)),
    ("ISO 32000-2 Annex I, behind something else", b"HTTP/1.1 200 OK\r\n\r\n" + document(PACKET)),
    ("ISO 32000-2 Annex I, behind something else on its line", b"junk" + document(PACKET)),
    ("ISO 32000-2 Annex I, behind a mark of UTF-16", b"\xff\xfe" + document(PACKET)),
    *((f"1.1.2, {name}", gif(PACKET.decode().encode(name))) for name in WIDE),
    *((f"1.1.2, {name}", gif(b"\xff\xfe\0\0"[: 2 if "16" in name else 4] + PACKET.decode().encode(name)))
      for name in ("utf-16-le", "utf-32-le")),
    ("ISO 16684-1 7.3, padded", png(text_chunk(PACKET + b" \n" * 500 + b"\0"))),
]  # fmt: skip


@pytest.mark.parametrize(("section", "body"), FILES, ids=range(len(FILES)))
@pytest.mark.parametrize("media_type", ["application/octet-stream", "image/jpg", "image/svg+xml"])
def test_container_is_known_by_its_octets(section, body, media_type):
    found = read(body, media_type)
    assert (values(found), found.failures) == ([PROHIBITED], []), section


# Structures that are not walked: files of unknown kinds, and what follows the end of an image.
SCANNED = [
    ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%ADO_ContainsXMP: MainFirst\n" + PACKET + b"\nshowpage\n"),
    ("PostScript with a preview", b"\xc5\xd0\xd3\xc6" + bytes(28) + b"%!PS\n" + PACKET),
    ("a raw image", b"FUJIFILMCCD-RAW " + bytes(99) + jpeg(main(PACKET)) + bytes(99)),
    ("a raw image", b"II\x1a\0\0\0HEAPCCDR" + bytes(99) + PACKET),
    ("a video", b"\x1a\x45\xdf\xa3" + bytes(99) + PACKET),
    ("JPEG, behind its end", jpeg() + PACKET),
    ("JPEG, behind its first scan", jpeg().removesuffix(b"\xff\xd9") + b"\xff\xe1\x09\0" + SIGNATURE + PACKET),
    ("PNG, behind its end", picture("PNG") + PACKET),
    ("GIF, behind its end", picture("GIF") + PACKET),
    ("WebP, behind its end", picture("WEBP") + bytes(8) + PACKET),
    ("MP4, behind its end", video() + b"\1\2\3\4\5\6\7\x08" + PACKET),
    ("MP3, behind its tag", id3((b"TIT2", b"\0tides", 0)) + PACKET),
    *((f"{name}", b"\0\1\2" + one.decode().encode(name) + b"\0" * 9)
      for name in ("utf-8", *WIDE) for one in (PACKET, BARE, RDF)),
    *((f"{name}, shifted by an octet", b"\0\1\2\3" + SHIFTED.encode(name)) for name in WIDE),
    ("a prefix of another name", b"\0\1" + BARE.replace(b"rdf:", b"r.-_1:").replace(b"xmlns:rdf", b"xmlns:r.-_1")),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body"), SCANNED, ids=range(len(SCANNED)))
@pytest.mark.parametrize("media_type", ["application/octet-stream", "text/plain", "image/x-unknown"])
def test_packet_that_no_structure_leads_to(what, body, media_type):
    found = read(body, media_type)
    assert (values(found), found.failures) == ([PROHIBITED], []), what


def other_metadata() -> bytes:
    """Documents of an old writer name a font where their metadata should be."""
    with pikepdf.open(io.BytesIO(document(PACKET))) as pdf:
        pdf.Root.Metadata = pdf.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.FontDescriptor))
        octets = io.BytesIO()
        pdf.save(octets, fix_metadata_version=False)
        return octets.getvalue()


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
    ("a page about PDF documents", b"<p>\x01 They begin with %PDF-1.7 and end with startxref 0 %%EOF"),
    *((f"nothing in {name}", gif(SIGNATURE + packet(">").decode().encode(name))) for name in WIDE),
    *((f"nothing in {name}", gif(packet(">").decode().encode(name))) for name in ("utf-16", *WIDE)),
    ("nothing", b""),
    ("a page about packets", b"<!DOCTYPE html><title>tides</title><pre>" + PACKET),
    ("pages about PDF documents", b"<html><pre>\n%PDF-1.7\n1 0 obj<</Metadata 2 0 R>>\n%%EOF startxref"),
    ("an archive of pictures", b"PK\3\4" + bytes(99) + PACKET),
    ("a program that writes packets", b"\x7fELF" + bytes(99) + BARE[:150] + bytes(99)),
    ("a sound with a cover", flac((6, bytes(32) + PACKET))),
    ("a sound with a cover", id3((b"APIC", b"\0image/jpeg\0\3\0" + PACKET, 0))),
    ("a document with a placed picture", indesign(b"picture" + PACKET)),
    ("layers of a picture", psd(packet(">")) + PACKET),
    ("a text box that is not a packet", jp2(box(b"xml ", b"<broken"))),
    ("RDF in words", b"\0\1RDF <RDF> </RDF> <rdf:RDF" + bytes(99)),
    ("a wrapper around nothing", document(b'<?xpacket begin="" id=""?>\n<?xpacket end="w"?>')),
    ("a packet without RDF", document(b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')),
    ("metadata that are a font", other_metadata()),
    ("RDF of another kind", b"\0\1<rdf:RDF xmlns:rdf='http://example.org/'>"),
]


@pytest.mark.parametrize(("what", "body"), SILENT, ids=range(len(SILENT)))
def test_file_that_says_nothing(what, body):
    found = read(body, "text/html" if "page" in what else "application/octet-stream")
    assert (values(found), found.failures) == ([], []), what


# Archives, databases and programs of one kind each, in which a picture may lie as it is.
ARCHIVES = [
    b"!<arch>\ndebian-binary   \0", b"\xed\xab\xee\xdb\3\0", b"070701", b"\x22\x6a-lh0-\0", b"Cr24\3\0\0\0",
    b"xar!\0\x1c", bytes(32_769) + b"CD001\1", b"PK\7\x08PK\3\4", b"\x04\x22\x4d\x18", b"PAR1\x15\0", b"!BDN\0",
    b"\0\1\0\0Standard Jet DB\0", b"ITSF\3\0\0\0", bytes(60) + b"BOOKMOBI", b"\x89HDF\r\n\x1a\n\0",
]  # fmt: skip


def self_extracting() -> bytes:
    octets = io.BytesIO(b"\0\1unpack")
    with zipfile.ZipFile(octets, "a") as archive:
        archive.writestr("a.jpg", jpeg(main(PACKET)))
    return octets.getvalue()


@pytest.mark.parametrize("body", [*(head + PACKET for head in ARCHIVES), self_extracting()], ids=range(16))
@pytest.mark.parametrize("media_type", ["application/octet-stream", "text/plain", "application/x-packed"])
def test_archive_is_not_searched(body, media_type):
    found = read(body, media_type)
    assert (values(found), found.failures) == ([], [])


CALLED = [
    # Content-Type, body, is it in doubt
    ("image/jpeg", self_extracting(), True),
    ("image/jpeg", b"PK\3\4" + bytes(99), True),
    ("image/openraster", b"PK\3\4" + bytes(99), False),
    ("application/x-krita", b"PK\3\4" + bytes(99), False),
    ("application/pdf", document(packet(">")), False),
    ("application/pdf", b"x" * 1_100 + document(packet(">")), False),
    ("application/pdf", b"x" * 1_100 + document(packet(">"))[:-99], True),
    ("application/pdf", b"PK\3\4" + bytes(99), True),
    ("application/pdf", b"Not here", True),
    ("application/pdf", b"<!doctype html><p>Not here", False),
    ("application/pdf", b"\n", False),
    ("application/pdf", jpeg(), False),
]


@pytest.mark.parametrize(("media_type", "body", "in_doubt"), CALLED, ids=range(len(CALLED)))
def test_what_is_not_what_it_is_called(media_type, body, in_doubt):
    assert bool(read(body, media_type).failures) == in_doubt


TEXTS = [b"# Packets\n" + PACKET, PACKET[30:], b"function f() { return '" + BARE + b"' }", b"\xef\xbb\xbfa " + PACKET]


@pytest.mark.parametrize("body", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown", "application/javascript", ""])
def test_text_is_not_searched(body, media_type):
    found = read(body, media_type)
    assert (values(found), found.failures) == ([], [])


def test_feed_is_not_a_packet_though_it_is_rdf():
    rss = RDF.replace(b"<rdf:RDF", b'<rdf:RDF xmlns="http://purl.org/rss/1.0/"').removesuffix(b">")
    assert read(rss, "application/rss+xml") == embedded_xmp.EmbeddedPackets()


def nested(depth: int) -> bytes:
    return box(b"moov", nested(depth - 1)) if depth else b""


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
    ("SVG, a value in an entity that is not fetched",
     svg(packet("><plus:DataMining>&a;</plus:DataMining>"), b'<!DOCTYPE svg SYSTEM "a.dtd">')),
    ("SVG, an attribute in an entity that is not fetched",
     svg(packet('plus:DataMining="&a;">'), b'<!DOCTYPE svg SYSTEM "a.dtd">')),
    ("SVG, a namespace in an entity that is not fetched",
     svg(PACKET.replace(b"http://ns.useplus.org/ldf/xmp/1.0/", b"&a;"), b'<!DOCTYPE svg SYSTEM "a.dtd">')),
    ("SVG, packed", gzip.compress(svg(PACKET))),
    ("WebP, which says that it is longer", riff(b"WEBP", (b"VP8 ", bytes(20)), size=999)),
    ("WAV, cut within a chunk", riff(b"WAVE", (b"data", bytes(500)))[:300]),
    ("ID3, cut off", id3((b"PRIV", b"XMP\0" + PACKET, 0))[:300]),
    ("ID3, encrypted", id3((b"PRIV", b"XMP\0" + PACKET, 0x40))),
    ("FLAC, cut off", flac((4, bytes(500)))[:100]),
    ("PSD, cut off", psd(PACKET)[:300]),
    ("InDesign, cut off", indesign(PACKET)[:9000]),
    ("JPEG XL, a packet that does not inflate", jxl(box(b"brob", b"xml ", PACKET))),
    ("JPEG XL, a packet that inflates to its half", jxl(box(b"brob", b"xml ", brotli.compress(PACKET)[:-40]))),
    ("JPEG 2000, without a picture", jp2()[:-10]),
    ("QuickTime, boxes in boxes", box(b"ftyp", b"qt  ") + nested(40)),
    ("PostScript, a packet without an end", b"%!PS\n" + PACKET[:300]),
    ("a video, two packets without an end", b"\0\1" + BARE[:200] + b"\0" + BARE[:200]),
    ("a file of its own, cut off", PACKET[:300]),
    ("PDF, not well-formed", document(PACKET[:-60])),
    ("a packet cut off", jpeg(main(PACKET[:-60]))),
    ("a packet with a document type", jpeg(main(b'<!DOCTYPE a [<!ENTITY b "c">]>' + PACKET.partition(b"?>")[2]))),
    ("an empty packet", jpeg(main(b""))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body"), TORN, ids=[what for what, _ in TORN])
def test_file_that_cannot_be_read(what, body):
    found = read(body, "image/svg+xml" if what == "SVG, packed" else "application/octet-stream")
    assert len(found.failures) == 1
    # What a broken structure does not lead to may be seen without it.
    assert values(found) in ([], [PROHIBITED])


def test_what_is_wrong_with_a_pdf_is_reported_in_the_same_words_in_every_run():
    # Two files, so that nothing is remembered; streams that exist at the same time have different addresses.
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
def test_damage_of_any_kind_is_not_a_crash(body, data):
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:at] + data.draw(st.binary(max_size=8)) + body[at + data.draw(st.integers(0, 8)) :]
    found = read(damaged)
    assert len(found.packets) <= embedded_xmp.MAX_PACKETS


def test_what_was_read_before_a_file_ends_counts_beside_the_doubt():
    found = read(png(text_chunk(PACKET))[:-14])
    assert (values(found), len(found.failures)) == ([PROHIBITED], 1)


def test_what_broken_lengths_cut_off_is_seen_whole():
    cut = b"\xff\xe1" + struct.pack(">H", 200) + main(PACKET)
    found = read(jpeg().replace(b"\xff\xd8", b"\xff\xd8" + cut, 1))
    assert (values(found), len(found.failures)) == ([PROHIBITED], 1)


def test_a_broken_packet_does_not_hide_another():
    found = read(jpeg(main(b"<x>"), main(PACKET)))
    assert (values(found), len(found.failures)) == ([PROHIBITED], 1)
