"""Prints what people read: tables on a terminal, aligned lines without colour or wrapping where the output goes on."""

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

__all__ = ["Item", "console", "json_line", "line", "lines", "moment", "plain", "progress", "table"]
Item = TypeVar("Item")

_STYLES = {"allowed": "green", "excluded": "red", "deferred": "yellow"}
_NO_TERMINAL_WIDTH = 100_000


def console() -> Console:
    """Standard output; where that is no terminal, lines are as long as they are."""
    from rich.console import Console  # noqa: PLC0415 short commands whose output goes on do without

    width = None if sys.stdout.isatty() else _NO_TERMINAL_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False)


def plain(text: str) -> Text:
    """A text of somebody else's, with nothing in it that could drive a terminal."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return Text(shown, style=_STYLES.get(text, ""), overflow="fold")


def moment(at: datetime) -> str:
    """A time for people, to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def line(text: str) -> None:
    """Prints one line."""
    lines([plain(text)])


def lines(texts: Iterable[Text]) -> None:
    """Prints lines as they come, however many."""
    out = console() if sys.stdout.isatty() else None
    for text in texts:
        if out:
            out.print(text, soft_wrap=True)
        else:
            sys.stdout.write(f"{text.plain}\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """Prints rows under the names of their columns, with a blank line after them."""
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


def progress(items: Iterable[Item], say: Callable[[], str]) -> Iterator[Item]:
    """The items as they come, with a line on standard error that says how far it is, where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console  # noqa: PLC0415 as above
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        for item in items:
            yield item
            live.update(Text(say()))
