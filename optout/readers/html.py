"""HTML and XHTML pages: the elements in which a site says something, and one tree for links and text (WHATWG HTML)."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from optout.model import Capture
from optout.readers import xml
from optout.readers.markup import MAX_ATTRIBUTES, Skim, Tag, may_be_crowded, number_of_attributes, tags
from optout.readers.text import readable, to_utf8
from optout.readers.unreadable import Unreadable

MAX_OCTETS = 10_485_760
"""A larger page is not read: 10 MiB after content decoding."""
MAX_DEPTH = 500
"""How deep elements may be nested for a tree; Chromium stops at 512."""
MAX_OPTIONS = 20_000
"""How many options a tree may hold: the parser's time grows with their square."""
MAX_STEPS = 100_000_000
"""How much walking up the open elements a tree may cost; a page of ordinary shape costs less than a million."""

MAX_UNCHECKED_TAGS = 4_000
"""Up to how many tags a page is given to the parser whatever its shape."""

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_XML_TYPES = frozenset({"application/xhtml+xml", "application/xml", "text/xml"})
# https://mimesniff.spec.whatwg.org/ 7.1: the type is not known, so the octets are asked.
_UNKNOWN_TYPES = frozenset({"", "unknown/unknown", "application/unknown", "*/*"})
_LOOKS_LIKE_HTML = re.compile(
    rb"[\t\n\f\r ]*(?:<\?xml[^>]*>\s*)?(?:<!--|<(?:!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style"
    rb"|title|b|body|br|p|meta|link)[\t\n\f\r />])",
    re.IGNORECASE,
)
_XHTML = re.compile(rb"<(?:[a-z]+:)?html[^>]{0,2000}http://www\.w3\.org/1999/xhtml", re.IGNORECASE)

CHALLENGE_MARKS = (
    "captcha-delivery.com",
    "px-captcha",
    "_Incapsula_Resource",
    "sec-if-cpt-container",
    "bm-verify",
    "sucuri_cloudproxy_js",
    "window.KPSDK",
)
"""What stands in the markup or scripts of bot managers' challenge pages.

DataDome (its ``dd`` object and scripts), HUMAN (block template of its open-source enforcers), Imperva (the frame of its
incident page), Akamai Bot Manager (container and parameter of its interstitial), Sucuri (its redirect script), Kasada
(its bootstrap): as such pages are served; only the first two are described by their makers.
"""

# What the protocols look for, as cheap to find as octets can be; a page without any of it has no element of interest.
_WORDS = (
    b"tdm-",
    b"noai",
    b"noimageai",
    b"no-ai",
    b"nogenai",
    b"noml",
    b"notrain",
    b"no-train",
    b"tdm_",
    b"tdmre",
    b"isaccessibleforfree",
    b"h-captcha",
    b"g-recaptcha",
    b"cf-turnstile",
    *(mark.lower().encode() for mark in CHALLENGE_MARKS),
    b"rsl+xml",
    b"rsl&",  # Some template engines write the sign as a character reference.
)
# They are looked for by what several of them share.
_STEMS = {
    stem: tuple(word for word in _WORDS if stem in word)
    for stem in (b"tdm", b"captcha", b"rsl", *(w for w in _WORDS if not re.search(rb"tdm|captcha|rsl", w)))
}
_METAS = frozenset({b"meta"})
# A character reference may hide such a word, so one near the beginning of a name or value makes the page interesting;
# named ones and the numbers of quotation marks, ampersands and spaces hide no letter.
_REFERENCE = re.compile(
    rb"<meta[^>&]{0,60}?(?:name|content|itemprop)[ \t\r\n]{0,9}=[ \t\r\n]{0,9}[\"']?[\w\s,:-]{0,40}"
    rb"&#(?!0*(?:34|38|39|160|8\d{3});|x0*(?:22|26|27|a0|20..);)"
)
_PASSWORD = rb"type[\t\n\f\r ]*+=[\t\n\f\r ]*+[\"']?password"
_ASKS = re.compile(_PASSWORD)
_OF_INTEREST = re.compile(b"|".join((*map(re.escape, _WORDS), _PASSWORD)), re.IGNORECASE)
MAX_ELEMENTS = 1_000
"""How many elements of interest a page can have; more are no words of a site but an attack on its readers."""
MAX_HIDDEN = 10
"""How many meta elements an XHTML page can hold in places where HTML sees none."""
MAX_TEXT = 1_000
"""Up to where the visible text is counted."""


@dataclass(frozen=True, slots=True)
class Element:
    """A real element of a page.

    ``quote`` is its start tag as served, ``where`` an XPath; ``content`` the raw text of a script, or the first
    text within; ``item_types`` the ``itemtype`` of the nearest microdata item it lies in, by words (HTML 5.2.2), where
    an item property of the page is of interest.
    """

    name: str
    attributes: dict[str, str]
    quote: str
    where: str
    content: str = ""
    item_types: tuple[str, ...] = ()


@dataclass(slots=True)
class Page:
    """What a page's markup says: elements of interest in document order; visible characters, counted to MAX_TEXT."""

    elements: list[Element] = field(default_factory=list)
    text: int = 0

    def metas(self, name: str) -> list[Element]:
        """The meta elements of this name (in lower case): ``name`` is compared trimmed and without regard to case."""
        return [e for e in self.elements if e.name == "meta" and e.attributes.get("name", "").strip().lower() == name]


def is_html(capture: Capture) -> bool:
    """Whether an answer is an HTML or XHTML page: by its Content-Type, by its octets if it has none."""
    media_type = capture.media_type
    if media_type in HTML_TYPES:
        # Books and documents under a wrong name are told by their octets.
        return not capture.body.startswith((b"%PDF-", b"PK\x03\x04"))
    source = to_utf8(capture.body[:4096])
    if media_type in _XML_TYPES:
        return bool(_XHTML.search(source))
    return (media_type in _UNKNOWN_TYPES or "/" not in media_type) and bool(_LOOKS_LIKE_HTML.match(source))


def read(capture: Capture) -> Page:
    """The elements of interest, found once for a capture; an empty Page if it is no HTML. Raises Unreadable."""
    page: Page | None = capture.memo.get("html.page")
    if page is None:
        page = capture.memo["html.page"] = _read(capture) if is_html(capture) else Page()
    return page


def _read(capture: Capture) -> Page:
    if len(capture.body) > MAX_OCTETS:
        raise Unreadable(f"The page has more than {MAX_OCTETS} octets.")
    source, charset = source_of(capture)
    lower = source.lower()
    words = [word for stem, words in _STEMS.items() if stem in lower for word in words if word in lower]
    if not words and not _ASKS.search(lower) and not _REFERENCE.search(lower):
        return Page()
    page = _Reader(charset, _stops(lower, words)).read(source)
    if capture.media_type in _XML_TYPES:
        page.elements = _hidden_in_xml(source, page.elements) + page.elements
    return page


def _stops(lower: bytes, words: list[bytes]) -> list[int] | None:
    """Where something of interest stands in a page, in small letters; nothing if every tag has to be looked at."""
    if b"isaccessibleforfree" in words and b"itemprop" in lower and b"itemscope" in lower:
        return None  # what an item property is about is told by the elements around it
    found = [match.start() for match in _ASKS.finditer(lower)]
    for word in words:
        at = lower.find(word)
        while at >= 0:
            found.append(at)
            at = lower.find(word, at + len(word))
    return sorted(found)


class _Reader:
    """One pass over the tags of a page; ``stops`` is where something of interest stands, if the rest can be skimmed."""

    def __init__(self, charset: str, stops: list[int] | None) -> None:
        self._charset = charset
        self._skim = None if stops is None else Skim(_METAS, stops, is_on=False)
        self._page = Page()
        self._metas = 0
        # Open microdata items: element, types, how many elements of the same name are open since.
        self._items: list[tuple[bytes, tuple[str, ...]]] = []
        self._depths: list[int] = []

    def read(self, source: bytes) -> Page:
        pending: Tag | None = None
        end = 0
        for tag in tags(source, self._skim):
            if not (self._skim and self._skim.is_on):
                text = source[tag.text_from : tag.start]
                self._count(text)
                # Text may stand within further elements: <span itemprop="…"><b>false</b></span> (HTML 5.2.4).
                if pending is not None and (text.strip() or tag.is_end or pending.name in _VOID):
                    self._add(pending, source, text)
                    pending = None
                if self._skim is None:
                    self._scope(tag)
            end = tag.end + len(tag.content)
            if not tag.is_end and not tag.inert:
                pending = self._look_at(tag, source, pending)
            if self._skim:
                # Text that is counted, or that belongs to an element, stands between tags of no interest.
                self._skim.is_on = pending is None and self._page.text >= MAX_TEXT
        if pending is not None:
            self._add(pending, source, source[end : end + 100])
        self._count(source[end:])
        return self._page

    def _look_at(self, tag: Tag, source: bytes, pending: Tag | None) -> Tag | None:
        """Takes in a start tag of interest; the element, if any, that the text behind it belongs to."""
        self._metas += tag.name == b"meta"
        if tag.name == b"script":
            if _OF_INTEREST.search(tag.content) or _OF_INTEREST.search(tag.attributes):
                self._add(tag, source, tag.content)
        elif _OF_INTEREST.search(tag.attributes) or (tag.name == b"meta" and b"&" in tag.attributes):
            if pending is not None:
                self._add(pending, source, b"")
            return tag
        return pending

    def _count(self, text: bytes) -> None:
        if self._page.text < MAX_TEXT:
            self._page.text += len(b" ".join(text.split()).decode(self._charset, "replace"))

    def _add(self, tag: Tag, source: bytes, content: bytes) -> None:
        if len(self._page.elements) == MAX_ELEMENTS:
            raise Unreadable(f"The page has more than {MAX_ELEMENTS} elements that could reserve it.")
        name = tag.name.decode("ascii", "replace")
        line = source.count(b"\n", 0, tag.start) + 1
        where = f"line {line}, (//meta)[{self._metas}]" if name == "meta" else f"line {line}, {name}"
        types = self._items[-1][1] if self._items else ()
        quote = readable(source[tag.start : tag.end])
        text = content.decode(self._charset, "replace")
        self._page.elements.append(Element(name, tag.attribute(self._charset), quote, where, text, types))

    def _scope(self, tag: Tag) -> None:
        """Follows a tag into and out of microdata items."""
        if self._items and self._items[-1][0] == tag.name:
            self._depths[-1] += -1 if tag.is_end else 1
            if not self._depths[-1]:
                self._items.pop()
                self._depths.pop()
        if not tag.is_end and b"itemscope" in tag.attributes.lower() and tag.name not in _VOID:
            types = tuple(tag.attribute(self._charset).get("itemtype", "").split())
            self._items.append((tag.name, types))
            self._depths.append(1)


def _hidden_in_xml(source: bytes, known: list[Element]) -> list[Element]:
    """The meta elements that XML knows and HTML does not: there ``<title/>`` and ``<script/>`` hold the rest of a page.

    What is no well-formed XML is shown by no reader of XHTML, so that the tags alone count.
    """
    try:
        root = xml.parse(source)
    except Unreadable:
        return []
    seen = [element.attributes for element in known if element.name == "meta"]
    found = []
    for number, node in enumerate(root.iter("{http://www.w3.org/1999/xhtml}meta"), 1):
        attributes = {str(key): str(value) for key, value in node.attrib.items()}
        if _OF_INTEREST.search(" ".join(attributes.values()).encode()) and attributes not in seen:
            found.append(Element("meta", attributes, _as_written(attributes, source), f"(//meta)[{number}]"))
            if len(found) > MAX_HIDDEN:
                raise Unreadable(f"The page has more than {MAX_HIDDEN} meta elements that XML alone shows.")
    return found


def _as_written(attributes: dict[str, str], source: bytes) -> str:
    """The start tag of a meta element that only XML knows: it is looked for wherever it may stand."""
    for match in re.finditer(rb"<(?:[a-z]+:)?meta[\s/]", source):
        tag = next(tags(source[match.start() : match.start() + 4096]), None)
        if tag is not None and tag.attribute() == attributes:
            return readable(source[match.start() : match.start() + tag.end])
    raise Unreadable("A meta element of the page was not found in its source.")


_VOID = frozenset(b"area base br col embed hr img input link meta source track wbr param keygen frame".split())
_END_OPTIONAL = frozenset(
    b"html head body p li dt dd tr td th thead tbody tfoot colgroup caption rp rt option optgroup".split()
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)


def source_of(capture: Capture) -> tuple[bytes, str]:
    """The octets of a page in an encoding that has ASCII as ASCII, and that encoding's name in Python.

    By byte order mark, header, markup, or a guess (HTML 13.2.3.2). UTF-16 is turned into UTF-8.
    """
    body = capture.body
    if body.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return to_utf8(body), "utf-8"
    content_type = next(iter(capture.header("content-type")), "")
    label = content_type.lower().partition("charset=")[2].partition(";")[0].strip("\"' \t")
    charset = map_encoding_to_html5(label, False) if label else None
    if charset and charset.startswith("utf-16"):
        return body.decode(charset, "replace").encode(), "utf-8"
    declared = _CHARSET.search(body[:1024])
    if charset is None and declared:
        charset = map_encoding_to_html5(declared[1].decode("ascii", "replace"), False)
    # A page whose markup could be read so far is no UTF-16, whatever it says of itself.
    if charset is None or charset.startswith("utf-16"):
        charset = _guess(body)
    return body, charset


def _guess(body: bytes) -> str:
    try:
        body.decode()
    except UnicodeDecodeError:
        return detect_encoding(body) or "cp1252"
    return "utf-8"


def parse(capture: Capture) -> HTMLTree | None:
    """The tree of an HTML page; nothing for other captures. It must stay in the thread that asked for it.

    Raises Unreadable for a page that would take a parser minutes or gigabytes (see the limits above).
    """
    return _parse(capture) if is_html(capture) else None


def _parse(capture: Capture) -> HTMLTree:
    if len(capture.body) > MAX_OCTETS:
        raise Unreadable(f"The page has more than {MAX_OCTETS} octets.")
    source, charset = source_of(capture)
    if _may_be_costly(source):
        _check_shape(source)
    return HTMLTree.parse(bytes_to_str(source, charset, errors="replace"))


# Attributes as almost everybody writes them, so that nobody can disagree about where the tag ends.
_PLAIN = rb"(?:\s++[^\s\"'=<>/\x00]++(?:=(?:\"[^\"<\x00]*+\"|'[^'<\x00]*+'|[^\s\"'=<>\x00]++))?+)*+\s*+"
_LEAF = re.compile(
    rb"<(?:(a|abbr|article|aside|b|blockquote|cite|code|d[dlt]|div|em|footer|h[1-6]|header|i|kbd|li|main|nav|ol|p|pre"
    rb"|section|small|span|strong|sub|sup|t[dhrt]|table|tbody|thead|ul|var)" + _PLAIN + rb">[^<]*+</\1>"
    rb"|(?:br|hr|img|wbr)" + _PLAIN + rb"/?+>)",
    re.IGNORECASE,
)
_WAS_LEAF = b"\0"
"""Stands for an element taken off: text may hold it, but no plain attribute, whose quotes it could have broken."""
_PASSES = 8
"""How often leaves are taken off; so much deeper than what is left can a page be nested."""


def _may_be_costly(source: bytes) -> bool:
    """Whether a tree of this source may take long; much quicker than walking over its tags, and never wrongly no.

    Few tags cost little in any order, a fifth of a second at worst. What a tag costs grows with the elements that are
    open before it, and an element that is closed right behind what it holds is none of these. Attributes cost by the
    square of their number.
    """
    number = source.count(b"<")
    left, passes = source, 0
    while number > MAX_UNCHECKED_TAGS and 2 * number * left.count(b"<") > MAX_UNCHECKED_TAGS**2:
        if passes == _PASSES:
            return True
        left = _LEAF.sub(_WAS_LEAF, left)
        passes += 1
    return may_be_crowded(source)


# 13.2.4.3: these are made anew wherever they are left open, so that each open one costs much more than a step.
_FORMATTING = frozenset(b"a b big code em font i nobr s small strike strong tt u".split())
_FORMATTING_COST = 100
_ROOT = frozenset({b"html", b"body"})


def _check_shape(source: bytes) -> None:
    """Raises Unreadable where tree construction (HTML 13.2.6) would get out of proportion."""
    still_open: dict[bytes, int] = {}
    depth = formatting = options = on_root = steps = 0
    for name, is_end, attributes, _, _, _, _, _, foreign in tags(source):
        steps += formatting
        if len(attributes) > MAX_ATTRIBUTES:
            _bound(number_of_attributes(attributes), MAX_ATTRIBUTES, "attributes on one element")
        if name in _END_OPTIONAL:
            steps += depth
            if name == b"option":
                options += 1
            elif name in _ROOT:
                # 13.2.6.4.7: attributes of further html and body tags are added to the first.
                on_root += number_of_attributes(attributes)
                _bound(on_root, MAX_ATTRIBUTES, "attributes on its root")
        elif name not in _VOID and not (foreign and attributes.endswith(b"/")):
            count = still_open.get(name, 0)
            if is_end and not count:
                # An end tag without its start tag closes nothing, but is looked for.
                steps += depth
                continue
            change = -1 if is_end else 1
            still_open[name] = count + change
            depth += change
            if name in _FORMATTING:
                formatting += change * _FORMATTING_COST
            if depth > MAX_DEPTH:
                break
    _bound(depth, MAX_DEPTH, "levels of nested elements")
    _bound(options, MAX_OPTIONS, "options")
    _bound(steps, MAX_STEPS, "steps through open elements")


def _bound(number: int, limit: int, what: str) -> None:
    if number > limit:
        raise Unreadable(f"The page has more than {limit} {what}.")
