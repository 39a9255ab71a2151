"""Draws a badge as SVG 1.1: two texts side by side, without fonts of its own."""

from __future__ import annotations

from forbear.portal.web.rendering import plain

_COLOURS = {
    "excluded": "#17594a",
    "kept": "#8a3b12",
    "deferred": "#6b5200",
    "never seen": "#4a544e",
    "allowed": "#2f4a7a",
}
_PER_CHARACTER = 6.6
_PADDING = 10


def badge(left: str, right: str, answer: str) -> str:
    """Returns the picture; ``answer`` chooses its colour."""
    first, second = (round(len(text) * _PER_CHARACTER + 2 * _PADDING) for text in (left, right))
    title = plain(f"{left}: {right}")
    texts = "".join(
        f'<text x="{x}" y="14" textLength="{round(len(text) * _PER_CHARACTER)}">{plain(text)}</text>'
        for x, text in ((_PADDING, left), (first + _PADDING, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect width="{first + second}" height="20" rx="4" fill="#33403a"/>'
        f'<path d="M{first} 0h{second - 4}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-{second - 4}z" fill="{_COLOURS[answer]}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )
