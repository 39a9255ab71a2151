"""Export formats: CSV (RFC 4180), JSON lines, Parquet; rows are written as they are read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from forbear.storage.reads.columns import REASON, Column, Shape

Row = dict[str, Any]

BATCH = 1000
"""Rows in memory at a time: a log has millions."""

_FORMULA = frozenset("=+-@\t\r")


class ExportFormat(NamedTuple):
    """An export format: its label, its writer, and its media type."""

    title: str
    write: Callable[[Shape, Iterable[Row]], Iterator[bytes]]
    media_type: str


def escape_formula(value: Any) -> Any:
    """Puts an apostrophe before text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA and value else value


def json_line(content: object) -> str:
    """Returns a JSON object as a line; escapes what UTF-8 cannot encode (half a surrogate pair)."""
    text = json.dumps(content, ensure_ascii=False)
    return (text if text.isascii() or _encodable(text) else json.dumps(content)) + "\n"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _csv(shape: Shape, rows: Iterable[Row]) -> Iterator[bytes]:
    """Writes RFC 4180; reasons are JSON in one field."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(shape.names)
    for batch in _batches(rows):
        writer.writerows([_cell(column, row[column.name]) for column in shape.columns] for row in batch)
        yield out.getvalue().encode("utf-8", "backslashreplace")
        out.seek(0)
        out.truncate()
    yield out.getvalue().encode()


def _cell(column: Column, value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if column.kind == "reasons" else escape_formula(value)


def _jsonl(_shape: Shape, rows: Iterable[Row]) -> Iterator[bytes]:
    for batch in _batches(rows):
        yield "".join(map(json_line, batch)).encode()


def _parquet(shape: Shape, rows: Iterable[Row]) -> Iterator[bytes]:
    """Writes Parquet, with times as timestamps and reasons as a list of structs."""
    import pyarrow as pa  # noqa: PLC0415 the other forms do not wait for it
    from pyarrow import parquet  # noqa: PLC0415

    kinds = {"time": pa.timestamp("us", tz="UTC"), "whole": pa.int64()}
    kinds["reasons"] = pa.list_(pa.struct([(column.name, pa.string()) for column in REASON]))
    schema = pa.schema([(column.name, kinds.get(str(column.kind), pa.string())) for column in shape.columns])
    times = [column.name for column in shape.columns if column.kind == "time"]
    out = _Out()
    with parquet.ParquetWriter(pa.PythonFile(out, mode="w"), schema) as writer:
        for batch in _batches(rows):
            read = [row | {name: datetime.fromisoformat(row[name]) for name in times} for row in batch]
            writer.write_table(pa.Table.from_pylist(read, schema))
            yield out.take()
    yield out.take()


FORMS = {
    "csv": ExportFormat("CSV", _csv, "text/csv; charset=utf-8"),
    "jsonl": ExportFormat("JSON lines", _jsonl, "application/jsonl"),
    "parquet": ExportFormat("Parquet", _parquet, "application/vnd.apache.parquet"),
}
"""Every format, by its name in options and file extension."""


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    them = iter(rows)
    while batch := list(islice(them, BATCH)):
        yield batch


class _Out(io.RawIOBase):
    """A file that passes on what is written to it, and forgets it."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()
        self._before = 0

    def writable(self) -> bool:
        """Returns True."""
        return True

    def write(self, data: Any) -> int:
        """Takes bytes."""
        self._written += data
        return len(data)

    def tell(self) -> int:
        """Returns how many bytes have been written in all."""
        return self._before + len(self._written)

    def take(self) -> bytes:
        """Returns what was written since the last call."""
        taken = bytes(self._written)
        self._before += len(taken)
        self._written.clear()
        return taken
