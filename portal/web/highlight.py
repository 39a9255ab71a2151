"""Content that came from a site as text with the words that were quoted from it marked: never rendered, only shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from forbear.optout.readers.text import readable

MOST = 60_000
"""Characters of one capture on a page."""

AROUND = 2_000
"""Characters shown before and after a quotation of a longer one."""

_LEFT_OUT = Markup('<span class="cut">… {:,} characters are left out …</span>')
_KEPT = re.compile(r"\\x(0[9a-d])")


def as_text(body: bytes) -> str:
    r"""Octets as text: what is no UTF-8, or a control character, becomes ``\xNN``, but lines stay lines."""
    return "\n".join(readable(line.rstrip(b"\r")) for line in body.split(b"\n"))


def marked(text: str, quotes: Iterable[str]) -> Markup:
    """The text, escaped, with each quotation marked wherever it stands; what lies far from all of them is left out."""
    places = _merged(_places(text, quotes))
    shown = _windows(len(text), places)
    out, last = Markup(""), 0
    for start, end in shown:
        if start > last:
            out += _LEFT_OUT.format(start - last)
        out += _between(text, start, end, places)
        last = end
    if last < len(text):
        out += _LEFT_OUT.format(len(text) - last)
    return out


def _places(text: str, quotes: Iterable[str]) -> list[tuple[int, int]]:
    found = []
    for quote in set(quotes):
        # Lines of a quotation are written \x0a in the log; in the text they are lines.
        words = _KEPT.sub(lambda match: chr(int(match[1], 16)), quote).replace("\r\n", "\n").strip()
        pattern = re.escape(words)
        found += [match.span() for match in re.finditer(pattern, text)] if words else []
    return sorted(found)


def _merged(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in places:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _windows(length: int, places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    if length <= MOST:
        return [(0, length)]
    if not places:
        return [(0, AROUND)]
    around = [(max(0, start - AROUND), min(length, end + AROUND)) for start, end in places[: MOST // (2 * AROUND)]]
    return _merged(around)


def _between(text: str, start: int, end: int, places: Sequence[tuple[int, int]]) -> Markup:
    out, last = Markup(""), start
    for first, after in places:
        if first >= start and after <= end:
            out += escape(text[last:first]) + Markup("<mark>{}</mark>").format(text[first:after])
            last = after
    return out + escape(text[last:end])
