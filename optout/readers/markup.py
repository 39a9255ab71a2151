"""HTML read as a flat run of tags with their source text (WHATWG HTML 13.2.5), in time linear in the page.

A tree has no source positions and can be made to take minutes (13.2.6.4.7, the adoption agency); a reservation is one
element, quoted as it was served, so the tokenizer is enough. Where the two could differ, more elements are real here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from optout.readers.unreadable import Unreadable

_W = rb"\t\n\f\r "
# 13.2.5.32 to 13.2.5.39: quotes mean something after an equals sign alone, and an equals sign may begin a name.
_NAME = rb"(=[^" + _W + rb"/>=]*+|[^" + _W + rb"/>=]++)"
_VALUE = rb"[" + _W + rb"]*+=[" + _W + rb"]*+(\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^" + _W + rb">]*+)"
_ATTRIBUTE = re.compile(_NAME + rb"(?:" + _VALUE + rb")?+")
_UNGROUPED = _ATTRIBUTE.pattern.replace(b"(=[^", b"(?:=[^").replace(b'(\\"', b'(?:\\"')
_TAG = rb"([a-zA-Z][^" + _W + rb"/>]*+)((?:[" + _W + rb"/]++|" + _UNGROUPED + rb")*+)(?:>|\Z)"
_TOKEN = re.compile(
    rb"<(?:!--(?:-?>|.*?(?:--!?>|\Z))|(!\[CDATA\[)|[!?][^>]*+(?:>|\Z)|(/?)" + _TAG + rb"|/[^>]*+(?:>|\Z))", re.DOTALL
)

_RAW = frozenset({b"script", b"style", b"title", b"textarea", b"xmp", b"iframe", b"noembed", b"noframes"})
_END = {name: re.compile(rb"</" + name + rb"(?=[" + _W + rb"/>])", re.IGNORECASE) for name in _RAW}
_FOREIGN = frozenset({b"svg", b"math"})
_BACK_TO_HTML = frozenset({b"foreignobject", b"desc", b"title", b"annotation-xml"})
# 13.2.6.5: these start tags end foreign content.
_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
    b"nobr ol p pre ruby s small span strong strike sub sup table tt u ul var".split()
)
MAX_VALUE = 65_536
"""Octets of an attribute list that are looked at; a longer one is a picture or a program, not a reservation."""
MAX_FOREIGN = 500
"""How deep SVG and MathML may be nested in each other."""


@dataclass(slots=True)
class Tag:
    """A start or end tag; ``start`` and ``end`` are offsets in the source.

    ``content`` is what an element without markup holds (script, title, …); ``inert`` is true within a template,
    ``foreign`` in SVG and MathML; ``text`` is the text before the tag.
    """

    name: bytes
    is_end: bool
    attributes: bytes
    start: int
    end: int
    text: bytes
    content: bytes = b""
    inert: bool = False
    foreign: bool = False

    def attribute(self, encoding: str = "utf-8") -> dict[str, str]:
        """The attributes with character references resolved, names in lower case; the first of a name counts."""
        found: dict[str, str] = {}
        for name, written in _ATTRIBUTE.findall(self.attributes[:MAX_VALUE]):
            quoted = written[:1] in (b'"', b"'")
            value = written[1:].removesuffix(written[:1]) if quoted else written
            found.setdefault(name.decode("ascii", "replace").lower(), unescape(value.decode(encoding, "replace")))
        return found

    @property
    def count(self) -> int:
        """How many attributes it has."""
        return sum(1 for _ in _ATTRIBUTE.finditer(self.attributes))


def tags(source: bytes) -> Iterator[Tag]:
    """All tags that are markup: not those in comments, scripts, titles, text areas and other raw text.

    Raises Unreadable where SVG and MathML are nested beyond MAX_FOREIGN.
    """
    at, text_from, templates = 0, 0, 0
    foreign: list[bytes] = []
    while match := _TOKEN.search(source, at):
        at = match.end()
        cdata, slash, name, attributes = match.groups()
        if cdata:
            # 13.2.5.42: a CDATA section in foreign content, a comment elsewhere.
            close = b"]]>" if foreign and foreign[-1] in _FOREIGN else b">"
            found = source.find(close, at)
            at = len(source) if found < 0 else found + len(close)
        elif name and source[at - 1 : at] == b">":
            name = name.lower()
            tag = Tag(name, bool(slash), attributes, match.start(), at, source[text_from : match.start()])
            tag.inert = templates > 0
            if name == b"template" and not foreign:
                templates = max(0, templates - 1) if slash else templates + 1
            raw = _RAW if _step(foreign, tag) else ()
            if name in raw:
                found_end = _END[name].search(source, at)
                until = found_end.start() if found_end else len(source)
                tag.content, at = source[at:until], until
            elif name == b"plaintext" and raw and not slash:
                at = len(source)
            yield tag
        text_from = at


def _step(foreign: list[bytes], tag: Tag) -> bool:
    """Follows a tag into and out of SVG and MathML; true if what the tag holds is read by the rules of HTML."""
    if tag.is_end:
        if tag.name in foreign:
            while foreign.pop() != tag.name:
                pass
        return False
    within = bool(foreign) and foreign[-1] in _FOREIGN
    tag.foreign = tag.name in _FOREIGN or (within and tag.name not in _BREAKOUT)
    if within and tag.name in _BREAKOUT:
        while foreign and foreign[-1] in _FOREIGN:
            foreign.pop()
        return True
    empty = tag.attributes.endswith(b"/")
    if (tag.name in _FOREIGN or (within and tag.name in _BACK_TO_HTML)) and not empty:
        if len(foreign) == MAX_FOREIGN:
            raise Unreadable(f"SVG or MathML is nested more than {MAX_FOREIGN} levels deep.")
        foreign.append(tag.name)
        return False
    return not within and tag.name not in _FOREIGN
