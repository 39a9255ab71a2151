"""The commands within ``forbear log``: counts by measure, changes between crawls, SQL and other queries."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from forbear.scripts import options, show
from forbear.scripts.database import open_connection, open_engine
from forbear.scripts.filters import build_filter, filters
from forbear.scripts.options import option
from forbear.scripts.output import output_options, write_rows
from forbear.storage.database import reading_only
from forbear.storage.db import views
from forbear.storage.log import evidence
from forbear.storage.reads import columns, questions, redact
from forbear.storage.reads.exports import escape_formula


def _print_rows(name: str, rows: Iterator[dict[str, Any]], form: str, as_json: bool, redacted: bool) -> None:
    found = write_rows(columns.SHAPES[name], rows, form, as_json=as_json, redacted=redacted)
    if not found and form == "table" and not as_json:
        show.line("No rows match.")


@click.command("measures")
@filters
@output_options
@options.db
def measures(db: str, form: str, as_json: bool, redacted: bool, **conditions: Any) -> None:
    """Count decisions by measure of the Code of Practice, protocol and verdict.

    \b
    Example:
      forbear log measures --since 2026-01-01 --until 2026-04-01 --format csv
    """
    with open_connection(db) as connection:
        _print_rows("measures", questions.measures(connection, build_filter(conditions)), form, as_json, redacted)


@click.command("changes")
@click.argument("first", metavar="CRAWL1")
@click.argument("second", metavar="CRAWL2")
@output_options
@options.db
def changes(first: str, second: str, db: str, form: str, as_json: bool, redacted: bool) -> None:
    """Show opt-outs that are new, withdrawn or worded differently between CRAWL1 and the later CRAWL2.

    \b
    Example:
      forbear log changes 01a2… 01a7…
    """
    with open_connection(db) as connection:
        _print_rows("changes", questions.changes(connection, first, second), form, as_json, redacted)


_domain = option("--domain", help="Only this domain or host, with its subdomains.")


@click.command("before-optout")
@_domain
@output_options
@options.db
def before_optout(domain: str | None, db: str, form: str, as_json: bool, redacted: bool) -> None:
    """List pages that were kept before their site reserved them.

    \b
    Example:
      forbear log before-optout --domain example.org
    """
    with open_connection(db) as connection:
        _print_rows("before-optout", questions.before_optout(connection, domain), form, as_json, redacted)


@click.command("unreadable")
@_domain
@output_options
@options.db
def unreadable(domain: str | None, db: str, form: str, as_json: bool, redacted: bool) -> None:
    """List sites whose robots.txt could not be read, so that nothing of them was kept until it could.

    \b
    Example:
      forbear log unreadable --format csv > unreadable.csv
    """
    with open_connection(db) as connection:
        _print_rows("unreadable", questions.unreadable(connection, domain), form, as_json, redacted)


@click.command("disagreements")
@filters
@output_options
@options.db
def disagreements(db: str, form: str, as_json: bool, redacted: bool, **conditions: Any) -> None:
    """List decisions where protocols disagreed: one reserves the use, so the page was excluded, and another allows it.

    \b
    Example:
      forbear log disagreements --crawl 01a2…
    """
    with open_connection(db) as connection:
        _print_rows(
            "disagreements", questions.disagreements(connection, build_filter(conditions)), form, as_json, redacted
        )


@click.command("size")
@options.db
@options.as_json
def size(db: str, as_json: bool) -> None:
    """Show how much evidence is stored: as received, without duplicates, compressed.

    \b
    Example:
      forbear log size
    """
    with open_connection(db) as connection:
        measured = evidence.size(connection)
    if as_json:
        click.echo(json.dumps(measured._asdict()))
        return
    outside = show.size(measured.outside)
    show.line(f"captures              {measured.captures:>12,}, with their content stored")
    show.line(f"received              {show.size(measured.received):>12}")
    show.line(f"without duplicates    {show.size(measured.size):>12}, in {show.count(measured.contents, 'content')}")
    show.line(f"compressed            {show.size(measured.packed):>12}, {outside} of it outside the database")


@click.command("sql")
@click.argument("query", metavar="SELECT…", required=False)
@option("--views", "list_views", is_flag=True, help="List the views that can be queried, and their columns.")
@option("--format", "form", type=click.Choice(["table", "csv", "jsonl"]), default="table", help="Format of the output.")
@option("--json", "as_json", is_flag=True, help="Same as --format jsonl.")
@options.redact
@options.db
def sql(query: str | None, list_views: bool, form: str, as_json: bool, redacted: bool, db: str) -> None:
    """Run one SELECT over the views of the log; the database itself refuses any other statement.

    \b
    Example:
      forbear log sql --views
      forbear log sql "SELECT domain, count(*) FROM log_decisions WHERE verdict = 'excluded' GROUP BY domain"
    """
    if list_views:
        for name, view in views.VIEWS.items():
            show.line(f"{name}: {view.about}")
            show.table(("column", "meaning"), view.columns.items())
        return
    if not query:
        raise click.UsageError("The SELECT is missing. Write it in quotation marks, or list the views with --views.")
    with open_engine(db) as engine, reading_only(engine) as connection:
        answer = views.run_select(connection, query)
        rows = (tuple(map(redact.cell, row)) for row in answer.rows) if redacted else answer.rows
        _print(answer.columns, rows, "jsonl" if as_json else form)


def _print(names: Any, rows: Any, form: str) -> None:
    if form == "table":
        show.table(names, ([_text(value) for value in row] for row in rows))
    elif form == "csv":
        csv.writer(sys.stdout).writerows([names])
        csv.writer(sys.stdout).writerows([escape_formula(_simple(value)) for value in row] for row in rows)
    else:
        for row in rows:
            sys.stdout.write(show.json_line(dict(zip(names, map(_simple, row), strict=False))))


def _simple(value: Any) -> Any:
    """Returns a value that JSON and spreadsheets can hold: times as text, bytes in hexadecimal."""
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value if value is None or isinstance(value, str | int | float | list | dict) else str(value)


def _text(value: Any) -> str:
    return "" if value is None else str(_simple(value))


@click.command("columns")
@click.argument("name", type=click.Choice([*columns.SHAPES, "datasette"]))
def describe(name: str) -> None:
    """Print the JSON Schema of a query's rows, or the metadata of the whole log for Datasette.

    \b
    Example:
      forbear log columns changes
      forbear log columns datasette > metadata.json && datasette forbear.db -m metadata.json
    """
    content = views.datasette() if name == "datasette" else columns.schema(name)
    click.echo(json.dumps(content, ensure_ascii=False, indent=2))


COMMANDS = (measures, changes, before_optout, unreadable, disagreements, size, sql, describe)
