"""Recognises the kind of a file by its first bytes, since the Content-Type of images is often wrong."""

from __future__ import annotations

import re
from enum import StrEnum

from forbear.optout.model import Capture
from forbear.optout.readers import representation, xmp
from forbear.optout.readers.representation import HTML_TYPES


class Container(StrEnum):
    """The kinds of files that carry metadata about themselves, or that could."""

    JPEG = "JPEG"
    PNG = "PNG"
    """MNG and JNG too."""
    GIF = "GIF"
    WEBP = "WebP"
    TIFF = "TIFF"
    """Most raw formats of cameras too: DNG, CR2, NEF, ARW, RW2, ORF; and JPEG XR."""
    BMFF = "ISO base media"
    """ISO/IEC 14496-12: AVIF and HEIC images, MP4 and QuickTime videos, CR3."""
    JPEG_XL = "JPEG XL"
    JPEG_2000 = "JPEG 2000"
    PSD = "Photoshop"
    FLIF = "FLIF"
    SVG = "SVG"
    BITMAP = "another image"
    PDF = "PDF"
    EPUB = "EPUB"
    ZIP = "ZIP"
    """Office documents too; the pictures in it are not the file."""
    RIFF = "RIFF"
    """WAV and AVI."""
    ID3 = "ID3"
    """MP3; behind the tag may be something else."""
    FLAC = "FLAC"
    INDESIGN = "InDesign"
    POSTSCRIPT = "PostScript"
    """EPS and old Illustrator files too."""
    XMP = "XMP"
    """A packet that is a file of its own."""
    ARCHIVE = "archive"
    """Archives, databases and programs: a packet in one is about something in it."""
    BINARY = "binary"
    """A binary file of an unknown kind."""


_IMAGES = frozenset(list(Container)[:12]) - {Container.BMFF}
# ISO/IEC 23008-12 10: the brands of images and of sequences of images; Canon's raw format.
_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"crx "})
_CALLED_PICTURES = frozenset(
    f"image/{name}"
    for name in ("jpeg", "jpg", "png", "apng", "gif", "webp", "tiff", "avif", "heic", "heif", "jxl", "svg+xml")
)

_MAGIC = re.compile(
    rb"""
      (?P<JPEG>     \xff\xd8\xff)
    | (?P<PNG>      [\x89\x8a\x8b](?:PNG|MNG|JNG)\r\n\x1a\n)
    | (?P<GIF>      GIF8[79]a)
    | (?P<WEBP>     RIFF....WEBP)
    | (?P<RIFF>     (?:RIFF|RIFX|RF64|BW64)....[\w\ ]{4})
      # TIFF 6.0 section 2, BigTIFF; Panasonic, Olympus and JPEG XR have a number of their own.
    | (?P<TIFF>     II[*+]\0 | MM\0[*+] | IIU\0 | IIR[OS]\x08\0 | MMOR\0\0 | II\xbc[\0\1])
    | (?P<BMFF>     ....ftyp | [\0-\x08]...(?:styp|moov|moof|mdat|wide|pnot|sidx|uuid|free|skip|udta|meta))
    | (?P<JPEG_XL>  \0\0\0\x0cJXL\ \r\n\x87\n)
    | (?P<JPEG_2000>\0\0\0\x0cjP(?:\ \ |\x1a\x1a)\r\n\x87\n)
    | (?P<PSD>      8BPS\0[\1\2])
    | (?P<FLIF>     FLIF[1-\x7f][0-2])
    | (?P<ID3>      ID3[\2-\4].[\x00-\xff][\0-\x7f]{4})
    | (?P<FLAC>     fLaC[\0-\x06\x7f-\x86])
    | (?P<INDESIGN> \x06\x06\xed\xf5\xd8\x1d\x46\xe5\xbd\x31\xef\xe7\xfe\x74\xb7\x1d)
    | (?P<POSTSCRIPT>\x04?%!PS | \xc5\xd0\xd3\xc6)
    | (?P<ZIP>      (?:PK00)?PK\x03\x04 | PK\x05\x06\0{18})
      # BMP, icons, JPEG XL and JPEG 2000 without a container, BPG, QOI, OpenEXR, GIMP, DjVu, Radiance, raw formats.
    | (?P<BITMAP>   BM.{4}\0{4} | \0\0[\1\2]\0[\1-\xff]\0 | \xff\x0a | \xff\x4f\xff\x51 | BPG\xfb | qoif\0 | v/1\x01
                    | gimp\ xcf\  | AT&TFORM | \#\?RADIANCE | FUJIFILMCCD-RAW | II\x1a\0\0\0HEAPCCDR | \0MRM | FOVb
      # DirectDraw, Khronos textures, PCX, metafiles of Windows, QuickDraw pictures, SGI, Sun, DPX, FITS.
                    | DDS\ \x7c\0{3} | \xabKTX\ [12][10]\xbb\r\n\x1a\n | \n[\0\2-\5]\x01[\1\2\4\x08] | \xd7\xcd\xc6\x9a
                    | \x01\0\x09\0\0[\1\3] | \x01\0{3}.{36}\ EMF | .{522}\0\x11\x02\xff\x0c\0
                    | \x01\xda[\0\1][\1\2]\0[\1-\3] | \x59\xa6\x6a\x95\0 | SDPX\0 | XPDS.{4}V | SIMPLE\ \ =\ +T
      # Netpbm, and bitmaps of X that are C.
                    | P[4-6](?:\s|\#[^\n]*\n){1,99}\d+\s+\d+\s | P7\n(?:\#|WIDTH\ ) | P[1-3]\s+\d+\s+\d+\s[\d\s]{9}
                    | \#define\ \w+_width\ \d+\s+\#define\ \w+_height\ \d | /\*\ XPM\ \*/)
      # gzip, bzip2, xz, Zstandard, 7z, RAR, cabinet, compound files, SQLite, TNEF, WARC, tar.
    | (?P<ARCHIVE>  \x1f\x8b\x08 | BZh[1-9]1AY&SY | \xfd7zXZ\0 | \x28\xb5\x2f\xfd | 7z\xbc\xaf\x27\x1c | Rar!\x1a\x07
                    | MSCF\0{4} | \xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 | SQLite\ format\ 3\0 | \x78\x9f\x3e\x22 | WARC/[01]
                    | .{257}ustar[\0\ ]
      # Parts of ZIP, ar, RPM, cpio, LHA, CRX, xar, disks, lz4, lzip, compress, Parquet, HDF5, Access, PST, CHM, MOBI.
                    | PK\x07\x08 | !<arch>\n | \xed\xab\xee\xdb | 07070[127] | ..-l[hz][\da-z]-
                    | Cr24[\2\3]\0{3} | xar!\0
                    | .{32769}(?:CD001|BEA01) | \x04\x22\x4d\x18 | LZIP\x01 | \x1f[\x9d\xa0] | PAR1 | \x89HDF\r\n\x1a\n
                    | \0\x01\0\0Standard\ (?:Jet|ACE)\ DB\0 | !BDN | ITSF\x03\0{3} | .{60}(?:BOOKMOBI|TEXtREAd)
      # Programs: ELF, Windows, Mach-O, Java, WebAssembly, Dalvik.
                    | \x7fELF | MZ[\0-\x1f\x7f-\xff] | [\xce\xcf]\xfa\xed\xfe | \xfe\xed\xfa[\xce\xcf]
                    | \xca\xfe\xba\xbe | \0asm | dex\n0)
    """,
    re.DOTALL | re.VERBOSE,
)
_PROLOG = 65_536
"""How many bytes may precede the root element of a drawing or packet whose Content-Type is another."""
# XML 1.0 2.8: what may precede it.
_ROOT = re.compile(
    rb"(?:<\?[^>]*+>\s*+|<!--.*?-->\s*+|<!DOCTYPE[^\[>]*+(?:\[[^\]]*+\]\s*+)?>\s*+)*+"
    rb"<(?:[\w.-]++:)?([\w.-]++)([\s/>][^>]*+)",
    re.DOTALL,
)
_META = b"adobe:ns:meta/"  # Some writers call the element that is around RDF as they like.
_RSS = b"http://purl.org/rss/1.0/"
# MIME Sniffing 7.2: what no text has, and how much of an answer is asked for it.
_NO_TEXT = re.compile(rb"[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_RESOURCE_HEADER = 1_445
_OF_TEXT = re.compile(r"text/.*|.*[+/](?:xml|json)|application/(?:javascript|ecmascript|x-javascript|ld\+json)")
_PDF_TYPE, _EPUB_TYPE = "application/pdf", "application/epub+zip"
_OF_BINARIES = ("image/", "audio/", "video/")
_TAIL = 2_048
_PDF_END = re.compile(rb"startxref\s+\d")
_TARGA_END = b"TRUEVISION-XFILE.\0"
# Adobe Technical Note 5002: an encapsulated file is a picture, other PostScript a document.
_ENCAPSULATED = re.compile(rb"\xc5\xd0\xd3\xc6|\x04?%!PS-Adobe-[\d.]+\ EPSF")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<(?:!doctype|html|head|\?xml)\b", re.IGNORECASE)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<(?:!doctype\s++)?html\b", re.IGNORECASE)
_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")


def of(capture: Capture) -> Container | None:
    """Returns the container of an answer, or nothing for a page or another text."""
    found: Container | None = capture.memo.get("container")
    if found is None and "container" not in capture.memo:
        found = capture.memo["container"] = _of(capture.body, _declared(capture))
    return found


def is_image(capture: Capture) -> bool:
    """Returns whether an answer is an image, by its Content-Type or, as that is often wrong, by its bytes."""
    if _declared(capture).startswith("image/"):
        return True
    kind = of(capture)
    head = capture.body[8:40]
    return (
        kind in _IMAGES
        or (kind is Container.BMFF and any(head[at : at + 4] in _BRANDS for at in range(0, len(head), 4)))
        or (kind is Container.POSTSCRIPT and _ENCAPSULATED.match(capture.body) is not None)
    )


def _declared(capture: Capture) -> str:
    """Returns what an answer is called; what it is by its bytes if it is not called anything."""
    known = representation.of(capture)
    return known.stated or known.media_type


def is_called_a_picture(capture: Capture) -> bool:
    """Returns whether its Content-Type is that of an image whose metadata are read here."""
    return _declared(capture) in _CALLED_PICTURES


def is_called_a_pdf(capture: Capture) -> bool:
    """Returns whether its Content-Type is that of PDF, and it is not an error page."""
    return _declared(capture) == _PDF_TYPE and not representation.of(capture).is_html


def _of(body: bytes, declared: str) -> Container | None:
    if declared in HTML_TYPES and _PAGE.match(body):
        return None
    found = _MAGIC.match(body)
    if found and found.lastgroup:
        kind = Container[found.lastgroup]
        is_zip = kind is Container.ZIP or (kind is Container.ARCHIVE and declared == _EPUB_TYPE)
        return _zip(body, declared) if is_zip else kind
    if declared == _EPUB_TYPE:
        return Container.EPUB
    if _is_pdf(body, declared):
        return Container.PDF
    if by_root := _by_root(body, declared):
        return by_root
    if not _is_binary(body, declared):
        return None
    if body.endswith(_TARGA_END):
        return Container.BITMAP
    is_archive = not declared.startswith(_OF_BINARIES) and _ends_as_zip(body)
    return _zip(body, declared) if is_archive else Container.BINARY


def _zip(body: bytes, declared: str) -> Container:
    """Returns EPUB for a book, which names its type in its first file or has a container.xml (OCF 4.3)."""
    is_book = declared == _EPUB_TYPE or _EPUB_TYPE.encode() in body[:128] or b"META-INF/container.xml" in body
    return Container.EPUB if is_book else Container.ZIP


def _ends_as_zip(body: bytes) -> bool:
    """Returns whether an archive is behind something else, such as a program that unpacks it (APPNOTE 4.3.16)."""
    at = body.rfind(b"PK\5\6", max(len(body) - 65_557, 0))
    size = int.from_bytes(body[at + 12 : at + 16], "little")
    return 0 < size <= at and body.startswith(b"PK\1\2", at - size)


def _is_pdf(body: bytes, declared: str) -> bool:
    """Returns whether it is PDF: the header is within the first 1,024 bytes (ISO 32000-2 Annex I).

    A page or article about PDF documents may have one there too, and what begins or ends like one is not that.
    """
    before, header, _ = body[:1024].partition(b"%PDF-")
    has_end = _PDF_END.search(body, max(len(body) - _TAIL, 0)) is not None
    if declared == _PDF_TYPE:
        return bool(header) or has_end
    padding = b"\t\n\f\r \0\xef\xbb\xbf"
    is_markup = before.lstrip(padding).startswith(b"<") if declared in HTML_TYPES else _MARKUP.match(before)
    if not header or is_markup:
        return False
    is_alone = not before.strip(padding)
    return is_alone or has_end or _NO_TEXT.search(body) is not None


def _by_root(body: bytes, declared: str) -> Container | None:
    """Returns the kind of an XML document by its root element; a feed of RSS 1.0 is RDF but not a packet."""
    before, _, _ = body[:1024].partition(b"<")
    root = None
    if len(before) < min(len(body), 1024) and not before.strip(b"\xef\xbb\xbf\xfe\xff\0\t\n\r "):
        root = _ROOT.match(xmp.utf8(body[:_PROLOG]))
    if root and root[1] not in (b"svg", b"html") and (root[1] == b"RDF" or _META in root[2]):
        return None if _RSS in root[2] else Container.XMP
    # A page that begins with a drawing is a page.
    is_drawing = root is not None and root[1] == b"svg" and declared not in HTML_TYPES
    return Container.SVG if is_drawing or declared == "image/svg+xml" else None


def _is_binary(body: bytes, declared: str) -> bool:
    if declared.startswith(_OF_BINARIES):
        return True
    head = body[:_RESOURCE_HEADER] if _OF_TEXT.fullmatch(declared) else body
    return not body.startswith(_BOMS) and _NO_TEXT.search(head) is not None
