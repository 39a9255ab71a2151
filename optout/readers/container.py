"""What kind of file an answer is, by its first octets: what Content-Type says of images is often wrong."""

from __future__ import annotations

import re
from enum import StrEnum

from optout import representation
from optout.model import Capture
from optout.readers import pdf
from optout.readers.text import to_utf8


class Container(StrEnum):
    """The media type of each kind of file that carries metadata about itself."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    GIF = "image/gif"
    WEBP = "image/webp"
    TIFF = "image/tiff"
    BMFF = "video/mp4"
    """ISO/IEC 14496-12: AVIF and HEIC images, and most videos."""
    SVG = "image/svg+xml"
    PDF = "application/pdf"
    JPEG_XL = "image/jxl"
    RIFF = "audio/wav"
    MP3 = "audio/mpeg"
    FLAC = "audio/flac"
    ZIP = "application/zip"
    """Books and office documents too."""


PICTURES = frozenset({*list(Container)[:5], "image/jpg", "image/apng", "image/avif", "image/heic", "image/heif"})
"""The types of pictures whose metadata is read: what is called so and begins like none of them is unreadable."""

_MAGIC = (
    (b"\xff\xd8\xff", Container.JPEG),
    (b"\x89PNG\r\n\x1a\n", Container.PNG),
    (b"GIF87a", Container.GIF),
    (b"GIF89a", Container.GIF),
    (b"II*\0", Container.TIFF),
    (b"MM\0*", Container.TIFF),
    (b"II+\0", Container.TIFF),
    (b"MM\0+", Container.TIFF),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Container.JPEG_XL),
    (b"RIFF", Container.RIFF),
    (b"ID3", Container.MP3),
    (b"fLaC", Container.FLAC),
    (b"PK\x03\x04", Container.ZIP),
)
# XML 1.0 2.8: what may stand before the root element.
_SVG = re.compile(
    rb"\s*+(?:<\?[^>]*+>\s*+|<!--.*?-->\s*+|<!DOCTYPE[^\[>]*+(?:\[[^\]]*+\]\s*+)?>\s*+)*+<(?:[\w.-]++:)?svg[\s/>]",
    re.DOTALL,
)
_PROLOG = 65_536
"""How many octets may stand before the root element of an SVG image whose Content-Type is another."""


def of(capture: Capture) -> Container | None:
    """The container of an answer, or nothing if it is none of these."""
    body = capture.body
    if body[4:8] == b"ftyp":
        return Container.BMFF
    for magic, container in _MAGIC:
        if body.startswith(magic):
            return Container.WEBP if container is Container.RIFF and body[8:12] == b"WEBP" else container
    if pdf.is_pdf(capture):
        return Container.PDF
    # A page that begins with a drawing is a page.
    if representation.of(capture).media_type not in representation.HTML_TYPES and _SVG.match(to_utf8(body[:_PROLOG])):
        return Container.SVG
    return Container.SVG if representation.of(capture).media_type == Container.SVG else None
