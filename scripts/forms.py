"""The forms in which rows are given out: for people, spreadsheets, programs, analysis; redacted as a rule."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any, TypeVar

import click
from rich.text import Text

from scripts import options, show
from scripts.options import option
from storage import redact
from storage.columns import REASON, Column, Shape

Command = TypeVar("Command", bound=Callable[..., Any])
Row = dict[str, Any]

_FORMULA = frozenset("=+-@\t\r")

_BATCH = 1_000
"""Rows in memory at a time: a log has millions."""


def forms(command: Command) -> Command:
    """Gives a command the options ``form``, ``as_json`` and ``redacted``."""
    for decorator in (
        options.redact,
        option("--json", "as_json", is_flag=True, help="The same as --format jsonl."),
        option(
            "--format",
            "form",
            type=click.Choice(["table", "csv", "jsonl", "parquet"]),
            default="table",
            help="For people, spreadsheets, programs, or analysis.",
        ),
    ):
        command = decorator(command)
    return command


def write(
    shape: Shape,
    found: Iterable[Row],
    form: str,
    *,
    as_json: bool,
    redacted: bool,
    lines: Callable[[Row], Iterator[Text]] | None = None,
    heading: Text | None = None,
) -> bool:
    """Writes rows to standard output; ``lines`` makes one of them readable for people. Whether there were any."""
    form = "jsonl" if as_json else form
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is nothing for a terminal: write it to a file, as in … > log.parquet.")
    rows = redact.rows(shape, found) if redacted else iter(found)
    first = list(islice(rows, 1))  # what is wrong is told before anything is printed
    rows = chain(first, rows)
    if form == "table":
        show.lines(chain([heading] if heading else (), chain.from_iterable(map(lines or _told(shape), rows))))
    else:
        {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[form](shape, rows)
    return bool(first)


def _csv(shape: Shape, rows: Iterator[Row]) -> None:
    """RFC 4180; reasons are JSON in one field."""
    writer = csv.writer(sys.stdout)
    writer.writerow(shape.names)
    for row in rows:
        writer.writerow([_cell(column, row[column.name]) for column in shape.columns])


def _cell(column: Column, value: Any) -> Any:
    if column.kind == "reasons":
        return json.dumps(value, ensure_ascii=False)
    return harmless(value)


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA and value else value


def _jsonl(_shape: Shape, rows: Iterator[Row]) -> None:
    for row in rows:
        sys.stdout.write(show.json_line(row))


def _parquet(shape: Shape, rows: Iterator[Row]) -> None:
    import pyarrow as pa  # noqa: PLC0415 the other forms do not wait for it
    from pyarrow import parquet  # noqa: PLC0415

    kinds = {"time": pa.timestamp("us", tz="UTC"), "whole": pa.int64()}
    kinds["reasons"] = pa.list_(pa.struct([(column.name, pa.string()) for column in REASON]))
    schema = pa.schema([(column.name, kinds.get(str(column.kind), pa.string())) for column in shape.columns])
    times = [column.name for column in shape.columns if column.kind == "time"]
    with parquet.ParquetWriter(pa.PythonFile(sys.stdout.buffer, mode="w"), schema) as writer:
        while batch := list(islice(rows, _BATCH)):
            for row in batch:
                row |= {name: datetime.fromisoformat(row[name]) for name in times}
            writer.write_table(pa.Table.from_pylist(batch, schema))


def _told(shape: Shape) -> Callable[[Row], Iterator[Text]]:
    """Rows for people, of a shape that has no form of its own: a line for each column, reasons below."""
    width = max(map(len, shape.names))

    def lines(row: Row) -> Iterator[Text]:
        for column in shape.columns:
            value = row[column.name]
            if value is None or column.kind == "reasons":
                continue
            shown = show.moment(datetime.fromisoformat(value)) if column.kind == "time" else str(value)
            yield Text.assemble(f"{column.name:<{width}}  ", show.plain(shown))
        yield from because(row.get("reasons", ()), width + 2)
        yield Text("")

    return lines


def because(reasons: Iterable[dict[str, str]], indent: int) -> Iterator[Text]:
    """Reasons for people."""
    for reason in reasons:
        yield show.plain(f"{'':{indent}}{reason['protocol']}: {reason['quote']}")
        yield show.plain(f"{'':{indent}}  {reason['where']} of {reason['source']}")
