"""Shows content of a site as text with quoted words marked; it is never rendered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from forbear.optout.readers.text import readable

MOST = 60_000
"""Most characters of one capture on a page."""

AROUND = 2_000
"""Characters shown before and after a quotation if the text is longer."""

_LEFT_OUT = Markup('<span class="cut">… {:,} characters are left out …</span>')
_KEPT = re.compile(r"\\x(0[9a-d])")


def as_text(body: bytes) -> str:
    r"""Returns bytes as text: invalid UTF-8 and control characters become ``\xNN``, except for line ends."""
    return "\n".join(readable(line.rstrip(b"\r")) for line in body.split(b"\n"))


def marked(text: str, quotes: Iterable[str]) -> Markup:
    """Escapes a text and marks each quotation in it; parts far from all of them are left out."""
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
        # The log writes line ends of a quotation as \x0a; in the text they are line ends.
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
