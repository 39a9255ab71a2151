"""Draws which parts of Forbear import which: ``python -m tests.architecture`` (``make pages``).

Writes the picture and the table of docs/explanation/architecture.md from the code's own imports (grimp) and the first
line of each part's docstring. An arrow is left out where other arrows lead the same way.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "imports.svg"
BEGIN, END = "<!-- made by make pages -->", "<!-- end -->"
ROOMS = ("scripts", "portal", "reports", "crawler", "storage", "batch", "optout")
"""Each may import those after it, except that storage and batch do not import each other."""
DRAWN = ("portal", "crawler", "storage", "optout")

_WIDTH, _BOX, _HEIGHT, _GAP, _ROW, _HEAD = 1080, 200, 72, 14, 116, 64
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1f24 } .name { font-weight: 600 } .room { font-size: 17px }
.small { font-size: 11px }
.part { fill: #fff; stroke: #8c959f } .frame { fill: #f6f8fa; stroke: #d0d7de }
path { fill: none; stroke: #57606a; stroke-width: 1.2; marker-end: url(#end) }
marker path { fill: #57606a; stroke: none; marker-end: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .part { fill: #21262d; stroke: #6e7681 } .frame { fill: #161b22; stroke: #30363d }
path { stroke: #8b949e } marker path { fill: #8b949e } }
"""
_LABEL = "The folders of Forbear, each above those that it imports"
_ARROW = (
    '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 8 4 0 8z"/></marker></defs>'
)

Imports = Mapping[str, frozenset[str]]
"""Parts of a room, and which of each other they import."""


def sentence(part: str) -> str:
    """The first line of a part's docstring, without the full stop; ``part`` is ``storage`` or ``storage/log``."""
    path = ROOT / part
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0].rstrip(".").replace("``", "`")


def imports(graph: grimp.ImportGraph, room: str) -> Imports:
    """Which parts of a room import which others of it."""
    parts = sorted(graph.find_children(f"forbear.{room}"))
    return {
        one.rpartition(".")[2]: frozenset(
            other.rpartition(".")[2]
            for other in parts
            if other != one and graph.direct_import_exists(importer=one, imported=other, as_packages=True)
        )
        for one in parts
    }


def floors(found: Imports) -> dict[str, int]:
    """How high each part is above those that import nothing. Raises ValueError for parts that import each other."""
    high: dict[str, int] = {}
    while len(high) < len(found):
        ready = [part for part, others in found.items() if part not in high and others <= high.keys()]
        if not ready:
            raise ValueError(f"These parts import each other: {', '.join(sorted(found.keys() - high.keys()))}.")
        high |= {part: 1 + max((high[other] for other in found[part]), default=-1) for part in ready}
    return high


def reduced(found: Imports) -> Iterator[tuple[str, str]]:
    """The arrows that no others imply (the transitive reduction)."""

    def below(part: str) -> set[str]:
        return set(found[part]).union(*(below(other) for other in found[part]))

    for part, others in found.items():
        implied = set[str]().union(*(below(other) for other in others))
        yield from ((part, other) for other in sorted(others - implied))


def _words(x: float, y: float, part: str, width: int) -> Iterator[str]:
    yield f'<text class="name" x="{x + 10:.0f}" y="{y + 20:.0f}">{escape(part.rpartition("/")[2])}</text>'
    lines = textwrap.wrap(sentence(part).replace("`", ""), width, max_lines=3, placeholder=" …")
    for number, line in enumerate(lines):
        yield f'<text x="{x + 10:.0f}" y="{y + 36 + 14 * number:.0f}" class="small">{escape(line)}</text>'


def _room(graph: grimp.ImportGraph, room: str, top: float) -> tuple[list[str], float]:
    """A room's frame with its parts, and how far down it reaches."""
    found = imports(graph, room)
    high = floors(found)
    rows = [[part for part in found if high[part] == floor] for floor in range(max(high.values()), -1, -1)]
    places: dict[str, tuple[float, float]] = {}
    y = top + _HEAD
    for row in rows:
        for start in range(0, len(row), 5):
            some = row[start : start + 5]
            left = (_WIDTH - len(some) * _BOX - (len(some) - 1) * _GAP) / 2
            places |= {part: (left + at * (_BOX + _GAP), y) for at, part in enumerate(some)}
            y += _ROW
    bottom = y - _ROW + _HEIGHT + 20
    drawn = [
        f'<rect class="frame" x="1" y="{top:.0f}" width="{_WIDTH - 2}" height="{bottom - top:.0f}" rx="8"/>',
        f'<text class="name room" x="14" y="{top + 24:.0f}">{room}/</text>',
        f'<text x="14" y="{top + 44:.0f}">{escape(sentence(room))}.</text>',
    ]
    for one, other in reduced(found):
        (x1, y1), (x2, y2) = places[one], places[other]
        a, b, c, d = x1 + _BOX / 2, y1 + _HEIGHT, x2 + _BOX / 2, y2 - 2
        drawn.append(f'<path d="M{a:.0f} {b:.0f}C{a:.0f} {b + 30:.0f} {c:.0f} {d - 30:.0f} {c:.0f} {d:.0f}"/>')
    for part, (x, y) in places.items():
        drawn.append(f'<rect class="part" x="{x:.0f}" y="{y:.0f}" width="{_BOX}" height="{_HEIGHT}" rx="5"/>')
        drawn += _words(x, y, f"{room}/{part}", 31)
    return drawn, bottom


def picture(graph: grimp.ImportGraph) -> str:
    """All rooms, each above what it imports, as SVG 1.1."""
    drawn: list[str] = []
    y = 1.0
    for room in ROOMS:
        if room in DRAWN:
            some, bottom = _room(graph, room, y)
        else:
            bottom = y + 58
            some = [
                f'<rect class="frame" x="1" y="{y:.0f}" width="{_WIDTH - 2}" height="58" rx="8"/>',
                f'<text class="name room" x="14" y="{y + 24:.0f}">{room}/</text>',
                f'<text x="14" y="{y + 44:.0f}">{escape(sentence(room))}.</text>',
            ]
        drawn += some
        y = bottom + 16
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y:.0f}" role="img" aria-label="{_LABEL}">',
            f"<style>{_STYLE}</style>",
            _ARROW,
            *drawn,
            "</svg>\n",
        ]
    )


def table(graph: grimp.ImportGraph) -> str:
    """Each folder in a sentence, and which folders beside it it imports, as Markdown."""
    lines = ["| folder | what it is for | imports beside it |", "| --- | --- | --- |"]
    for room in ROOMS:
        lines.append(f"| **`{room}/`** | {sentence(room)} | |")
        if room in DRAWN:
            for part, others in imports(graph, room).items():
                if (ROOT / room / part).is_dir():
                    lines.append(f"| `{room}/{part}/` | {sentence(f'{room}/{part}')} | {', '.join(sorted(others))} |")
    return "\n".join(lines)


def page(old: str, made: str) -> str:
    """The page with the table in its place."""
    pattern = f"{re.escape(BEGIN)}.*?{re.escape(END)}"
    return re.sub(pattern, lambda _: f"{BEGIN}\n{made}\n{END}", old, count=1, flags=re.S)


def build() -> grimp.ImportGraph:
    """The imports of the rooms, as they are on disk."""
    tree = str(ROOT / ".venv" / "tree")  # made by make: the rooms as they are imported
    sys.path.insert(0, tree)
    try:
        return grimp.build_graph("forbear", cache_dir=None)
    finally:
        sys.path.remove(tree)


def files() -> dict[Path, str]:
    """What the files should be, by path."""
    graph = build()
    return {PICTURE: picture(graph), PAGE: page(PAGE.read_text(encoding="utf-8"), table(graph))}


if __name__ == "__main__":
    stale = {path: made for path, made in files().items() if path.read_text(encoding="utf-8") != made}
    names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
    if stale and "--check" in sys.argv:
        sys.exit(f"{names}: out of date; run `make pages` and commit what it writes.")
    for path, made in stale.items():
        path.write_text(made, encoding="utf-8")
    print(f"Wrote {names}." if stale else "The picture and the table are up to date.")
