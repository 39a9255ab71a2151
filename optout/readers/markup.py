"""HTML read as a flat run of tags with their source text (WHATWG HTML 13.2.5), in time linear in the page.

A tree has no source positions and can be made to take minutes (13.2.6.4.7, the adoption agency); a reservation is one
element, quoted as it was served, so the tokenizer is enough. Where the two could differ, more elements are real here.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from typing import NamedTuple

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

# The same without groups, for tags that end.
_WHOLE_TAG = rb"[a-zA-Z][^" + _W + rb"/>]*+(?:[" + _W + rb"/]++|" + _UNGROUPED + rb")*+>"

MAX_ATTRIBUTES = 500
"""More attributes no element of an ordinary page has."""
_CROWDED = re.compile(rb"<[a-zA-Z](?:[" + _W + rb"/]*+" + _UNGROUPED + rb"){%d}" % (MAX_ATTRIBUTES + 1))

_RAW = frozenset({b"script", b"style", b"title", b"textarea", b"xmp", b"iframe", b"noembed", b"noframes"})
_END = {name: re.compile(rb"</" + name + rb"(?=[" + _W + rb"/>])", re.IGNORECASE) for name in _RAW}
_FOREIGN = frozenset({b"svg", b"math"})
_BACK_TO_HTML = frozenset({b"foreignobject", b"desc", b"title", b"annotation-xml"})
_SPECIAL = _RAW | _FOREIGN | {b"template", b"plaintext"}
_GREATER_THAN = ord(">")
# 13.2.6.5: these start tags end foreign content.
_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
    b"nobr ol p pre ruby s small span strong strike sub sup table tt u ul var".split()
)
MAX_VALUE = 65_536
"""Octets of an attribute list that are looked at; a longer one is a picture or a program, not a reservation."""
MAX_FOREIGN = 500
"""How deep SVG and MathML may be nested in each other."""


class Tag(NamedTuple):
    """A start or end tag; ``start`` and ``end`` are offsets in the source, ``text_from`` that of the text before it.

    ``content`` is what an element without markup holds (script, title, …); ``inert`` is true within a template,
    ``foreign`` in SVG and MathML.
    """

    name: bytes
    is_end: bool
    attributes: bytes
    start: int
    end: int
    text_from: int
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


def number_of_attributes(attributes: bytes) -> int:
    """How many attributes stand in a tag's attribute list."""
    return sum(1 for _ in _ATTRIBUTE.finditer(attributes))


def may_be_crowded(source: bytes) -> bool:
    """Whether a tag may have more than MAX_ATTRIBUTES; quicker than reading all tags, and never wrongly no."""
    return bool(_CROWDED.search(source))


class Skim:
    """What lies between wanted tags is passed over by one regular expression, several times as fast as tag by tag.

    Wanted are tags of some names, in lower case, and those in which one of ``stops`` lies: offsets, in order.
    ``is_on`` may be changed at any tag. The ``text_from`` of a tag that was skimmed to says nothing.
    """

    def __init__(self, names: frozenset[bytes], stops: Sequence[int] = (), *, is_on: bool = True) -> None:
        self.is_on = is_on
        self._passing = _passing(names)
        self._stops, self._next = stops, 0

    def passed(self, source: bytes, at: int) -> int:
        """Where what may be passed over ends."""
        if not self.is_on:
            return at
        while self._next < len(self._stops) and self._stops[self._next] < at:
            self._next += 1
        end = self._stops[self._next] if self._next < len(self._stops) else len(source)
        # A tag in which the end lies is not whole before it.
        passed = self._passing.match(source, at, end)
        return passed.end() if passed else at


def tags(source: bytes, skim: Skim | None = None) -> Iterator[Tag]:
    """All tags that are markup: not those in comments, scripts, titles, text areas and other raw text.

    But for those that ``skim`` passes over. Raises Unreadable where SVG and MathML are nested beyond MAX_FOREIGN.
    """
    at: int | None = 0
    state = _State()
    while at is not None:
        at = yield from _until_jump(source, at, state, skim)


def start_tags(source: bytes, names: frozenset[bytes]) -> Iterator[Tag]:
    """The start tags among ``tags`` that have one of these names, in lower case; ``text_from`` says nothing."""
    return (tag for tag in tags(source, Skim(names)) if not tag.is_end and tag.name in names)


@cache
def _passing(names: frozenset[bytes]) -> re.Pattern[bytes]:
    """What matches text and whole tags up to one that is wanted, or that changes how what follows is read."""
    special, wanted = b"|".join(sorted(_SPECIAL)), b"|".join(sorted(names | _SPECIAL))
    end = rb"(?=[" + _W + rb"/>])"
    start = rb"(?!(?i:" + wanted + rb")" + end + rb")"
    close = rb"/(?!(?i:" + special + rb")" + end + rb")"
    return re.compile(rb"(?:[^<]++|<(?:" + start + rb"|" + close + rb")" + _WHOLE_TAG + rb"|<(?=[^a-zA-Z/!?]))*+")


def _wanted(source: bytes, at: int, state: _State, skim: Skim) -> Iterator[re.Match[bytes]]:
    while True:
        # In SVG and MathML every tag may be one that ends them.
        match = _TOKEN.search(source, at if state.foreign else skim.passed(source, at))
        if match is None:
            return
        yield match
        at = match.end()


@dataclass(slots=True)
class _State:
    """Where the reading stands: in which SVG and MathML elements, and in how many templates."""

    foreign: list[bytes] = field(default_factory=list)
    templates: int = 0


def _until_jump(source: bytes, at: int, state: _State, skim: Skim | None) -> Generator[Tag, None, int | None]:
    """The tags up to the first element without markup, and where to go on behind what it holds; nothing at the end."""
    text_from = at
    foreign = state.foreign
    for match in _TOKEN.finditer(source, at) if skim is None else _wanted(source, at, state, skim):
        cdata, slash, name, attributes = match.groups()
        start, at = match.span()
        if cdata:
            # 13.2.5.42: a CDATA section in foreign content, a comment elsewhere.
            close = b"]]>" if foreign and foreign[-1] in _FOREIGN else b">"
            found = source.find(close, at)
            return None if found < 0 else found + len(close)
        if name and source[at - 1] == _GREATER_THAN:
            name = name.lower()
            if not foreign and name not in _SPECIAL:
                yield Tag(name, slash != b"", attributes, start, at, text_from, b"", state.templates > 0)
            else:
                inert = state.templates > 0
                if name == b"template" and not foreign:
                    state.templates = max(0, state.templates - 1) if slash else state.templates + 1
                by_html, is_foreign = _step(foreign, name, slash != b"", attributes.endswith(b"/"))
                until = _end_of_content(source, name, at) if by_html else at
                yield Tag(name, slash != b"", attributes, start, at, text_from, source[at:until], inert, is_foreign)
                if until > at:
                    return until
        text_from = at
    return None


def _end_of_content(source: bytes, name: bytes, at: int) -> int:
    """Where what an element without markup holds ends; ``at`` for all other elements."""
    if name not in _RAW:
        return len(source) if name == b"plaintext" else at
    end = _END[name].search(source, at)
    return end.start() if end else len(source)


def _step(foreign: list[bytes], name: bytes, is_end: bool, is_empty: bool) -> tuple[bool, bool]:
    """Follows a tag into and out of SVG and MathML.

    Whether what it holds is read by the rules of HTML, and whether it is an element of SVG or MathML itself.
    """
    within = bool(foreign) and foreign[-1] in _FOREIGN
    if is_end:
        if name in foreign:
            while foreign.pop() != name:
                pass
        return False, within
    if within and name in _BREAKOUT:
        while foreign and foreign[-1] in _FOREIGN:
            foreign.pop()
        return True, False
    if name not in _FOREIGN and not (within and name in _BACK_TO_HTML):
        return not within, within
    if not is_empty:
        if len(foreign) == MAX_FOREIGN:
            raise Unreadable(f"SVG or MathML is nested more than {MAX_FOREIGN} levels deep.")
        foreign.append(name)
    return False, True
