"""Sets of chain positions as short text: ``3-5 9``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


def join(positions: Iterable[int]) -> str:
    """Joins ascending positions to ranges."""
    ranges: list[list[int]] = []
    for position in positions:
        if ranges and ranges[-1][1] == position - 1:
            ranges[-1][1] = position
        else:
            ranges.append([position, position])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


class PositionSet:
    """The positions of such texts. Raises ValueError for a malformed one."""

    def __init__(self, texts: Iterable[str]) -> None:
        ranges = sorted(_range(part) for text in texts for part in text.split())
        self._first = [first for first, _ in ranges]
        self._last = [last for _, last in ranges]

    def __contains__(self, position: int) -> bool:
        """Checks whether a range has the position; ranges do not overlap."""
        index = bisect_right(self._first, position) - 1
        return index >= 0 and position <= self._last[index]


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)
