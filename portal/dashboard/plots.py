"""Figures of the log as SVG, drawn by matplotlib: no style, no script, colours by class so that they suit the theme.

Matplotlib writes ``style`` attributes, which the Content-Security-Policy refuses: they are rewritten as presentation
attributes of SVG (SVG 2, 6.6), and each colour as a class that the stylesheet gives a light and a dark tone.
"""

from __future__ import annotations

import io
import re
import threading
from functools import lru_cache
from xml.etree import ElementTree

from markupsafe import Markup

from forbear.storage.log.rollups import Figure

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_INK, _QUIET, _LINE = "#010101", "#010102", "#010103"
_SERIES = tuple(f"#0202{number:02d}" for number in range(8))
_CLASSES = {_INK: "ink", _QUIET: "quiet", _LINE: "line"} | {
    colour: f"s{number}" for number, colour in enumerate(_SERIES)
}
_FONT = re.compile(r"(?P<size>[\d.]+)px")
_lock = threading.Lock()

_WIDTH = 6.4
MOST_LABEL = 34

FEWEST = 3
"""Bars for which there is room at least: one alone would fill the picture."""


@lru_cache(maxsize=64)
def columns(figure: Figure) -> Markup:
    """Stacked columns: a heading each, from left to right."""
    return _drawn(figure, is_flat=False, is_stacked=True, unit="")


@lru_cache(maxsize=64)
def bars(figure: Figure, *, is_stacked: bool = True, unit: str = "") -> Markup:
    """Bars: a heading each, from top to bottom; beside each other where they do not add up. ``unit`` may be bytes."""
    return _drawn(figure, is_flat=True, is_stacked=is_stacked, unit=unit)


def _drawn(figure: Figure, *, is_flat: bool, is_stacked: bool, unit: str) -> Markup:
    # Loaded when first drawn: a portal that nobody signs in to does not wait for it.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415

    rows, count = figure.rows, len(figure.rows)
    height = 0.9 + 0.34 * max(count, FEWEST) if is_flat else 3.6
    with _lock, mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "forbear", "font.size": 11}):
        canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
        axes = canvas.add_subplot()
        low = [0] * count
        share = 0.78 if is_stacked else 0.78 / max(1, len(figure.labels))
        for number, label in enumerate(figure.labels):
            values = [numbers[number] for _, numbers in rows]
            shift = 0.0 if is_stacked else (number - (len(figure.labels) - 1) / 2) * share
            places = [place + shift for place in range(count)]
            draw = axes.barh if is_flat else axes.bar
            base = {"left" if is_flat else "bottom": low}
            draw(places, values, share, color=_SERIES[number], label=_plain(label), **base)  # type: ignore[arg-type]
            low = [a + b for a, b in zip(low, values, strict=True)] if is_stacked else low
        numbers_axis, names_axis = (axes.xaxis, axes.yaxis) if is_flat else (axes.yaxis, axes.xaxis)
        numbers_axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value, unit)))
        numbers_axis.set_major_locator(MaxNLocator(5, integer=True))
        step = 1 if is_flat else max(1, -(-count // 6))
        names_axis.set_ticks(range(0, count, step), [_plain(heading) for heading, _ in rows[::step]])
        shown = max(count, FEWEST)
        if is_flat:
            axes.set_ylim(shown - 0.5, -0.5)
        else:
            axes.set_xlim(*((-1.2, 3 * FEWEST) if count < FEWEST else (-0.6, count - 0.4)))
        axes.grid(visible=True, axis="x" if is_flat else "y", color=_LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(colors=_QUIET, length=0)
        if len(figure.labels) > 1:
            canvas.legend(
                loc="outside upper left", ncols=3, frameon=False, labelcolor=_INK, handlelength=1, fontsize=11
            )
        out = io.BytesIO()
        canvas.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Markup(_themed(out.getvalue()))  # noqa: S704 - an XML library wrote it, and escaped every text


def _plain(text: str) -> str:
    r"""A label as it is: matplotlib takes ``$…$`` for mathematics, and one that begins with _ for none."""
    short = text if len(text) <= MOST_LABEL else f"{text[: MOST_LABEL - 1]}…"
    return short.replace("$", r"\$").removeprefix("_")


def _short(value: float, unit: str) -> str:
    steps = ((10**12, " TB"), (10**9, " GB"), (10**6, " MB"), (10**3, " kB"))
    for size, name in steps if unit == "bytes" else ((10**9, " bn"), (10**6, " m"), (10**3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"


def _themed(svg: bytes) -> str:
    """The picture without style attributes, sizes and metadata, with classes for colours."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(svg)  # noqa: S314 - matplotlib wrote it
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}style", f"{{{_SVG}}}metadata"):
                parent.remove(child)
    for element in root.iter():
        _restyle(element)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    return ElementTree.tostring(root, encoding="unicode")


def _restyle(element: ElementTree.Element) -> None:
    element.attrib.pop("id", None) if element.tag == f"{{{_SVG}}}g" else None
    classes = []
    for part in element.attrib.pop("style", "").split(";"):
        name, _, value = (piece.strip() for piece in part.partition(":"))
        if name == "font":
            size = _FONT.search(value)
            element.set("font-size", size["size"] if size else "11")
        elif name in ("fill", "stroke") and value in _CLASSES:
            classes.append(f"{name}-{_CLASSES[value]}")
        elif name and name != "font-family":
            element.set(name, value)
    if element.tag == f"{{{_SVG}}}text" and not classes:
        classes.append("fill-ink")
    if classes:
        element.set("class", " ".join(classes))
