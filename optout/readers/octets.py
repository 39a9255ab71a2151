"""Reads binary files from strangers front to back, never beyond their end."""

from __future__ import annotations

from typing import Literal

from forbear.optout.readers.errors import Unreadable


class Octets:
    """A position between the start and the end of a part of a file; every step beyond the end raises Unreadable."""

    __slots__ = ("_order", "at", "end", "source")

    def __init__(
        self, source: bytes, at: int = 0, end: int | None = None, order: Literal["big", "little"] = "big"
    ) -> None:
        self.source = source
        self.end = len(source) if end is None else min(end, len(source))
        self.at = min(at, self.end)
        self._order: Literal["big", "little"] = order

    @property
    def left(self) -> int:
        """Returns how many bytes follow."""
        return self.end - self.at

    def skip(self, count: int) -> int:
        """Passes over bytes; returns the position before them."""
        start = self.at
        if count < 0 or count > self.end - start:
            raise Unreadable(f"It ends at octet {self.end}, within a part that begins at octet {start}.")
        self.at = start + count
        return start

    def take(self, count: int) -> bytes:
        """Returns the next bytes."""
        start = self.skip(count)
        return self.source[start : self.at]

    def number(self, size: int) -> int:
        """Returns the next unsigned integer of this many bytes; 0 if it has none."""
        return int.from_bytes(self.take(size), self._order)
