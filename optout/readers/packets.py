"""XMP packets as they are found in files, before they are read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from optout.readers.unreadable import Unreadable

Packets = Iterator[tuple[str, bytes]]
"""Place and octets of each packet, in the order of the file. Raises Unreadable where one may be missing."""

MAX_PACKET = 33_554_432
"""Octets of all packets of a file together, as they are when inflated: 32 MiB. Panoramas carry pictures in theirs."""


def inflated(octets: bytes, window: int = zlib.MAX_WBITS) -> bytes:
    """Inflates a packet (RFC 1950; RFC 1951 if the window is negative)."""
    inflater = zlib.decompressobj(window)
    try:
        packet = inflater.decompress(octets, MAX_PACKET + 1)
    except zlib.error as error:
        raise Unreadable(f"It has metadata that do not inflate: {error}.") from None
    if len(packet) > MAX_PACKET or not inflater.eof:
        raise Unreadable(f"It has metadata that are cut off, or longer than {MAX_PACKET} octets.")
    return packet
