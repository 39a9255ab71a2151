r"""Matches path patterns with ``*`` and ``$``: RFC 9309 2.2.2 and 2.2.3, and TDMRep 6.1.1, which takes them over.

How it works. A pattern covers a target (path and query) that begins with it; ``*`` is any run of bytes, and ``$`` at
the end ties the pattern to the end of the target. Both sides are first brought into one spelling, so that
``/caf%c3%a9`` covers ``/café``. Then the pattern is split at its stars into pieces:

    /a*b*c$    head "/a", middle ["b"], tail "c", anchored

The head must begin the target. Each middle piece is searched from where the piece before it ended. Its leftmost place
is always the right one, since it leaves the most room for the pieces that follow, so nothing is tried twice and a
pattern with a hundred stars takes linear time. The tail ends the target if the pattern is anchored, else it is one more
piece.

>>> Pattern(b"/a*b*c$").matches(Target("/a/b/x/c").octets)
True
>>> Pattern(b"/a*b*c$").matches(Target("/a/b/x/cd").octets)
False
>>> Pattern(b"/caf%c3%a9").matches(Target("/caf\u00e9/menu").octets)
True

A literal ``*`` or ``$`` of the URL is compared as ``%2A`` or ``%24``, as a pattern must write it (2.2.3):

>>> Pattern(b"/price%24").matches(Target("/price$").octets)
True
"""

from __future__ import annotations

import re

from forbear.optout.readers.url import normalise, normalise_as_written

# What the URL standard serialises as it is, and no comparison spells otherwise; without a dot segment.
_is_plain = re.compile(r"/[A-Za-z0-9_~!()+,;=:@&/?.-]*").fullmatch


class Target:
    """A URL's path and query as patterns are matched against them.

    ``octets`` are normalised, with ``*`` and ``$`` as ``%2A`` and ``%24``: RFC 9309 2.2.3 has a pattern that means the
    characters write them like that. ``as_written`` are the same without decoding escaped letters and digits, for
    patterns that are ``as_written`` too. ``is_plain`` means that ``text`` has only one spelling: it is canonical, and
    equal to both.
    """

    __slots__ = ("as_written", "is_plain", "octets", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        if _is_plain(text) and "/." not in text:
            self.is_plain = True
            self.octets = self.as_written = text.encode()
        else:
            self.is_plain = False
            written = text.encode("utf-8", "surrogateescape")
            self.octets = _literal(normalise(written))
            self.as_written = _literal(normalise_as_written(written))


def _literal(octets: bytes) -> bytes:
    return octets.replace(b"*", b"%2A").replace(b"$", b"%24")


class Pattern:
    """One pattern, ready to be matched in time linear in the target.

    ``octets`` are as written, without the white space around them. A pattern that begins with neither ``/`` nor ``*``
    matches nothing, since every target begins with ``/``; an empty one matches everything.
    ``head`` is what every target that it covers begins with, ``needle`` what else each of them contains.
    ``length`` is what "the most bytes" (RFC 9309 2.2.2) compares: the pattern after normalising. ``*`` and ``$`` count
    as the one byte that is written, wherever they are, as google/robotstxt and Protego count them.
    """

    __slots__ = ("_anchored", "_middle", "_tail", "head", "length", "needle")

    def __init__(self, octets: bytes, *, as_written: bool = False) -> None:
        text = normalise_as_written(octets) if as_written else normalise(octets)
        self.length = len(text)  # 2.2.2: "the most bytes"
        self._anchored = text.endswith(b"$")  # 2.2.3: "$" designates the end; elsewhere it is an ordinary character
        pieces = text.removesuffix(b"$").replace(b"$", b"%24").split(b"*")
        self.head = pieces[0]
        # No star: the head alone. An empty piece is a star beside a star, which adds nothing.
        self._tail = pieces[-1] if len(pieces) > 1 else None
        self._middle = tuple(filter(None, pieces[1:-1]))
        self.needle = max(pieces[1:], key=len, default=b"")

    def matches(self, target: bytes) -> bool:
        """Returns whether the pattern covers the bytes of a target."""
        if not target.startswith(self.head):
            return False
        at = len(self.head)
        if self._tail is None:
            return not self._anchored or at == len(target)
        # The leftmost place for each piece leaves most room for the rest: no backtracking.
        for piece in self._middle:
            found = target.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        if self._anchored:
            return target.endswith(self._tail) and len(target) - len(self._tail) >= at
        return target.find(self._tail, at) >= 0
