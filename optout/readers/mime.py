"""Parses media types, and recognises bytes without one (MIME Sniffing standard).

Parsing is 4.4, several fields and lists are combined as in the Fetch standard's "extract a MIME type"; what bytes
look like is 7.1, with the tables of 6.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_HEADER = 1_445
"""Bytes that are looked at (5.2, the resource header)."""

# 3: HTTP whitespace, token and quoted-string token code points.
_SPACE = "\t\n\r "
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile("[\t\x20-\x7e\x80-\xff]*")
# 4.4, steps 11: a name, and a value in quotes or up to the next semicolon.
_PARAMETER = re.compile(
    r'[\t\n\r ]*+([^;=]*+)(?:=(?:"((?:[^"\\]|\\.)*+)("|\\?+\Z)[^;]*+|([^;]*+)))?+(?:;|\Z)', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MimeType:
    """A media type: ``essence`` is type/subtype in lower case, ``parameters`` have their names in lower case."""

    essence: str
    parameters: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str) -> str | None:
        """Returns the value of a parameter; None if there is none."""
        return next((value for key, value in self.parameters if key == name), None)

    def __str__(self) -> str:
        """Serialises it (4.5)."""
        return self.essence + "".join(f";{name}={_quoted(value)}" for name, value in self.parameters)


def _quoted(value: str) -> str:
    if _TOKEN.fullmatch(value):
        return value
    return '"{}"'.format(re.sub(r'(["\\])', r"\\\1", value))


def parse(text: str) -> MimeType | None:
    """Returns the media type that one value states; None if it cannot be parsed (4.4)."""
    kind, slash, rest = text.strip(_SPACE).partition("/")
    subtype, _, rest = rest.partition(";")
    subtype = subtype.rstrip(_SPACE)
    if not (slash and _TOKEN.fullmatch(kind) and _TOKEN.fullmatch(subtype)):
        return None
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(rest):
        name, quoted, end, plain = match.groups()
        # A value in quotes may be empty; a backslash at the end of the input is literal.
        value = (plain or "").rstrip(_SPACE) if quoted is None else _ESCAPED.sub(r"\1", quoted) + end.strip('"')
        if (value or quoted is not None) and _TOKEN.fullmatch(name) and _VALUE.fullmatch(value):
            parameters.setdefault(name.lower(), value)
    return MimeType(f"{kind}/{subtype}".lower(), tuple(parameters.items()))


_PART = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+(?:"|\\?+\Z))*+', re.DOTALL)


def split(values: Sequence[str]) -> list[str]:
    """Returns the members of a list in one or several fields (Fetch, "get, decode, and split")."""
    text, at = ", ".join(values), 0
    found = []
    while at <= len(text):
        part = _PART.match(text, at)
        assert part is not None, "the pattern matches nothing at all"
        found.append(part[0].strip("\t "))
        at = part.end() + 1
    return found


def valid(values: Sequence[str]) -> list[MimeType]:
    """Returns the media types among the members of all fields, in order; ``*/*`` says nothing."""
    return [found for part in split(values) if (found := parse(part)) and found.essence != "*/*"]


def extract(types: Sequence[MimeType]) -> MimeType | None:
    """Returns the media type that counts, the last one, with the charset that goes with it (Fetch).

    A type that is stated again without a charset keeps that of the time before.
    """
    charset: str | None = None
    last: MimeType | None = None
    for each in types:
        own = each.parameter("charset")
        if last is None or each.essence != last.essence:
            charset = own
        elif own is None and charset is not None:
            each = MimeType(each.essence, (*each.parameters, ("charset", charset)))  # noqa: PLW2901
        last = each
    return last


# 7.1: what HTML begins with, behind white space; a blank or ">" follows the name.
_TAGS = rb"!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p"
_HTML = re.compile(rb"[\t\n\f\r ]*+<(?:(?:" + _TAGS + rb")[ >]|!--)", re.IGNORECASE)
_XML = re.compile(rb"[\t\n\f\r ]*+<\?xml")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")
# 6.1, 6.2, 6.4 and 7.1: what begins so is not text, whatever its Content-Type.
_SIGNATURES = (
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"%!PS-Adobe-"), "application/postscript"),
    (re.compile(rb"\x00\x00[\x01\x02]\x00"), "image/x-icon"),
    (re.compile(rb"BM"), "image/bmp"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBPVP", re.DOTALL), "image/webp"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"FORM....AIFF", re.DOTALL), "audio/aiff"),
    (re.compile(rb"ID3"), "audio/mpeg"),
    (re.compile(rb"OggS\x00"), "application/ogg"),
    (re.compile(rb"MThd\x00\x00\x00\x06"), "audio/midi"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "video/avi"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wave"),
    (re.compile(rb"....ftyp(?:....)*?mp4", re.DOTALL), "video/mp4"),
    (re.compile(rb"\x1a\x45\xdf\xa3.{0,34}?webm", re.DOTALL), "video/webm"),
    (re.compile(rb"\x1f\x8b\x08"), "application/x-gzip"),
    (re.compile(rb"PK\x03\x04"), "application/zip"),
    (re.compile(rb"Rar!\x1a\x07\x00"), "application/x-rar-compressed"),
)


def signature(head: bytes) -> str:
    """Returns the type of a document, image, sound, video or archive by how it begins; empty for others."""
    return next((essence for pattern, essence in _SIGNATURES if pattern.match(head)), "")


def sniff(head: bytes) -> str:
    """Returns the type of bytes without a declared type (7.1)."""
    head = head[:MAX_HEADER]
    if _HTML.match(head):
        return "text/html"
    if _XML.match(head):
        return "text/xml"
    if head.startswith(_BYTE_ORDER_MARKS):
        return "text/plain"
    return signature(head) or text_or_binary(head)


def text_or_binary(head: bytes) -> str:
    """Returns text/plain, or application/octet-stream for bytes that no text holds (7.2)."""
    is_text = head.startswith(_BYTE_ORDER_MARKS) or not _BINARY.search(head, 0, MAX_HEADER)
    return "text/plain" if is_text else "application/octet-stream"
