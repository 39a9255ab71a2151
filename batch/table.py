"""Decides about tables of URLs as Arrow record batches, which pyarrow, DuckDB, Polars and pandas take and give."""

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
"""Rows that are decided about at once, at most."""

UNUSABLE = "unusable"
"""The verdict about a row that has no http(s) URL."""

_WORDS = pa.dictionary(pa.int32(), pa.string())
DECIDED = pa.schema([("verdict", _WORDS), ("protocol", _WORDS), ("quote", _WORDS), ("reason", _WORDS)])
"""The columns that are added: verdict, and protocol and quotation of the first reason; ``reason`` has all of them as
JSON, as a decision of ``forbear decide`` does. The last three are null where nothing decided against the URL."""


class BadTable(ValueError):
    """A table that cannot be decided about; the message is one sentence."""


def decide_table(rows: Any, snapshot: Snapshot, column: str = "url") -> pa.RecordBatchReader:
    """The rows with the columns of DECIDED, as a stream: nothing is decided before it is read.

    ``rows`` is whatever hands over an Arrow stream: a pyarrow Table or RecordBatchReader, a DuckDB relation; or an
    iterable of record batches. Raises BadTable; reading raises BadSnapshot and what ``rows`` raises.
    """
    source = _reader(rows)
    schema = source.schema
    if column not in schema.names:
        raise BadTable(f"The table has no column {column!r}: it has {', '.join(schema.names)}")
    if not is_text(schema.field(column).type):
        raise BadTable(f"The column {column!r} holds {schema.field(column).type} and no text, so no URLs")
    if taken := [name for name in DECIDED.names if name in schema.names]:
        raise BadTable(f"The table has a column {taken[0]!r} already: rename it, or leave it out")
    whole = pa.schema([*schema, *DECIDED], metadata=schema.metadata)
    return pa.RecordBatchReader.from_batches(whole, _decided(source, snapshot, column, whole))


def _reader(rows: Any) -> pa.RecordBatchReader:
    if hasattr(rows, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(rows)
    batches = iter(rows)
    first = next(batches, None)
    if first is None:
        raise BadTable("The table has no record batch, so its columns are not known")

    def every() -> Iterator[pa.RecordBatch]:
        yield first
        yield from batches

    return pa.RecordBatchReader.from_batches(first.schema, every())


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold URLs."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def _decided(
    batches: Iterable[pa.RecordBatch], snapshot: Snapshot, column: str, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            some = batch.slice(start, ROWS)
            answers, index = decide_column(some[column], snapshot)
            yield pa.record_batch([*some.columns, *columns(answers.decisions, index)], schema=schema)


def decide_column(column: pa.Array, snapshot: Snapshot) -> tuple[Answers, pa.Array]:
    """The decisions about a column of URLs, and for each row a position among them.

    The rows are asked about in the order of their URLs, so that each part of the snapshot is read once.
    """
    text = column.cast(pa.string())
    order = pc.sort_indices(text)
    answers = snapshot.decide_all(text.take(order).to_pylist())
    index = pa.Array.from_buffers(pa.uint32(), len(order), [None, pa.py_buffer(answers.index)])
    return answers, index.take(pc.sort_indices(order)).cast(pa.int32())


def columns(decisions: Sequence[Decision | None], index: pa.Array) -> list[pa.Array]:
    """The columns of DECIDED: a text for each decision, and for each row which one it is."""
    return [_encoded([of(decision) for decision in decisions], index) for of in (_verdict, _protocol, _quote, _reason)]


def _encoded(texts: list[str | None], index: pa.Array) -> pa.Array:
    """Texts by their position, each once in the dictionary."""
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
