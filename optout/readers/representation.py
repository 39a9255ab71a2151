"""What an HTTP answer is: its media type, whether it is complete, its character encoding and its text.

The one place where Content-Type is read and where the body of a page becomes text: protocols, links and the corpus ask
here, so that all of them see the same. robots.txt, ai.txt, trust.txt and JSON have an encoding by their own
specifications (``text``).

Media type: Fetch standard, "extract a MIME type"; MIME Sniffing standard 7. Encoding: HTML 13.2.3.2, XML 1.0 4.3.3 and
appendix F; decoders of the Encoding standard, as turbohtml has them.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cached_property

import turbohtml
import turbohtml.detect  # registers the codecs "whatwg-…"

from forbear.optout.model import Capture
from forbear.optout.readers import mime, tree_bounds
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.text import readable

MAX_LOCATED = 5_242_880
"""Bytes of a page of which the place of each element is known: 5 MiB."""

MAX_SEARCHES = 50
"""Quotations from ISO-2022-JP with bytes of no character: for each, the page is decoded from its beginning."""

HTML = "text/html"
XHTML = "application/xhtml+xml"
HTML_TYPES = frozenset({HTML, XHTML})

_XHTML_MP = "application/vnd.wap.xhtml+xml"  # XHTML Mobile Profile
_UNKNOWN = frozenset({"", "unknown/unknown", "application/unknown", "*/*"})  # MIME Sniffing 7, step 2
# 5.1: what Apache sent for files that it did not know.
_APACHE = frozenset(
    {"text/plain", "text/plain; charset=ISO-8859-1", "text/plain; charset=iso-8859-1", "text/plain; charset=UTF-8"}
)
_MARKDOWN = frozenset({"text/markdown", "text/x-markdown"})
# What may precede the first tag of a page whose type says that it is something else, and the root element of XHTML.
_PROLOG = re.compile(rb"(?:\xef\xbb\xbf)?(?:[\t\n\f\r ]++|<!--.*?-->|<\?[^>]*+>)*+", re.DOTALL)
_DOCTYPE = re.compile(rb"(?:<!DOCTYPE[^\[>]*+(?:\[[^\]]*+\][^>]*+)?>)?", re.IGNORECASE)
_DOCUMENT = rb"!doctype[\t\n\f\r ]++html|html|head|body|title|meta"
_FRAGMENT = _DOCUMENT + (
    rb"|script|iframe|h[1-6]|div|font|table|a|style|b|br|p|link|base|address|applet|article|aside|big|blockquote|button"
    rb"|center|code|details|dialog|dl|em|embed|fieldset|figure|footer|form|frameset|header|hr|i|img|input|label|li|main"
    rb"|map|marquee|menu|nav|nobr|noscript|object|ol|picture|pre|section|select|small|span|strong|template|u|ul|video"
)
_LOOKS_LIKE_DOCUMENT, _LOOKS_LIKE_HTML = (
    re.compile(rb"<(?:" + tags + rb")[\t\n\f\r />]", re.IGNORECASE) for tags in (_DOCUMENT, _FRAGMENT)
)
_LOOKED_AT = 4_096
"""Bytes of a page in which its encoding is looked for if there are too many tags to read it all."""
_XHTML_ROOT = re.compile(rb"<(?:[a-z]+:)?html[^>]{0,2000}http://www\.w3\.org/1999/xhtml", re.IGNORECASE)

_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be"}
# XML 1.0 appendix F, HTML 13.2.3.2: "<" and a second sign in two bytes each, as no page in another encoding begins.
_WITHOUT_MARK = ((re.compile(rb"<\0[!-~]\0"), "utf-16le"), (re.compile(rb"\0<\0[!-~]"), "utf-16be"))
_XML_ENCODING = re.compile(rb"<\?xml[^>]{0,1000}?\bencoding\s*=\s*[\"']\s*([\w.:-]{1,40})", re.IGNORECASE)
_GUESSED_BY = 65_536
_DIGITS = 20
_CODED = 1_024
_LONGEST = 4
"""Bytes of a character, at most; ISO-2022-JP has escapes beside."""


class Representation:
    """What an answer is.

    ``media_type`` is the type/subtype by which text and links are taken from it, in lower case; empty if nothing is
    known. ``stated`` is what Content-Type says, empty if that cannot be read. ``readings`` are all types that it is
    read as for reservations: those of every Content-Type that is valid, the media type, and HTML or XHTML if the bytes
    are that, whatever they are called. ``is_page`` means that text and links are taken from it as from HTML,
    ``is_complete`` is False if the header fields announce more bytes than there are.
    """

    def __init__(self, capture: Capture) -> None:
        self._body = capture.body
        types = mime.valid(capture.header("content-type"))
        self._supplied = mime.extract(types)
        self.stated = self._supplied.essence if self._supplied else ""
        self.media_type = self._computed(capture.header("content-type"))
        looks = self._looks()
        self.readings = frozenset({self.media_type, looks, *(each.essence for each in types)}) - _UNKNOWN
        self.is_page = self.media_type in HTML_TYPES or looks == XHTML
        self.is_complete = _is_complete(capture)
        self._last, self._searches = (0, 0), 0

    def _computed(self, fields: list[str]) -> str:
        """Returns the computed MIME type (MIME Sniffing 7).

        Our own: HTML that begins like a document, picture or archive is one of these, as its text would be noise.
        """
        essence = self.stated
        if essence in _UNKNOWN:
            return self._sniffed() if self._body else ""
        if len(fields) == 1 and fields[0] in _APACHE:
            return mime.text_or_binary(self._body)
        return (mime.signature(self._body[: mime.MAX_HEADER]) or essence) if essence in HTML_TYPES else essence

    def _sniffed(self) -> str:
        is_html = self._begins(_LOOKS_LIKE_HTML) and not self._is_rooted_in_xhtml()
        return HTML if is_html else mime.sniff(self._body)

    def _looks(self) -> str:
        """Returns HTML or XHTML if the bytes are that and the type is something else."""
        if self.media_type in HTML_TYPES:
            return ""
        if self.media_type == _XHTML_MP:
            return XHTML
        is_xml = self.media_type in ("text/xml", "application/xml") or self.media_type.endswith("+xml")
        if is_xml and self._is_rooted_in_xhtml():
            return XHTML
        return HTML if self._begins(_LOOKS_LIKE_DOCUMENT if self.media_type in _MARKDOWN else _LOOKS_LIKE_HTML) else ""

    def _begins(self, tag: re.Pattern[bytes]) -> bool:
        """Returns whether one of these tags comes first, after white space and comments."""
        octets = self._ascii
        return tag.match(octets, _end(_PROLOG, octets, 0)) is not None

    def _is_rooted_in_xhtml(self) -> bool:
        octets = self._ascii
        at = _end(_PROLOG, octets, _end(_DOCTYPE, octets, _end(_PROLOG, octets, 0)))
        return _XHTML_ROOT.match(octets, at) is not None

    @property
    def _ascii(self) -> bytes:
        """Returns bytes of the body in which ASCII can be searched for."""
        return self.source if self._wide else self._body

    @property
    def is_html(self) -> bool:
        """Returns whether it is read as HTML, which XHTML is too."""
        return not HTML_TYPES.isdisjoint(self.readings)

    @property
    def is_xhtml(self) -> bool:
        """Returns whether it is read as XML as well."""
        return XHTML in self.readings

    # --- encoding and text

    @cached_property
    def _declared(self) -> str:
        """Returns the encoding that a byte order mark or Content-Type states: nothing in the page can change it."""
        for mark, encoding in _MARKS.items():
            if self._body.startswith(mark):
                return encoding
        return encoding_of((self._supplied and self._supplied.parameter("charset")) or "")

    @cached_property
    def _wide(self) -> str:
        """Returns UTF-16 if the body is in it, so that ASCII takes two bytes a letter; else nothing."""
        encoding = self._declared or next((name for begin, name in _WITHOUT_MARK if begin.match(self._body)), "")
        return encoding if encoding.startswith("utf-16") else ""

    @cached_property
    def encoding(self) -> str:
        """Returns the name of its encoding in the Encoding standard, in lower case."""
        stated = self._declared or self._wide or (self._in_markup() if self.is_html else "")
        if not stated and (match := _XML_ENCODING.match(self._body)):
            stated = encoding_of(match[1].decode())
        return stated or self._guessed()

    def _in_markup(self) -> str:
        """Returns what a meta element says: the prescan of 13.2.3.2, and one further behind by 13.2.6.4.4."""
        try:
            tree_bounds.check(self._body)
            found = turbohtml.parse(self._body, positions=False)
        except Unreadable:
            found = turbohtml.parse(self._body[:_LOOKED_AT], positions=False)
        return (found.encoding or "").lower() if found.encoding_confidence == "certain" else ""

    def _guessed(self) -> str:
        """Returns UTF-8 if the body is valid UTF-8, else a guess by the frequency of characters (13.2.3.2, 7 to 9)."""
        try:
            self._body.decode()
        except UnicodeDecodeError:
            return (turbohtml.detect.detect(self._body[:_GUESSED_BY]).encoding or "windows-1252").lower()
        return "utf-8"

    def decode(self, octets: bytes) -> str:
        """Decodes a part of the body; what is not in the encoding becomes U+FFFD, and nothing is tried again."""
        return octets.decode(f"whatwg-{self._wide or self.encoding}", "replace")

    @cached_property
    def text(self) -> str:
        """Returns the body as text, without a byte order mark, each line end as one character (HTML 13.2.3.5)."""
        return self._written.replace("\r\n", "\n").replace("\r", "\n") if "\r" in self._written else self._written

    @cached_property
    def _written(self) -> str:
        return self.decode(self._body).removeprefix("\ufeff")

    @property
    def searchable(self) -> bytes:
        """Returns bytes in which every ASCII character of the text is itself."""
        # The bytes of ISO-2022-JP are ASCII's, and mean something else behind an escape (Encoding standard 12.2).
        return self.source if self._wide or (b"\x1b" in self._body and self.encoding == "iso-2022-jp") else self._body

    @cached_property
    def source(self) -> bytes:
        """Returns the text in UTF-8."""
        return self.text.encode()

    def quote(self, start: int, end: int) -> str:
        """Quotes a part of ``text`` as it was served; bytes that are not its encoding's are shown by ``readable``."""
        quoted = self._written[self._place(start) : self._place(end)]
        return readable(self.octets(start, end) if "\ufffd" in quoted else quoted.encode())

    def octets(self, start: int, end: int) -> bytes:
        """Returns the bytes of the body that a part of ``text`` was decoded from."""
        return self._body[self._offset(self._place(start)) : self._offset(self._place(end))]

    @cached_property
    def _pairs(self) -> list[int]:
        """Returns where in ``text`` a line ends that was ended by two characters."""
        return [match.start() - number for number, match in enumerate(re.finditer("\r\n", self._written))]

    def _place(self, position: int) -> int:
        """Returns where a position of ``text`` is in the text as it was written."""
        return position + bisect_left(self._pairs, position)

    def _offset(self, position: int) -> int:
        """Returns the byte offset of a character position: the largest whose text is not longer than that.

        It counts from the position last asked for, since quotations come in the order of the page.
        """
        mark = next((mark for mark in _MARKS if self._body.startswith(mark)), b"")
        known, begin = self._last if self._last[0] <= position else (0, len(mark))
        begin, end = max(begin, len(mark)), len(self._body)
        if self.encoding == "iso-2022-jp":  # what bytes mean depends on all before them
            known, begin = 0, len(mark)
            self._searches += 1
            if self._searches > MAX_SEARCHES:
                raise Unreadable(f"The page has more than {MAX_SEARCHES} quotations with octets of no character.")
        else:
            end = min(end, begin + _LONGEST * (position - known + 1))
        wanted = position - known
        places = range(begin, end + 1)
        found = places[bisect_right(places, wanted, key=lambda at: len(self.decode(self._body[begin:at]))) - 1]
        if self.decode(self._body[begin:found]) == self._written[known:position]:
            self._last = (position, found)
        return found

    @cached_property
    def document(self) -> turbohtml.Document:
        """Returns the tree of the HTML standard; up to MAX_LOCATED with the place of each element in ``text``.

        Raises Unreadable for a page beyond ``tree_bounds``, and for an encoding that is decoded by nobody.
        """
        if self.encoding == "replacement":
            raise Unreadable("The page is in an encoding that browsers do not decode (Encoding standard 4.2).")
        tree_bounds.check(self.source)
        located = len(self.source) <= MAX_LOCATED
        return turbohtml.parse(self.text, source_locations=located, allow_declarative_shadow_roots=False)


def of(capture: Capture) -> Representation:
    """Returns what an answer is, worked out once for a capture."""
    known: Representation | None = capture.memo.get("representation")
    if known is None:
        known = capture.memo["representation"] = Representation(capture)
    return known


def _end(pattern: re.Pattern[bytes], octets: bytes, at: int) -> int:
    match = pattern.match(octets, at)
    return match.end() if match else at


def encoding_of(label: str) -> str:
    """Returns the encoding of a label (Encoding standard 4.2), in lower case; empty for a label of none."""
    try:
        return (turbohtml.parse(b"", encoding=label).encoding or "").lower() if label else ""
    except LookupError:
        return ""


def _is_complete(capture: Capture) -> bool:
    """Returns whether the body is as long as the header fields say (RFC 9112 6.3); chunks say it by themselves.

    Of several lengths the greatest counts, and one that cannot be read says that nobody knows.
    """
    lengths = [length.strip() for field in capture.header("content-length") for length in field.split(",")]
    if not lengths or any(capture.header("transfer-encoding")):
        return True
    if not all(length.isascii() and length.isdigit() and len(length) < _DIGITS for length in lengths):
        return False
    most = len(capture.body)
    if any(coding.strip() not in ("", "identity") for coding in capture.header("content-encoding")):
        most += most // 64 + _CODED  # it is the length of what was sent, which is longer at most by so much
    return max(map(int, lengths)) <= most
