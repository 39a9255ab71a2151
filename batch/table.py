"""Decides about tables of URLs as Arrow record batches, which pyarrow, DuckDB, Polars and pandas read and write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from forbear.optout.case import reason_to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forbear.batch.rules import Answers, Snapshot
    from forbear.optout.model import Decision

ROWS = 262_144
"""Most rows that are decided about at once."""

UNUSABLE = "unusable"
"""The verdict about a row without an http(s) URL."""

_WORDS = pa.dictionary(pa.int32(), pa.string())
DECIDED = pa.schema([("verdict", _WORDS), ("protocol", _WORDS), ("quote", _WORDS), ("reason", _WORDS)])
"""The columns that are added: verdict, and protocol and quotation of the first reason; ``reason`` has all reasons as
JSON, like a decision of ``forbear decide``. The last three are null if nothing decided against the URL."""


class BadTable(ValueError):
    """A table that cannot be decided about; the message is one sentence."""


def decide_table(rows: Any, snapshot: Snapshot, column: str = "url") -> pa.RecordBatchReader:
    """Adds the columns of DECIDED to the rows, as a stream: decisions are made while it is read.

    ``rows`` is an object with an Arrow stream, such as a pyarrow Table or RecordBatchReader or a DuckDB relation, or an
    iterable of record batches. Raises BadTable; reading raises BadSnapshot and what ``rows`` raises.
    """
    source = _reader(rows)
    schema = source.schema
    if column not in schema.names:
        raise BadTable(f"The table has no column {column!r}. Choose one of {', '.join(schema.names)}")
    if not is_text(schema.field(column).type):
        raise BadTable(f"The column {column!r} has the type {schema.field(column).type}: URLs have to be text")
    if taken := [name for name in DECIDED.names if name in schema.names]:
        raise BadTable(f"The table already has a column {taken[0]!r}: rename it, or leave it out")
    whole = pa.schema([*schema, *DECIDED], metadata=schema.metadata)
    return pa.RecordBatchReader.from_batches(whole, _decide_batches(source, snapshot, column, whole))


def _reader(rows: Any) -> pa.RecordBatchReader:
    if hasattr(rows, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(rows)
    batches = iter(rows)
    first = next(batches, None)
    if first is None:
        raise BadTable("The table has no record batch, so its columns are unknown: give at least one")

    def every() -> Iterator[pa.RecordBatch]:
        yield first
        yield from batches

    return pa.RecordBatchReader.from_batches(first.schema, every())


def is_text(kind: pa.DataType) -> bool:
    """Returns whether a column of this type can hold URLs."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def _decide_batches(
    batches: Iterable[pa.RecordBatch], snapshot: Snapshot, column: str, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            some = batch.slice(start, ROWS)
            answers, index = decide_column(some[column], snapshot)
            yield pa.record_batch([*some.columns, *columns(answers.decisions, index)], schema=schema)


def decide_column(column: pa.Array, snapshot: Snapshot) -> tuple[Answers, pa.Array]:
    """Decides about a column of URLs, and returns the decisions with the position of each row's among them.

    The URLs are sorted first, so that each part of the snapshot is read once.
    """
    text = column.cast(pa.string())
    order = pc.sort_indices(text)
    answers = snapshot.decide_all(text.take(order).to_pylist())
    index = pa.Array.from_buffers(pa.uint32(), len(order), [None, pa.py_buffer(answers.index)])
    return answers, index.take(pc.sort_indices(order)).cast(pa.int32())


def columns(decisions: Sequence[Decision | None], index: pa.Array) -> list[pa.Array]:
    """Builds the columns of DECIDED: a dictionary with a text for each decision, and a position in it for each row."""
    return [_encoded([of(decision) for decision in decisions], index) for of in (_verdict, _protocol, _quote, _reason)]


def _encoded(texts: list[str | None], index: pa.Array) -> pa.Array:
    """Encodes texts as a dictionary, in which each occurs once."""
    each = pa.array(texts, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(each.indices.take(index), each.dictionary)


def _verdict(decision: Decision | None) -> str:
    return str(decision.verdict) if decision else UNUSABLE


def _protocol(decision: Decision | None) -> str | None:
    return decision.reasons[0].protocol if decision and decision.reasons else None


def _quote(decision: Decision | None) -> str | None:
    return decision.reasons[0].quote if decision and decision.reasons else None


def _reason(decision: Decision | None) -> str | None:
    if not decision or not decision.reasons:
        return None
    return json.dumps([reason_to_json(reason) for reason in decision.reasons], ensure_ascii=False)
