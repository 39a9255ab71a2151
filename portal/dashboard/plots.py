"""Bar charts as SVG, without style or script: colours are classes of dashboard.css, so that they suit the theme.

A picture is 460 units wide; text is 11 units high and in the viewer's own font, so its width is estimated. The table
beside each picture has the numbers, so screen readers skip the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from forbear.storage.log.rollups import Figure

_WIDTH, _HEIGHT, _ROW = 460, 210, 24
_TEXT, _CHARACTER = 11, 7
_RIGHT, _BELOW = 24, 20
_SHARE = 0.78
"""The share of a heading's place that its bars take."""

MOST_LABEL = 34
FEWEST_ROWS, FEWEST_COLUMNS = 3, 6
"""The least number of bars that the width is divided by, since one alone would fill the picture."""

MOST_HEADINGS = 6


@lru_cache(maxsize=64)
def columns(figure: Figure) -> Markup:
    """Draws stacked columns, a heading each, from left to right."""
    highest = max(1, *map(sum, _numbers(figure)))
    steps = _steps(highest, 5, "")
    left = _wide(max((text for _, text in steps), key=len)) + 6
    legend, top = _legend(figure.labels)
    width = _WIDTH - left - _RIGHT
    place = width / max(FEWEST_COLUMNS, len(figure.rows))
    frame = _Frame(left, top + 6, width, _HEIGHT, place, highest, is_flat=False)
    every = max(1, -(-len(figure.rows) // MOST_HEADINGS))
    headings = [
        _text(left + (number + 0.5) * place, frame.bottom + 15, "middle", heading)
        for number, (heading, _) in list(enumerate(figure.rows))[::every]
    ]
    labels = [_text(left - 6, frame.along(value) + 4, "end", text) for value, text in steps]
    return _picture(frame, legend, steps, [*headings, *labels], _series(figure, frame, is_stacked=True))


@lru_cache(maxsize=64)
def bars(figure: Figure, *, is_stacked: bool = True, unit: str = "") -> Markup:
    """Draws bars, a heading each, from top to bottom; beside each other where they do not add up.

    ``unit`` may be bytes.
    """
    highest = max(1, *map(sum if is_stacked else max, _numbers(figure)))
    steps = _steps(highest, 4, unit)
    left = max(_wide(_short(heading)) for heading, _ in figure.rows) + 6
    legend, top = _legend(figure.labels)
    height = _ROW * max(FEWEST_ROWS, len(figure.rows))
    frame = _Frame(left, top + 6, _WIDTH - left - _RIGHT, height, _ROW, highest, is_flat=True)
    headings = [
        _text(left - 6, frame.top + (number + 0.5) * _ROW + 4, "end", heading)
        for number, (heading, _) in enumerate(figure.rows)
    ]
    labels = [_text(frame.along(value), frame.bottom + 15, "middle", text) for value, text in steps]
    return _picture(frame, legend, steps, [*headings, *labels], _series(figure, frame, is_stacked=is_stacked))


@dataclass(frozen=True, slots=True)
class _Frame:
    """The area of the bars: its edges, the place of a heading, and the number at its far end."""

    left: float
    top: float
    width: float
    height: float
    place: float
    highest: int
    is_flat: bool

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def along(self, value: float) -> float:
        """Returns where a number is: from the left edge if the bars are flat, else from the bottom."""
        share = value / self.highest
        return self.left + share * self.width if self.is_flat else self.bottom - share * self.height

    def bar(self, place: float, share: float, low: float, high: float) -> str:
        """Returns a bar as a part of a path (SVG 2, 9.3), from one number to the other."""
        start, end = self.along(low), self.along(high)
        at, thick = place * self.place, share * self.place
        if self.is_flat:
            return f"M{start:.1f} {self.top + at:.1f}H{end:.1f}v{thick:.1f}H{start:.1f}z"
        return f"M{self.left + at:.1f} {start:.1f}V{end:.1f}h{thick:.1f}V{start:.1f}z"

    def line(self, value: float) -> str:
        """Returns a line of the grid, as a part of a path."""
        at = self.along(value)
        return (
            f"M{at:.1f} {self.top:.1f}v{self.height:.1f}"
            if self.is_flat
            else f"M{self.left:.1f} {at:.1f}h{self.width:.1f}"
        )


def _numbers(figure: Figure) -> list[tuple[int, ...]]:
    return [(0, *numbers) for _, numbers in figure.rows]


def _series(figure: Figure, frame: _Frame, *, is_stacked: bool) -> Iterator[Markup]:
    """Yields a path for each label, with its bar at each heading."""
    share = _SHARE if is_stacked else _SHARE / len(figure.labels)
    for number in range(len(figure.labels)):
        shift = (1 - _SHARE) / 2 + (0 if is_stacked else number * share)
        lows = [sum(numbers[:number]) if is_stacked else 0 for _, numbers in figure.rows]
        path = "".join(
            frame.bar(place + shift, share, low, low + numbers[number])
            for place, (low, (_, numbers)) in enumerate(zip(lows, figure.rows, strict=True))
            if numbers[number]
        )
        yield Markup('<path class="fill-s{}" d="{}"/>').format(number, path)


def _picture(
    frame: _Frame, legend: Markup, steps: Sequence[tuple[int, str]], texts: list[Markup], series: Iterator[Markup]
) -> Markup:
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {:.0f}" font-size="{}" aria-hidden="true"'
        ' focusable="false">{}<path class="stroke-line" stroke-width="0.8" d="{}"/>{}<g class="fill-quiet">{}</g></svg>'
    ).format(
        _WIDTH,
        frame.bottom + _BELOW,
        _TEXT,
        legend,
        "".join(frame.line(value) for value, _ in steps),
        Markup().join(series),
        Markup().join(texts),
    )


def _legend(labels: Sequence[str]) -> tuple[Markup, float]:
    """Returns the legend, in as many lines as it needs, and where it ends; nothing for one label."""
    if len(labels) < 2:
        return Markup(), 0
    parts, x, y = [], 0.0, 0
    for number, label in enumerate(labels):
        width = 16 + _wide(_short(label)) + 14
        if x and x + width > _WIDTH:
            x, y = 0, y + 16
        box = Markup('<path class="fill-s{}" d="M{:.1f} {}h10v8h-10z"/>').format(number, x, y + 4)
        parts += [box, _text(x + 16, y + 12, "start", label)]
        x += width
    return Markup('<g class="fill-ink">{}</g>').format(Markup().join(parts)), y + 20


def _text(x: float, y: float, anchor: str, text: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, _short(text))


def _short(text: str) -> str:
    return text if len(text) <= MOST_LABEL else f"{text[: MOST_LABEL - 1]}…"


def _wide(text: str) -> float:
    return len(text) * _CHARACTER


def _steps(highest: int, most: int, unit: str) -> list[tuple[int, str]]:
    """Returns 0 and at most so many round numbers up to the highest, each with how it is written."""
    sizes = (factor * 10**power // 10 for power in range(24) for factor in (10, 20, 25, 50))
    step = next(size for size in sizes if size * most >= highest)
    return [(value, _written(value, unit)) for value in range(0, highest + 1, step)]


def _written(value: int, unit: str) -> str:
    steps = ((10**12, " TB"), (10**9, " GB"), (10**6, " MB"), (10**3, " kB"))
    for size, name in steps if unit == "bytes" else ((10**9, " bn"), (10**6, " m"), (10**3, " k")):
        if value >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"
