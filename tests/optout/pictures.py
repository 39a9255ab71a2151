"""Small real files with metadata: written by Pillow where it can, byte by byte where it cannot."""

from __future__ import annotations

import io
import struct
import zlib

import pikepdf
from PIL import Image

from forbear.optout.model import Capture
from forbear.optout.readers import embedded_xmp

PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
DMI = "http://ns.useplus.org/ldf/vocab/DMI-"
PROHIBITED = f"{DMI}PROHIBITED"


def read(body: bytes, media_type: str = "application/octet-stream") -> embedded_xmp.EmbeddedPackets:
    """Returns the XMP packets that are found in a file."""
    return embedded_xmp.read(Capture("https://lens.example/1", 200, (("Content-Type", media_type),), body))


def values(found: embedded_xmp.EmbeddedPackets) -> list[str]:
    """Returns the values of PLUS properties in all packets."""
    return [item.value for one in found.packets for item in one.properties((PLUS,))]


def packet(description: str = f'plus:DataMining="{PROHIBITED}">') -> bytes:
    """An XMP packet; ``description`` ends the start tag of its rdf:Description and may hold elements."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:plus="{PLUS}" xmlns:dcterms="http://purl.org/dc/terms/" '
        f'{description}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def picture(kind: str = "JPEG", **options: object) -> bytes:
    """A picture of 8 by 8 pixels as Pillow saves it."""
    octets = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(octets, kind, **options)
    return octets.getvalue()


def tiff(xmp: bytes, order: str = "<", *, big: bool = False) -> bytes:
    """A TIFF file of two directories, the second with a packet (TIFF 6.0 section 2, BigTIFF)."""
    word, entry, count = ("Q", "HHQQ", "Q") if big else ("L", "HHLL", "H")
    start = 16 if big else 8
    directory = struct.calcsize(order + count) + struct.calcsize(order + entry) + struct.calcsize(order + word)
    head = {"<": b"II", ">": b"MM"}[order] + (
        struct.pack(order + "HHHQ", 43, 8, 0, start) if big else struct.pack(order + "HL", 42, start)
    )

    def one(tag: int, length: int, value: int, following: int) -> bytes:
        return (
            struct.pack(order + count, 1)
            + struct.pack(order + entry, tag, 1, length, value)
            + struct.pack(order + word, following)
        )

    second = start + directory
    return head + one(254, 1, 0, second) + one(700, len(xmp), second + directory, 0) + xmp


def png(*chunks: tuple[bytes, bytes], behind: bool = False) -> bytes:
    """A PNG file with further chunks, in front of its image data or behind."""
    whole = picture("PNG")
    at = whole.index(b"IEND" if behind else b"IDAT") - 4
    made = b"".join(
        struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data)) for name, data in chunks
    )
    return whole[:at] + made + whole[at:]


def text_chunk(xmp: bytes, *, compressed: bool = False) -> tuple[bytes, bytes]:
    """The text chunk that holds a packet (PNG 11.3.3.4)."""
    text = b"\1\0\0\0" + zlib.compress(xmp) if compressed else b"\0\0\0\0" + xmp
    return b"iTXt", b"XML:com.adobe.xmp\0" + text


def gif(xmp: bytes, *, in_blocks: bool = False) -> bytes:
    """A GIF file with a packet as XMP part 3, 1.1.2 has it, or (a slip) in data sub-blocks."""
    whole = picture("GIF")
    if in_blocks:
        parts = [xmp[at : at + 255] for at in range(0, len(xmp), 255)]
        written = b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    else:
        written = xmp + b"\1" + bytes(range(255, -1, -1)) + b"\0"
    return whole[:-1] + b"!\xff\x0bXMP DataXMP" + written + b";"


def jpeg(*segments: bytes) -> bytes:
    """A JPEG file with further APP1 segments."""
    whole = picture("JPEG")
    made = b"".join(b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment for segment in segments)
    return whole[:2] + made + whole[2:]


def main(xmp: bytes) -> bytes:
    """The segment with the main packet (XMP part 3, 1.1.3)."""
    return b"http://ns.adobe.com/xap/1.0/\0" + xmp


def extended(xmp: bytes, guid: bytes, size: int = 100) -> list[bytes]:
    """The segments with an extended packet, cut into parts (XMP part 3, 1.1.3.1)."""
    head = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">L", len(xmp))
    return [head + struct.pack(">L", at) + xmp[at : at + size] for at in range(0, len(xmp), size)]


def box(kind: bytes, *contents: bytes) -> bytes:
    """A box (ISO/IEC 14496-12 4.2)."""
    octets = b"".join(contents)
    return struct.pack(">L", len(octets) + 8) + kind + octets


def heic(xmp: bytes, version: int = 1, method: int = 1, media_type: bytes = b"application/rdf+xml") -> bytes:
    """The boxes of a HEIC file, without a picture: a packet as item 7 in two extents (ISO/IEC 14496-12 8.11)."""
    wide = ">L" if version == 2 else ">H"
    entry = box(b"infe", b"\2\0\0\1" + struct.pack(">HH", 7, 0) + b"mime\0" + media_type + b"\0")
    other = box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 1, 0) + b"hvc1\0")
    items = box(b"iinf", bytes(4) + struct.pack(">H", 2), other, entry)

    def boxes(at: int) -> bytes:
        half = len(xmp) // 2
        location = bytes([version, 0, 0, 0]) + b"\x44\x40" + struct.pack(wide, 2)
        for item, extents in ((1, [(0, 1)]), (7, [(0, half), (half, len(xmp) - half)])):
            location += struct.pack(wide, item) + (struct.pack(">H", method) if version else b"")
            location += struct.pack(">HLH", 0, at, len(extents))
            location += b"".join(struct.pack(">LL", *extent) for extent in extents)
        meta = box(b"meta", bytes(4), items, box(b"iloc", location), box(b"idat", xmp) if method else b"")
        return box(b"ftyp", b"heic\0\0\0\0mif1heic") + meta + (b"" if method else box(b"mdat", xmp))

    return boxes(0 if method else len(boxes(0)) - len(xmp))


def svg(xmp: bytes, head: bytes = b"") -> bytes:
    """A drawing with a packet in its metadata (SVG 2 5.10)."""
    inside = xmp.partition(b"?>")[2].rpartition(b"<?")[0]
    return head + b'<svg xmlns="http://www.w3.org/2000/svg"><metadata>' + inside + b"</metadata><path/></svg>"


def document(xmp: bytes) -> bytes:
    """A PDF document with a packet."""
    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.Root.Metadata = pikepdf.Stream(pdf, xmp, Type=pikepdf.Name.Metadata, Subtype=pikepdf.Name.XML)
    octets = io.BytesIO()
    pdf.save(octets, fix_metadata_version=False)
    return octets.getvalue()


def jxl(*boxes: bytes) -> bytes:
    """The boxes of a JPEG XL file, without a picture (ISO/IEC 18181-2)."""
    head = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    return head + b"".join(boxes) + box(b"jxlc", b"\xff\n")


def jp2(*boxes: bytes) -> bytes:
    """The boxes of a JPEG 2000 file, without a picture (ISO/IEC 15444-1 Annex I)."""
    head = b"\0\0\0\x0cjP  \r\n\x87\n" + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h")
    return head + b"".join(boxes) + box(b"jp2c", b"\xff\x4f\xff\x51")


def video(*boxes: bytes, brand: bytes = b"qt  ", moov: tuple[bytes, ...] = ()) -> bytes:
    """The boxes of a video, without tracks (ISO/IEC 14496-12)."""
    return box(b"ftyp", brand, bytes(4), brand) + box(b"moov", box(b"mvhd", bytes(100)), *moov) + b"".join(boxes)


def psd(xmp: bytes, *, large: bool = False) -> bytes:
    """A Photoshop file of three resources, the second a packet (Adobe Photoshop File Formats Specification)."""

    def resource(number: int, name: bytes, octets: bytes) -> bytes:
        named = bytes([len(name)]) + name + bytes((len(name) + 1) % 2)
        head = b"8BIM" + struct.pack(">H", number) + named + struct.pack(">L", len(octets))
        return head + octets + bytes(len(octets) % 2)

    resources = resource(1061, b"", bytes(16)) + resource(1060, b"", xmp) + resource(1036, b"abc", b"x")
    head = b"8BPS\0" + bytes([2 if large else 1]) + bytes(20)
    return head + struct.pack(">L", 0) + struct.pack(">L", len(resources)) + resources + bytes(4)


def flif(xmp: bytes) -> bytes:
    """The head of a FLIF file with a packet, which is deflated without a header."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(xmp) + deflate.flush()
    assert len(packed) < 1 << 14
    return b"FLIF31\7\7eXmp" + bytes([0x80 | len(packed) >> 7, len(packed) & 0x7F]) + packed + b"\0picture"


def riff(form: bytes, *chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    """A RIFF file; ``size`` is what it says of itself, if it is wrong."""
    made = b"".join(kind + struct.pack("<L", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<L", len(made) + 4 if size is None else size) + form + made


def id3(*frames: tuple[bytes, bytes, int], version: int = 3, flags: int = 0, behind: bytes = b"\xff\xfb" * 20) -> bytes:
    """An ID3v2 tag of frames: name, contents and format flags (ID3v2.3, ID3v2.4)."""
    made = b""
    for kind, data, marks in frames:
        size = _synchsafe(len(data)) if version == 4 else struct.pack(">L", len(data))
        made += kind + size + bytes([0, marks]) + data
    made = made.replace(b"\xff", b"\xff\0") if flags & 0x80 and version == 3 else made
    return b"ID3" + bytes([version, 0, flags]) + _synchsafe(len(made) + 10) + made + bytes(10) + behind


def _synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def flac(*blocks: tuple[int, bytes]) -> bytes:
    """The metadata blocks of a FLAC file (RFC 9639 8)."""
    made = [(0, bytes(34)), *blocks]
    return b"fLaC" + b"".join(
        bytes([kind | (0x80 if number == len(made) - 1 else 0)]) + len(data).to_bytes(3) + data
        for number, (kind, data) in enumerate(made)
    )


def indesign(*streams: bytes) -> bytes:
    """An InDesign document: two master pages, of which the second is newer, and streams (XMP part 3, 1.3.1)."""
    master = bytes.fromhex("0606edf5d81d46e5bd31efe7fe74b71d") + b"DOCUMENT\1" + bytes(239)
    pages = b"".join((master + struct.pack("<QQL", number, 0, 2 + number)).ljust(4096, b"\0") for number in range(2))
    made = b""
    for octets in streams:
        head = bytes.fromhex("de39397951884b6c8e63eef8aee0dd38") + bytes(8) + struct.pack("<LL", len(octets) + 4, 0)
        foot = bytes.fromhex("fdcedb70f7864b4fa4d3c728b3417106") + bytes(16)
        made += head + struct.pack("<L", len(octets)) + octets + foot
    return pages + bytes(4096) + made + bytes(-len(made) % 4096)
