"""Prints output for people: coloured tables on a terminal, aligned lines without colour or wrapping in a pipe."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text

from forbear.storage.reads.exports import json_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from rich.console import Console

__all__ = ["Item", "console", "count", "json_line", "line", "lines", "plain", "progress", "size", "table", "time"]
Item = TypeVar("Item")

_STYLES = {"allowed": "green", "excluded": "red", "deferred": "yellow"}
_NO_TERMINAL_WIDTH = 100_000


def console() -> Console:
    """Returns standard output; lines are wrapped only on a terminal."""
    from rich.console import Console  # noqa: PLC0415 short commands in a pipe do without

    width = None if sys.stdout.isatty() else _NO_TERMINAL_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False)


def plain(text: str) -> Text:
    """Escapes what could control the terminal in a text from elsewhere."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return Text(shown, style=_STYLES.get(text, ""), overflow="fold")


def time(at: datetime) -> str:
    """Formats a time for people, to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def count(number: int, noun: str) -> str:
    """Formats a number of things: 1 page, 2,400 pages."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def size(octets: int) -> str:
    """Formats a size for people: 812 bytes, 9.3 KiB."""
    if octets < 1024:
        return count(octets, "byte")
    value = octets / 1024
    for unit in ("KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"


def line(text: str) -> None:
    """Prints one line."""
    lines([plain(text)])


def lines(texts: Iterable[Text]) -> None:
    """Prints lines one by one, however many there are."""
    out = console() if sys.stdout.isatty() else None
    for text in texts:
        if out:
            out.print(text, soft_wrap=True)
        else:
            sys.stdout.write(f"{text.plain}\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """Prints rows below the names of their columns, and a blank line."""
    from rich.table import Table  # noqa: PLC0415 as above

    grid = Table(box=None, pad_edge=False, title=title or None, title_justify="left", header_style="bold")
    for name in columns:
        grid.add_column(name)
    for row in rows:
        grid.add_row(*map(plain, row))
    out = console()
    if out.is_terminal:
        out.print(grid, "")
        return
    with out.capture() as captured:
        out.print(grid)
    sys.stdout.write("".join(f"{printed.rstrip()}\n" for printed in captured.get().splitlines()) + "\n")


def progress(items: Iterable[Item], text: Callable[[], str]) -> Iterator[Item]:
    """Yields the items, and keeps a line with this text on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console  # noqa: PLC0415 as above
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        for item in items:
            yield item
            live.update(Text(text()))
