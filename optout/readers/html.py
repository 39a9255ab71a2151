"""Reads HTML and XHTML pages: the elements in which a site says something (WHATWG HTML; XML 1.0 for XHTML).

How it works. No two kinds of readers see the same elements in a broken page, and a site may have tested its
reservation with any of them. So a page is read in up to three ways, from the strictest to the simplest:

- ``_in_xml``: as XML, if it is served as XHTML and well-formed;
- ``_in_tree``: as the tree of the HTML standard, which is what browsers show;
- ``_in_tags``: as a flat run of tags (``markup``).

What XML or the tree has goes into ``elements``. What only the run of tags has goes into ``doubtful``: here a meta
element that the tree drops, since a frameset holds only frames (13.2.6.4.20).

>>> body = b'<meta name="robots" content="noai"><frameset><meta name="tdm-reservation" content="1">'
>>> page = read(Capture("https://a.example/", 200, (("Content-Type", "text/html"),), body))
>>> [(element.attributes["name"], element.where) for element in page.elements]
[('robots', 'line 1, (//meta)[1]')]
>>> [(element.attributes["name"], element.where) for element in page.doubtful]
[('tdm-reservation', 'line 1, (//meta)[2]')]

Building a tree is expensive, and most pages reserve nothing, so the page is first searched for the words of all
protocols (_WORDS). A page without any has no element of interest, so no tree is built. Words can be written in
character references or escapes (13.2.5.80, RFC 8259 7): where such a sign might hide a letter of a word, the page
counts as having all of them. Of the elements, only those with one of the words are kept (``_Sought``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import turbohtml

from forbear.optout.model import Capture
from forbear.optout.readers import representation, xml_source
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.markup import tags
from forbear.optout.readers.representation import MAX_LOCATED, Representation
from forbear.optout.readers.text import human_size, readable
from forbear.optout.readers.xml_names import NotXml

CHALLENGE_MARKS = (
    "captcha-delivery.com",
    "px-captcha",
    "_Incapsula_Resource",
    "sec-if-cpt-container",
    "bm-verify",
    "sucuri_cloudproxy_js",
    "window.KPSDK",
)
"""Parts of the markup or scripts of bot managers' challenge pages.

DataDome (its ``dd`` object and scripts), HUMAN (block template of its open-source enforcers), Imperva (the frame of its
incident page), Akamai Bot Manager (container and parameter of its interstitial), Sucuri (its redirect script), Kasada
(its bootstrap): as such pages are served; only the first two are described by their makers.
"""

# What the protocols look for; a page without any of it has no element of interest.
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
    b"tdm:",
    b"tdmre",
    b"isaccessibleforfree",
    b"h-captcha",
    b"g-recaptcha",
    b"cf-turnstile",
    *(mark.lower().encode() for mark in CHALLENGE_MARKS),
    b"rsl+xml",
)
_ASKS = re.compile(rb"type[\t\n\f\r ]*+=[\t\n\f\r ]*+[\"']?[\t\n\f\r ]*+password")
# A character reference or an escape of JSON may hide a letter, digit or sign of such a word: 13.2.5.80, RFC 8259 7.
_HIDDEN = re.compile(
    rb"&#(?:0*+(?:4[35]|95|4[89]|5[0-7]|6[5-9]|[78]\d|9[07-9]|1[01]\d|12[0-2])(?!\d)"
    rb"|x0*+(?:2[bd]|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a])(?![\da-f]))"
    rb"|&(?:plus|lowbar|hyphen|dash|underbar);|\\u00(?:4[1-9a-f]|5[\da]|6[1-9a-f]|7[\da])",
    re.IGNORECASE,
)
DOUBTFUL = "By the HTML standard this is not an element of the page, though a simple reader of tags sees one."
"""The note on what only the flat reader sees."""
MAX_OCTETS = MAX_LOCATED
"""A larger page with any of these words is not read: 5 MiB; the positions of its tags take most of the memory."""
MAX_ELEMENTS = 1_000
"""How many elements of interest a page can have; more are not the words of a site but an attack on its readers."""
MAX_TAG = 65_536
"""Characters of the start tag of an element of interest."""
MAX_TEXT = 1_000
"""How many characters of visible text are counted."""
_INVISIBLE = frozenset({"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "template"})


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a page.

    ``quote`` is its start tag as served, ``where`` its line and an XPath; ``content`` the raw text of a script, or the
    first text within; ``item_types`` the ``itemtype`` of the nearest microdata item it lies in, by words (HTML 5.2.2).
    """

    name: str
    attributes: dict[str, str]
    quote: str
    where: str
    content: str = ""
    item_types: tuple[str, ...] = ()


@dataclass(slots=True)
class HtmlPage:
    """What a page's markup says.

    ``elements`` are those of interest, in document order; ``doubtful`` those that only a reader of tags sees;
    ``text`` the number of visible characters, counted to MAX_TEXT; ``base`` the first ``href`` of a base element.
    """

    elements: list[Element] = field(default_factory=list)
    doubtful: list[Element] = field(default_factory=list)
    text: int = 0
    base: str | None = None


def is_html(capture: Capture) -> bool:
    """Returns whether an answer is read as an HTML or XHTML page."""
    return representation.of(capture).is_html


def metas(elements: list[Element], name: str) -> list[Element]:
    """Returns the meta elements of a name, in lower case; names are compared trimmed and without regard to case."""
    return [e for e in elements if e.name == "meta" and e.attributes.get("name", "").strip().lower() == name]


def base(document: turbohtml.Document) -> str | None:
    """Returns what the first base element that has an ``href`` says (HTML 4.2.3); None if there is none."""
    nodes = (node for node in document.iter_elements("base") if node.namespace is turbohtml.Namespace.HTML)
    some = islice(nodes, MAX_ELEMENTS)  # each is looked for in all its ancestors
    return next((href for node in some if (href := node.attr("href")) is not None and not is_inert(node)), None)


def read(capture: Capture) -> HtmlPage:
    """Returns the elements of interest, found once for a capture; an empty HtmlPage if it is not HTML.

    Raises Unreadable for a page of interest that is beyond the limits here and of ``tree_bounds``.
    """
    page: HtmlPage | Unreadable | None = capture.memo.get("html.page")
    if page is None:
        known = representation.of(capture)
        sought = _sought(known.searchable.lower()) if known.is_html else None
        try:
            page = _read(known, sought) if sought else HtmlPage()
        except Unreadable as error:
            page = error
        capture.memo["html.page"] = page
    if isinstance(page, Unreadable):
        raise page.with_traceback(None)
    return page


class _Sought:
    """The words of a page that make an element one of interest; ``hidden`` if some may be written in other signs."""

    def __init__(self, words: Iterable[bytes], *, hidden: bool) -> None:
        written = b"|".join(map(re.escape, words)) or b"(?!)"
        self._words = re.compile(written.decode(), re.IGNORECASE)
        self._written = re.compile(written + b"|password" + (b"|&" if hidden else b""), re.IGNORECASE)
        self._hidden = hidden

    def are_in(self, name: str, attributes: dict[str, str], content: str = "") -> bool:
        """Returns whether an element is of interest."""
        if name == "input" and attributes.get("type", "").strip().lower() == "password":
            return True
        if self._hidden and "\\u00" in content and "json" in attributes.get("type", "").lower():
            return True
        return self._words.search("\n".join((content, *attributes, *attributes.values()))) is not None

    def may_be_in(self, written: bytes) -> bool:
        """Returns whether a tag may be of interest, by its attributes as they are written; never wrongly no."""
        return self._written.search(written) is not None


def _sought(lower: bytes) -> _Sought | None:
    """Returns what is sought in a page in small letters; None if no element can be of interest."""
    if _HIDDEN.search(lower):
        return _Sought(_WORDS, hidden=True)
    declares = b"<!entity" in lower  # a word may be in several entities of the page (XML 1.0 4.2)
    words = [word for word in _WORDS if declares or word in lower]
    return _Sought(words, hidden=False) if words or _ASKS.search(lower) else None


def _read(known: Representation, sought: _Sought) -> HtmlPage:
    if len(known.source) > MAX_OCTETS:
        raise Unreadable(f"The page has more than {human_size(MAX_OCTETS)}, and words in it that could reserve it.")
    page = HtmlPage()
    document = known.document
    page.base = base(document)
    page.elements = _at_most(_in_xml(known.source, sought)) if known.is_xhtml else []
    page.elements += _missing(_at_most(_in_tree(document, known, sought)), page.elements, str)
    page.doubtful = _missing(_at_most(_in_tags(known.source, sought)), page.elements, str.lower)
    page.text = _visible(document)
    return page


def _at_most(found: Iterator[Element]) -> list[Element]:
    """Returns the elements; raises Unreadable for more of them, or longer ones, than a site has words."""
    elements: list[Element] = []
    for element in found:
        if len(elements) == MAX_ELEMENTS:
            raise Unreadable(f"The page has more than {MAX_ELEMENTS} elements that could reserve it.")
        if len(element.quote) > MAX_TAG:
            raise Unreadable(f"The page has a tag of more than {MAX_TAG} characters that could reserve it.")
        elements.append(element)
    return elements


def _missing(elements: list[Element], known: list[Element], as_compared: Callable[[str], str]) -> list[Element]:
    """Returns the elements that are not among those known; the same element is written the same way in all readings.

    ``as_compared`` makes of a name what distinguishes it: in XML its case matters, to a reader of tags it does not.
    """

    def key(element: Element) -> tuple[str, frozenset[tuple[str, str]]]:
        attributes = element.attributes.items()
        return as_compared(element.name), frozenset((as_compared(n), " ".join(v.split())) for n, v in attributes)

    left = Counter(map(key, known))
    missing = []
    for element in elements:
        left[known_as := key(element)] -= 1
        if left[known_as] < 0:
            missing.append(element)
    return missing


# --- the tree of the standard


def _in_tree(document: turbohtml.Document, known: Representation, sought: _Sought) -> Iterator[Element]:
    """Yields the elements of interest; what is in a template is not part of the page (HTML 4.12.3)."""
    metas = inert = 0
    for node in document.iter_elements():
        name = node.tag
        metas += name == "meta"
        attributes = _attributes(node)
        content = node.text if name == "script" else ""
        if not (attributes or content) or not sought.are_in(name, attributes, content):
            continue
        if is_inert(node):
            inert += 1
            if inert > MAX_ELEMENTS:
                raise Unreadable(f"The page has more than {MAX_ELEMENTS} elements in templates that could reserve it.")
            continue
        location = node.source_location
        if location is None:
            continue  # an html or body that was made up, with attributes of a later tag (13.2.6.4.7): _in_tags shows it
        where = f"line {location.start_tag.start_line}, {f'(//meta)[{metas}]' if name == 'meta' else name}"
        types: tuple[str, ...] = ()
        if "itemprop" in attributes:
            content = next((text for text in node.strings if text.strip()), "")
            types = _item_types(node)
        quote = known.quote(location.start_tag.start_offset, location.start_tag.end_offset)
        yield Element(name, attributes, quote, where, content, types)


def _attributes(node: turbohtml.Element) -> dict[str, str]:
    """Returns the attributes as text; turbohtml takes some, such as class, apart at white space."""
    return {name: value if isinstance(value, str) else " ".join(value or ()) for name, value in node.attrs.items()}


def is_inert(node: turbohtml.Element) -> bool:
    """Returns whether an element is in a template, which is not part of the page (HTML 4.12.3)."""
    return any(isinstance(each, turbohtml.DocumentFragment) for each in node.ancestors)


def _item_types(node: turbohtml.Element) -> tuple[str, ...]:
    """Returns the types of the item that an element is a property of (HTML 5.2.5)."""
    for each in node.ancestors:
        if isinstance(each, turbohtml.Element) and "itemscope" in each.attrs:
            return tuple((each.attr("itemtype") or "").split())
    return ()


def _visible(document: turbohtml.Document) -> int:
    """Returns the number of characters that people see, white space in a row as one, counted to MAX_TEXT."""
    waiting: list[turbohtml.Node] = [document]
    count = 0
    while waiting and count < MAX_TEXT:
        node = waiting.pop()
        if isinstance(node, turbohtml.Text):
            count += len(" ".join(node.data.split()))
        elif not (isinstance(node, turbohtml.Element) and node.tag in _INVISIBLE):
            waiting += reversed(node.children)
    return min(count, MAX_TEXT)


# --- other readings


def _in_tags(source: bytes, sought: _Sought) -> Iterator[Element]:
    """Yields the elements of interest among all that look like tags, ``source`` being UTF-8."""
    metas = 0
    line, counted = 1, 0
    for tag in tags(source):
        metas += tag.name == b"meta" and not tag.is_end
        if tag.is_end or tag.inert or not (tag.name == b"script" or sought.may_be_in(tag.attributes)):
            continue
        name, attributes, content = tag.name.decode(), tag.attribute(), tag.content.decode()
        if sought.are_in(name, attributes, content):
            line += source.count(b"\n", counted, counted := tag.start)
            where = f"line {line}, {f'(//meta)[{metas}]' if name == 'meta' else name}"
            yield Element(name, attributes, readable(source[tag.start : tag.end]), where, content)


def _in_xml(source: bytes, sought: _Sought) -> Iterator[Element]:
    """Yields the elements of interest that a reader of XML sees; none if it is not well-formed, as nobody shows it."""
    try:
        nodes = list(xml_source.elements(source, sought.are_in, MAX_ELEMENTS))
    except NotXml:
        return
    for node in nodes:
        yield Element(node.name, node.attributes, node.quote, f"line {node.line}, {node.name}", node.text)
