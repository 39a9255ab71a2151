"""XMP packets as found in files, before they are parsed, and limits on finding them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from forbear.optout.readers.errors import TooMuch, Unreadable
from forbear.optout.readers.text import human_size

Packets = Iterator[tuple[str, bytes]]
"""Place and bytes of each packet, in the order of the file. Raises Unreadable where one may be missing."""

MAX_PACKET = 33_554_432
"""Bytes of all packets of a file together, when inflated: 32 MiB. Panoramas carry pictures in their packets."""
MAX_MARKS = 100_000
"""How often the letters RDF may be in all parts of a file that are searched."""
MAX_FRAMES = 50_000
"""How many tags and frames of ID3 a file may have."""


class Budget:
    """Limits what all parts of one file cost together: marks that are searched, bytes that are inflated or copied.

    The latter are inflated, or belong to items: many small parts can make the same bytes again and again.
    """

    __slots__ = ("_frames", "_marks", "_octets")

    def __init__(self) -> None:
        self._frames = MAX_FRAMES
        self._marks = MAX_MARKS
        self._octets = MAX_PACKET

    def mark(self) -> None:
        """Counts a place that is searched. Raises TooMuch."""
        if not self._marks:
            raise TooMuch(f"The file mentions RDF more than {MAX_MARKS} times.")
        self._marks -= 1

    def frame(self) -> None:
        """Counts a tag or frame of ID3. Raises TooMuch."""
        if not self._frames:
            raise TooMuch(f"The file has more than {MAX_FRAMES} frames.")
        self._frames -= 1

    @property
    def most(self) -> int:
        """Returns the number of bytes after which inflating can stop."""
        return self._octets + 1

    def spend(self, octets: int) -> None:
        """Counts bytes that were made. Raises TooMuch."""
        if octets > self._octets:
            self._octets = 0
            raise TooMuch(
                f"The file has metadata that inflate, or repeat parts of it, to more than {human_size(MAX_PACKET)}."
            )
        self._octets -= octets

    def inflated(self, octets: bytes, window: int = zlib.MAX_WBITS) -> bytes:
        """Inflates a packet (RFC 1950; RFC 1951 if the window is negative)."""
        inflater = zlib.decompressobj(window)
        try:
            packet = inflater.decompress(octets, self.most)
        except zlib.error as error:
            raise Unreadable(f"It has metadata that do not inflate: {error}.") from None
        self.spend(len(packet))
        if not inflater.eof:
            raise Unreadable("It has metadata that are cut off.")
        return packet
