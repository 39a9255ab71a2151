"""PDF documents (ISO 32000-2 14.3.2): the XMP packet of the catalog, and of nothing else in the file."""

from __future__ import annotations

import io

import pikepdf
from pikepdf import settings

from optout.model import Capture
from optout.readers.unreadable import Unreadable

MAX_PACKET = 8_388_608
"""A metadata stream that inflates to more octets is not read: 8 MiB."""
_MAX_STREAM = 67_108_864

# qpdf's own guards are off by default, and a cross-reference table can be a bomb as well as a picture can.
settings.set_qpdf_limits(
    doc_max_warnings=100,
    max_stream_filters=4,
    flate_max_memory=_MAX_STREAM,
    png_max_memory=_MAX_STREAM,
    run_length_max_memory=_MAX_STREAM,
    tiff_max_memory=_MAX_STREAM,
    dct_max_memory=_MAX_STREAM,
)


def is_pdf(capture: Capture) -> bool:
    """Whether an answer is a PDF document, by its octets; by its Content-Type if something precedes its header."""
    head = capture.body[:1024]
    return head.lstrip(b"\t\n\f\r \0").startswith(b"%PDF-") or (
        capture.media_type == "application/pdf" and b"%PDF-" in head
    )


def packet(capture: Capture) -> bytes:
    """The XMP packet of the newest revision, empty if there is none.

    Raises Unreadable for a file that cannot be opened without a password, is damaged where its metadata should be, or
    announces metadata that do not inflate.
    """
    try:
        with pikepdf.open(io.BytesIO(capture.body), suppress_warnings=True) as pdf:
            return _metadata(pdf, capture.body)
    except Unreadable:
        raise
    except pikepdf.PasswordError:
        raise Unreadable("The PDF asks for a password.") from None
    except (pikepdf.PdfError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(f"The PDF cannot be read: {error}.") from None


def _metadata(pdf: pikepdf.Pdf, body: bytes) -> bytes:
    metadata = pdf.Root.get("/Metadata")
    if metadata is None:
        # A cut file is repaired as far as it goes; what lay behind the cut is gone without a word.
        if pdf.get_warnings() and b"/Metadata" in body:
            raise Unreadable("The PDF is damaged, and its metadata are not to be found.")
        return b""
    if not isinstance(metadata, pikepdf.Stream):
        raise Unreadable("The PDF names metadata that are no stream.")
    octets = metadata.read_bytes()
    if len(octets) > MAX_PACKET:
        raise Unreadable(f"The PDF's metadata have more than {MAX_PACKET} octets.")
    if not octets.strip():
        raise Unreadable("The PDF names metadata that are empty.")
    return octets
