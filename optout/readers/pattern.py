"""Path patterns with ``*`` and ``$``: RFC 9309 2.2.2 and 2.2.3, and TDMRep 2024-05-10 6.1.1, which takes them over."""

from __future__ import annotations

from optout.readers.url import normalise, normalise_as_written


def target(path_and_query: str) -> bytes:
    """A URL's path and query as patterns are matched against it.

    RFC 9309 2.2.3 has ``*`` and ``$`` written as ``%2A`` and ``%24`` where a pattern means the characters, so the URL
    spells them like that too.
    """
    return _literal(normalise(path_and_query.encode("utf-8", "surrogateescape")))


def target_as_written(path_and_query: str) -> bytes:
    """The same without decoding escaped letters and digits, for patterns that are ``as_written`` too."""
    return _literal(normalise_as_written(path_and_query.encode("utf-8", "surrogateescape")))


def _literal(octets: bytes) -> bytes:
    return octets.replace(b"*", b"%2A").replace(b"$", b"%24")


class Pattern:
    """One pattern, ready to be matched in time linear in the target.

    ``octets`` are as written, without the white space around them. A pattern that begins with neither ``/`` nor ``*``
    matches nothing, since every target begins with ``/``; an empty one matches everything.
    ``head`` is what every target that it covers begins with;
    ``length`` is what "the most octets" (RFC 9309 2.2.2) compares: the pattern after normalising. ``*`` and ``$`` count
    as the one octet that is written, wherever they stand, as google/robotstxt and Protego count them.
    """

    __slots__ = ("_anchored", "_middle", "_tail", "head", "length")

    def __init__(self, octets: bytes, *, as_written: bool = False) -> None:
        text = normalise_as_written(octets) if as_written else normalise(octets)
        self.length = len(text)
        self._anchored = text.endswith(b"$")
        pieces = text.removesuffix(b"$").replace(b"$", b"%24").split(b"*")
        self.head = pieces[0]
        # No star: the head alone. An empty piece is a star beside a star, which adds nothing.
        self._tail = pieces[-1] if len(pieces) > 1 else None
        self._middle = tuple(filter(None, pieces[1:-1]))

    def matches(self, target: bytes) -> bool:
        """Whether the pattern covers this target (see ``target``)."""
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
