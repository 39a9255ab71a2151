"""Reads the metadata in a PDF document's catalog (ISO 32000-2), and nothing else in the file.

14.3.2 the XMP packet; 14.13 the associated files, of which C2PA 2.2 A.4 makes one the manifest store.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pikepdf
from pikepdf import settings

from forbear.optout.model import Capture
from forbear.optout.readers.c2pa_bounds import MAX_STORE
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.packets import MAX_PACKET, Budget
from forbear.optout.readers.pdf_bounds import MAX_STREAM, Bounds
from forbear.optout.readers.text import human_size

MAX_FILES = 1_000
"""How many files may be associated with the catalog."""
MAX_OBJECTS = 100_000
"""How many objects a document may have for what is damaged in it to be recovered: qpdf then looks at each."""

# qpdf's own guards are off by default, and a cross-reference table can be a bomb as well as a picture can.
settings.set_qpdf_limits(
    doc_max_warnings=100,
    max_stream_filters=4,
    parser_max_nesting=100,
    parser_max_container_size=1_000_000,
    flate_max_memory=MAX_STREAM,
    png_max_memory=MAX_STREAM,
    run_length_max_memory=MAX_STREAM,
    tiff_max_memory=MAX_STREAM,
    dct_max_memory=MAX_STREAM,
)


class _Stream(io.BytesIO):
    """Bytes whose name in qpdf's messages is the same each time, not an address in memory."""

    def __repr__(self) -> str:
        return "of the document"


@dataclass(slots=True)
class _Document:
    """What was found in the newest revision of a document, or one sentence each on why it is not known."""

    packet: bytes = b""
    stores: tuple[bytes, ...] = ()
    no_packet: str = ""
    no_stores: str = ""


def packet(capture: Capture) -> bytes:
    """Returns the XMP packet of the newest revision, empty if there is none.

    Raises Unreadable for a file that cannot be opened without a password, is damaged where its metadata should be, or
    announces metadata that do not inflate.
    """
    document = _opened(capture)
    if document.no_packet:
        raise Unreadable(document.no_packet)
    return document.packet


def manifest_stores(capture: Capture) -> tuple[bytes, ...]:
    """Returns the C2PA manifest stores among the catalog's associated files; raises Unreadable as ``packet`` does."""
    document = _opened(capture)
    if document.no_stores:
        raise Unreadable(document.no_stores)
    return document.stores


def _opened(capture: Capture) -> _Document:
    """Returns what was found, with the document opened once for a capture."""
    document: _Document | None = capture.memo.get("pdf")
    if document is None:
        document = capture.memo["pdf"] = _read(capture.body)
    return document


_ERRORS = (pikepdf.PdfError, RuntimeError, ValueError, TypeError, KeyError, AttributeError)


def _read(body: bytes) -> _Document:
    document = _Document()
    if _ends_within_a_revision(body):
        document.no_packet = document.no_stores = "The PDF is cut off: it begins a revision that does not end."
        return document
    try:
        bounds = Bounds(body)
    except Unreadable as error:
        document.no_packet = document.no_stores = str(error)
        return document
    try:
        recover = body.count(b"obj") - body.count(b"endobj") <= MAX_OBJECTS
        with pikepdf.open(_Stream(body), suppress_warnings=True, attempt_recovery=recover) as pdf:
            try:
                document.packet = _metadata(pdf, body)
            except _ERRORS as error:
                document.no_packet = f"The PDF's metadata cannot be read: {error}"
            try:
                document.stores = tuple(_stores(pdf, body, bounds))
            except _ERRORS as error:
                document.no_stores = f"The PDF's associated files cannot be read: {error}"
    except pikepdf.PasswordError:
        document.no_packet = document.no_stores = "The PDF asks for a password."
    except _ERRORS as error:
        if _may_say_something(body):
            document.no_packet = document.no_stores = f"The PDF cannot be read: {error}."
    return document


_NAMES = (b"/Metadata", b"/AF", b"/ObjStm", b"/Encrypt", b"/Linearized", b"#")


def _may_say_something(body: bytes) -> bool:
    """Returns whether a damaged document is cut off, or may hold one of the names looked for (7.3.5)."""
    return _is_cut_off(body) or any(name in body for name in _NAMES)


_OBJECT = re.compile(rb"\d\s++\d++\s++obj\b")


def _is_cut_off(body: bytes) -> bool:
    """Returns whether a document lacks its end (7.5.5)."""
    return b"%%EOF" not in body[-1024:] or _ends_within_a_revision(body)


def _ends_within_a_revision(body: bytes) -> bool:
    """Returns whether objects follow the last end marker (7.5.6) without an end marker of their own."""
    end = body.rfind(b"%%EOF")
    return end >= 0 and body.find(b"startxref", end) < 0 and _OBJECT.search(body, end) is not None


def _metadata(pdf: pikepdf.Pdf, body: bytes) -> bytes:
    metadata = pdf.Root.get("/Metadata")
    if metadata is None:
        # A cut file is repaired as far as it goes; what lay behind the cut is gone without a word.
        if pdf.get_warnings() and (b"/Metadata" in body or _is_cut_off(body)):
            raise Unreadable("The PDF is damaged, and its metadata are not to be found.")
        return b""
    if not isinstance(metadata, pikepdf.Stream):
        if pdf.get_warnings():
            raise Unreadable("The PDF is damaged, and names metadata that are not a stream.")
        return b""  # some writers name a font
    octets = _decoded(metadata, MAX_PACKET)
    if not octets.strip():
        raise Unreadable("The PDF names metadata that are empty.")
    return octets


def _stores(pdf: pikepdf.Pdf, body: bytes, bounds: Bounds) -> Iterator[bytes]:
    files = pdf.Root.get("/AF", pikepdf.Array())
    if not isinstance(files, pikepdf.Array) or len(files) > MAX_FILES:
        raise Unreadable(f"The PDF's associated files are not an array, or more than {MAX_FILES}.")
    bounds.check(len(files))
    streams: dict[tuple[int, int], pikepdf.Object] = {}
    for file in files:
        if isinstance(file, pikepdf.Dictionary) and file.get("/AFRelationship") == "/C2PA_Manifest":
            # One that is named again is the same; a stream is always an object of its own (7.3.8.1).
            streams.setdefault(file.EF.F.objgen, file.EF.F)
    left = MAX_STORE
    for stream in streams.values():
        store = _decoded(stream, left)
        left -= len(store)
        yield store
    if not streams and pdf.get_warnings() and b"/C2PA_Manifest" in body:
        raise Unreadable("The PDF is damaged, and its manifest store is not to be found.")


def _decoded(stream: pikepdf.Object, most: int) -> bytes:
    """Returns the contents of a stream; one that is longer than qpdf may inflate is inflated here."""
    try:
        octets = stream.read_bytes()
    except _ERRORS:
        if stream.get("/Filter") != "/FlateDecode" or "/DecodeParms" in stream:
            raise
        octets = Budget().inflated(stream.read_raw_bytes())
    if len(octets) > most:
        raise Unreadable(f"It has more than {human_size(most)}.")
    return octets
