"""Limits what a page may cost in tree construction (HTML 13.2.6), checked before its tree is built.

A tree grows with the page, with two exceptions. Formatting elements that are left open are copied into each block that
follows (13.2.4.3, "reconstruct"): 400 of them before 100,000 paragraphs are 40 million elements. And the attributes of
each html and body tag are compared with those of all before it (13.2.6.4.7). Everything else is linear, as turbohtml
nests elements 512 deep at most.
"""

from __future__ import annotations

import re

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.markup import TAG, Tag, tags
from forbear.optout.readers.text import human_size

MAX_OCTETS = 10_485_760
"""A larger page is not read: 10 MiB after content decoding."""
MAX_TAGS = 500_000
"""How many ``<`` a page may hold: its tree takes about 400 bytes of memory for each."""
MAX_RECONSTRUCTED = 1_000_000
"""How many formatting elements may be copied, by an estimate that is never too low."""
MAX_ROOT_TAGS = 64
"""How many html and body tags a page may hold."""
MAX_ROOT_LENGTH = 65_536
"""Bytes of all html and body tags of a page together."""

# 13.2.4.3, without a and nobr: of these, one is open at most.
_FORMATTING = frozenset(b"b big code em font i s small strike strong tt u".split())
_FORMATTING_TAG = re.compile(rb"<(?=(?:" + b"|".join(sorted(_FORMATTING)) + rb")[\t\n\f\r />])" + TAG, re.IGNORECASE)
_ROOT_TAG = re.compile(rb"<(?=(?:html|body)[\t\n\f\r />])" + TAG, re.IGNORECASE)
# 13.2.4.2: an end tag does not reach beyond these, so that it closes nothing before them ("in scope", markers).
_BOUNDARIES = frozenset(
    b"applet caption table td th marquee object template select mi mo mn ms mtext annotation-xml foreignobject desc "
    b"title".split()
)
_NOAHS_ARK = 3  # 13.2.4.3: of equal elements, the last three are kept


def check(source: bytes) -> None:
    """Raises Unreadable for a page, in UTF-8, whose tree would get out of proportion."""
    if len(source) > MAX_OCTETS:
        raise Unreadable(f"The page has more than {human_size(MAX_OCTETS)}.")
    number = source.count(b"<")
    if number > MAX_TAGS:
        raise Unreadable(f"The page has more than {MAX_TAGS} tags.")
    roots = [match.end() - match.start() for match in _ROOT_TAG.finditer(source)]
    if len(roots) > MAX_ROOT_TAGS or sum(roots) > MAX_ROOT_LENGTH:
        raise Unreadable(f"The page has more than {MAX_ROOT_TAGS} html and body tags, or very long ones.")
    # Few tags cost little in any order.
    if _NOAHS_ARK * (number / 2) ** 2 <= MAX_RECONSTRUCTED:
        return
    distinct = len({match[0].lower() for match in _FORMATTING_TAG.finditer(source)})
    if _NOAHS_ARK * distinct * number > MAX_RECONSTRUCTED:
        _follow(source)


def _follow(source: bytes) -> None:
    """Follows how many formatting elements are active; raises Unreadable if too many are copied."""
    formatting = _Formatting()
    made = 0
    for tag in tags(source):
        made += formatting.active
        if made > MAX_RECONSTRUCTED:
            raise Unreadable(f"The page makes more than {MAX_RECONSTRUCTED} copies of formatting elements.")
        if tag.name in _BOUNDARIES:
            formatting.pass_boundary(tag)
        elif tag.name in _FORMATTING:
            (formatting.close if tag.is_end else formatting.open)(tag)


class _Formatting:
    """The list of active formatting elements (13.2.4.3); where in doubt, an element stays in it.

    ``active`` is how long it is.
    """

    def __init__(self) -> None:
        self.active = 0
        self._equal: dict[bytes, dict[bytes, int]] = {name: {} for name in _FORMATTING}
        # Each boundary that is open, with how many of each name were opened behind it: an end tag closes one of these.
        self._boundaries: list[tuple[bytes, dict[bytes, int]]] = [(b"", {})]

    def pass_boundary(self, tag: Tag) -> None:
        if not tag.is_end:
            self._boundaries.append((tag.name, {}))
        elif tag.name == self._boundaries[-1][0]:
            self._boundaries.pop()

    def open(self, tag: Tag) -> None:
        here, equal = self._boundaries[-1][1], self._equal[tag.name]
        here[tag.name] = here.get(tag.name, 0) + 1
        if equal.get(tag.attributes, 0) < _NOAHS_ARK:
            equal[tag.attributes] = equal.get(tag.attributes, 0) + 1
            self.active += 1

    def close(self, tag: Tag) -> None:
        here, equal = self._boundaries[-1][1], self._equal[tag.name]
        if not here.get(tag.name) or not equal:
            return
        here[tag.name] -= 1
        last = next(reversed(equal))
        self.active -= 1
        equal[last] -= 1
        if not equal[last]:
            del equal[last]
