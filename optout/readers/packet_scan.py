"""Finds XMP packets in binary files whose structure is not walked (XMP specification part 1, 7.3; part 3, 2.2).

A packet can be seen by its rdf:RDF element in whatever encoding: each character is a byte among none, one or three
null bytes. The packet wrapper is not needed for that, and not every writer makes one.
"""

from __future__ import annotations

import re
from itertools import islice

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.packets import Budget, Packets

_RDF = re.compile(rb"R(\0{0,3})D\1F")
_META = re.compile(rb"x(\0{0,3})[ma]\1p\1m\1e\1t\1a")
_IS_META = re.compile(rb"<(?:[\w.-]+:)?x[ma]pmeta")
_OPENS = re.compile(rb"<(?:[\w.-]+:)?\Z")
_CLOSES = re.compile(rb"</(?:[\w.-]+:)?\Z")
_NAMESPACE = b"/1999/02/22-rdf-syntax-ns"
_NEAR = 4_096
"""Characters between the start tags of a packet, and between its end tags."""
_FEW = 8
"""How many words between them are looked at."""


def mentions_rdf(body: bytes, start: int, end: int) -> bool:
    """Returns whether the letters RDF are between two positions; without them nothing there is a packet."""
    return _RDF.search(body, start, end) is not None


def may_be_whole(packet: bytes) -> bool:
    """Returns whether the letters RDF are in a packet twice, as in the tags by which the element begins and ends."""
    return sum(1 for _ in islice(_RDF.finditer(packet), 2)) == 2


def packets(body: bytes, budget: Budget, start: int = 0, end: int | None = None) -> Packets:
    """Yields the place and bytes of each packet between two positions.

    Raises Unreadable at the end if some packet begins and does not end.
    """
    opened = width = floor = 0
    broken: list[int] = []
    is_open = False
    for match in _RDF.finditer(body, start, len(body) if end is None else end):
        budget.mark()
        wide = len(match[1]) + 1
        before = _characters(body, match.start(), wide)
        previous, floor = floor, match.end()
        if tag := _OPENS.search(before):
            if is_open:
                broken.append(opened)
            width = wide
            opened = _root(body, match.start() - wide * len(tag[0]), wide, max(previous, start))
            is_open = _NAMESPACE in body[opened : opened + 2 * _NEAR * wide : wide]
        elif is_open and wide == width and _CLOSES.search(before):
            floor = _end(body, opened, match.end(), wide)
            # The null bytes before the first character are its own if the order is big-endian.
            yield f"octet {opened}", body[max(opened - wide + 1, 0) : floor]
            is_open = False
    if is_open:
        broken.append(opened)
    if broken:
        raise Unreadable(f"The file has an XMP packet that begins at octet {broken[0]} and does not end.")


def _characters(body: bytes, at: int, width: int) -> bytes:
    """Returns the 64 characters before a position."""
    return body[max(at - 64 * width, 0) : at][::-1][width - 1 :: width][::-1]


def _root(body: bytes, at: int, width: int, floor: int) -> int:
    """Returns where the x:xmpmeta element begins around an rdf:RDF element that begins here, or else the latter."""
    for match in islice(_META.finditer(body, max(at - _NEAR * width, floor), at), _FEW):
        tag = _OPENS.search(_characters(body, match.start(), width))
        if tag and len(match[1]) + 1 == width:
            return match.start() - width * len(tag[0])
    return at


def _end(body: bytes, opened: int, at: int, width: int) -> int:
    """Returns where the root element that begins there ends, whose rdf:RDF ends here."""
    if _IS_META.match(body[opened : opened + 70 * width : width]):
        closing = islice(_META.finditer(body, at, at + _NEAR * width), _FEW)
        at = next((m.end() for m in closing if _CLOSES.search(_characters(body, m.start(), width))), at)
    found = body.find(b">", at, at + 64 * width)
    return (found if found >= 0 else at) + width
