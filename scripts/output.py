"""Writes rows as a table, CSV, JSON lines or Parquet, with URLs redacted unless asked otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any, TypeVar

import click
from rich.text import Text

from forbear.scripts import options, show
from forbear.scripts.options import option
from forbear.storage.reads import redact
from forbear.storage.reads.columns import Shape
from forbear.storage.reads.exports import FORMS

Command = TypeVar("Command", bound=Callable[..., Any])
Row = dict[str, Any]


def output_options(command: Command) -> Command:
    """Gives a command the options ``form``, ``as_json`` and ``redacted``."""
    for decorator in (
        options.redact,
        option("--json", "as_json", is_flag=True, help="Same as --format jsonl."),
        option(
            "--format",
            "form",
            type=click.Choice(["table", *FORMS]),
            default="table",
            help="Format of the output.",
        ),
    ):
        command = decorator(command)
    return command


def write_rows(
    shape: Shape,
    found: Iterable[Row],
    form: str,
    *,
    as_json: bool,
    redacted: bool,
    lines: Callable[[Row], Iterator[Text]] | None = None,
    heading: Text | None = None,
) -> bool:
    """Writes rows to standard output and returns whether there were any.

    ``lines`` formats a row for people, below ``heading``; without it, each column gets a line.
    """
    form = "jsonl" if as_json else form
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet cannot be shown on a terminal. Add > log.parquet to write it to a file.")
    rows = redact.rows(shape, found) if redacted else iter(found)
    first = list(islice(rows, 1))  # so that an error in the query is reported before anything is printed
    rows = chain(first, rows)
    if form == "table":
        show.lines(chain([heading] if heading else (), chain.from_iterable(map(lines or _column_lines(shape), rows))))
    else:
        for chunk in FORMS[form].write(shape, rows):
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
    return bool(first)


def _column_lines(shape: Shape) -> Callable[[Row], Iterator[Text]]:
    """Returns a function that formats a row for people: a line for each column, with the reasons below."""
    width = max(map(len, shape.names))

    def lines(row: Row) -> Iterator[Text]:
        for column in shape.columns:
            value = row[column.name]
            if value is None or column.kind == "reasons":
                continue
            shown = show.time(datetime.fromisoformat(value)) if column.kind == "time" else str(value)
            yield Text.assemble(f"{column.name:<{width}}  ", show.plain(shown))
        yield from reason_lines(row.get("reasons", ()), width + 2)
        yield Text("")

    return lines


def reason_lines(reasons: Iterable[dict[str, str]], indent: int) -> Iterator[Text]:
    """Formats reasons for people."""
    for reason in reasons:
        yield show.plain(f"{'':{indent}}{reason['protocol']}: {reason['quote']}")
        yield show.plain(f"{'':{indent}}  {reason['where']} of {reason['source']}")
