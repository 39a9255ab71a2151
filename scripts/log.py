"""``forbear log``: the audit log, filtered, in the form that whoever asks can work with."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any

import click
from rich.text import Text

from optout.model import Profile
from scripts import options, show
from scripts.filters import chosen, filters
from scripts.options import option
from storage.database import open_database, translated
from storage.queries import log

Rows = Iterator[dict[str, Any]]

COLUMNS = (
    "id", "at", "crawl", "url", "host", "domain", "verdict", "reasons", "stage", "status", "content_sha256", "bytes",
    "engine", "policy", "verdict_standard", "verdict_strict",
)  # fmt: skip

_BATCH = 1_000
"""Rows in memory at a time: a log has millions."""


@click.command()
@filters
@option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl", "parquet"]),
    default="table",
    help="For people, spreadsheets, programs, or analysis.",
)
@option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
@options.db
def command(form: str, as_json: bool, db: str, **conditions: Any) -> None:
    """Print decisions from the audit log, newest last: what was decided, when, and in whose words.

    Two decisions are made about a page: whether it may be requested, and whether what came may be kept.

    \b
    Example:
      forbear log --domain example.org --verdict excluded
      forbear log --verdict allowed --strict excluded
      forbear log --since 2026-01-01 --format parquet > decisions.parquet
    """
    form = "jsonl" if as_json else form
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is nothing for a terminal: write it to a file, as in … > log.parquet.")
    wanted = chosen(conditions)
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), engine.connect() as connection:
            rows = log(connection, wanted)
            first = list(islice(rows, 1))  # what is wrong is told before anything is printed
            _FORMS[form](chain(first, rows))
            if not first and form == "table":
                show.line("No decision in this log is like that.")
    finally:
        engine.dispose()


def _batches(rows: Rows) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _table(rows: Rows) -> None:
    """A line for each decision, its reasons below; nothing has to be read ahead, since the last column is the URL."""
    heading = [Text(f"{'at':<20}  verdict   stage    url", "bold")]
    show.lines(chain(heading, chain.from_iterable(map(_lines, rows))))


def _lines(row: dict[str, Any]) -> Iterator[Text]:
    at = show.moment(datetime.fromisoformat(row["at"]))
    verdict = show.plain(row["verdict"])
    verdict.pad_right(len("excluded") - len(verdict))
    yield Text.assemble(f"{at}  ", verdict, f"  {row['stage']:<7}  ", show.plain(row["url"]))
    for reason in row["reasons"]:
        yield show.plain(f"{'':41}{reason['protocol']}: {reason['quote']}")
        yield show.plain(f"{'':41}  {reason['where']} of {reason['source']}")
    for profile in Profile:
        other = row[f"verdict_{profile}"]
        if other not in (None, row["verdict"]):
            yield show.plain(f"{'':41}in {profile}: {other}")


def _csv(rows: Rows) -> None:
    """RFC 4180; the reasons are JSON in one field."""
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for row in rows:
        reasons = json.dumps(row["reasons"], ensure_ascii=False)
        writer.writerow([reasons if name == "reasons" else row[name] for name in COLUMNS])


def _jsonl(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        sys.stdout.write(show.json_line(row))


def _parquet(rows: Rows) -> None:
    import pyarrow as pa  # noqa: PLC0415 the other forms do not wait for it
    from pyarrow import parquet  # noqa: PLC0415

    text = pa.string()
    reason = pa.struct([(key, text) for key in ("protocol", "preference", "quote", "source", "where", "measure")])
    special = {
        "at": pa.timestamp("us", tz="UTC"),
        "reasons": pa.list_(reason),
        "status": pa.int32(),
        "bytes": pa.int64(),
    }
    schema = pa.schema([(name, special.get(name, text)) for name in COLUMNS])
    with parquet.ParquetWriter(pa.PythonFile(sys.stdout.buffer, mode="w"), schema) as writer:
        for batch in _batches(rows):
            for row in batch:
                row["at"] = datetime.fromisoformat(row["at"])
            writer.write_table(pa.Table.from_pylist(batch, schema))


_FORMS = {"table": _table, "csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
