"""A view of the log as a file: CSV (RFC 4180), JSON lines or Parquet, written while it is read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import pyarrow as pa
from pyarrow import parquet

Row = dict[str, Any]

COLUMNS = (
    "id", "at", "crawl", "url", "host", "domain", "verdict", "reasons", "stage", "status", "content_sha256", "bytes",
    "engine", "policy", "verdict_standard", "verdict_strict",
)  # fmt: skip

BATCH = 1000
"""Rows in memory at a time: a log has millions."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    them = iter(rows)
    while batch := list(islice(them, BATCH)):
        yield batch


def as_csv(rows: Iterable[Row]) -> Iterator[bytes]:
    """RFC 4180; the reasons are JSON in one field."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for batch in _batches(rows):
        for row in batch:
            cells = row | {"reasons": json.dumps(row["reasons"], ensure_ascii=False)}
            writer.writerow([harmless(cells[name]) for name in COLUMNS])
        yield out.getvalue().encode("utf-8", "surrogatepass")
        out.seek(0)
        out.truncate()
    yield out.getvalue().encode()


def as_jsonl(rows: Iterable[Row]) -> Iterator[bytes]:
    """A JSON object a line, as ``forbear log --format jsonl`` prints it."""
    for batch in _batches(rows):
        yield "".join(f"{json.dumps({name: row[name] for name in COLUMNS})}\n" for row in batch).encode()


def as_parquet(rows: Iterable[Row]) -> Iterator[bytes]:
    """Parquet, with times as timestamps and reasons as a list of structs."""
    text = pa.string()
    reason = pa.struct([(key, text) for key in ("protocol", "preference", "quote", "source", "where", "measure")])
    kinds = {"at": pa.timestamp("us", tz="UTC"), "reasons": pa.list_(reason), "status": pa.int32(), "bytes": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, text)) for name in COLUMNS])
    out = _Out()
    with parquet.ParquetWriter(pa.PythonFile(out, mode="w"), schema) as writer:
        for batch in _batches(rows):
            times = [row | {"at": datetime.fromisoformat(row["at"])} for row in batch]
            writer.write_table(pa.Table.from_pylist(times, schema))
            yield out.take()
    yield out.take()


class _Out(io.RawIOBase):
    """A file that hands on what was written to it, and forgets it."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()
        self._before = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, octets: Any) -> int:
        """Takes octets."""
        self._written += octets
        return len(octets)

    def tell(self) -> int:
        """How many came in all."""
        return self._before + len(self._written)

    def take(self) -> bytes:
        """What came since the last time."""
        taken = bytes(self._written)
        self._before += len(taken)
        self._written.clear()
        return taken


FORMS = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "jsonl": (as_jsonl, "application/jsonl"),
    "parquet": (as_parquet, "application/vnd.apache.parquet"),
}
"""Every form of export: how it is written, and its media type."""
