"""Binary files from strangers, read from front to back: nothing is taken that is not there."""

from __future__ import annotations

from typing import Literal

from optout.readers.unreadable import Unreadable


class Octets:
    """A position in octets; every step beyond their end raises Unreadable."""

    __slots__ = ("_order", "_source", "at")

    def __init__(self, source: bytes, at: int = 0, order: Literal["big", "little"] = "big") -> None:
        self._source = source
        self._order: Literal["big", "little"] = order
        self.at = at

    @property
    def left(self) -> int:
        """How many octets follow."""
        return len(self._source) - self.at

    def skip(self, count: int) -> int:
        """Passes over octets; the position before them."""
        start = self.at
        if count < 0 or count > self.left:
            raise Unreadable(f"It ends at octet {len(self._source)}, within a part that begins at octet {start}.")
        self.at += count
        return start

    def take(self, count: int) -> bytes:
        """The next octets."""
        start = self.skip(count)
        return self._source[start : self.at]

    def number(self, size: int) -> int:
        """The next unsigned integer of so many octets; 0 if it has none."""
        return int.from_bytes(self.take(size), self._order)
