"""What legal teams ask of the log beside its decisions: the commands within ``forbear log``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from forbear.scripts import options, show
from forbear.scripts.filters import chosen, filters
from forbear.scripts.forms import forms, write
from forbear.scripts.options import option
from forbear.storage.database import open_database, reading_only, translated
from forbear.storage.db import views
from forbear.storage.log import evidence
from forbear.storage.reads import columns, questions, redact
from forbear.storage.reads.exports import harmless

if TYPE_CHECKING:
    from forbear.storage.database import Connection


@contextmanager
def opened(db: str) -> Iterator[Connection]:
    """A connection to the log, which is there already; its errors are sentences."""
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _answer(name: str, rows: Iterator[dict[str, Any]], form: str, as_json: bool, redacted: bool) -> None:
    found = write(columns.SHAPES[name], rows, form, as_json=as_json, redacted=redacted)
    if not found and form == "table" and not as_json:
        show.line("Nothing in this log is like that.")


@click.command("measures")
@filters
@forms
@options.db
def measures(db: str, form: str, as_json: bool, redacted: bool, **conditions: Any) -> None:
    """Count decisions by measure of the Code of Practice, protocol and verdict.

    \b
    Example:
      forbear log measures --since 2026-01-01 --until 2026-04-01 --format csv
    """
    with opened(db) as connection:
        _answer("measures", questions.measures(connection, chosen(conditions)), form, as_json, redacted)


@click.command("changes")
@click.argument("first", metavar="CRAWL1")
@click.argument("second", metavar="CRAWL2")
@forms
@options.db
def changes(first: str, second: str, db: str, form: str, as_json: bool, redacted: bool) -> None:
    """What changed between two crawls: opt-outs that are new, withdrawn, or in other words; the later comes second.

    \b
    Example:
      forbear log changes 01a2… 01a7…
    """
    with opened(db) as connection:
        _answer("changes", questions.changes(connection, first, second), form, as_json, redacted)


_domain = option("--domain", help="Of this domain or host, and what lies below it.")


@click.command("before-optout")
@_domain
@forms
@options.db
def before_optout(domain: str | None, db: str, form: str, as_json: bool, redacted: bool) -> None:
    """Pages of which a copy was kept before their site reserved them.

    \b
    Example:
      forbear log before-optout --domain example.org
    """
    with opened(db) as connection:
        _answer("before-optout", questions.before_optout(connection, domain), form, as_json, redacted)


@click.command("unreadable")
@_domain
@forms
@options.db
def unreadable(domain: str | None, db: str, form: str, as_json: bool, redacted: bool) -> None:
    """Sites whose robots.txt could not be read, so that nothing of them was kept until it could.

    \b
    Example:
      forbear log unreadable --format csv > unreadable.csv
    """
    with opened(db) as connection:
        _answer("unreadable", questions.unreadable(connection, domain), form, as_json, redacted)


@click.command("disagreements")
@filters
@forms
@options.db
def disagreements(db: str, form: str, as_json: bool, redacted: bool, **conditions: Any) -> None:
    """Decisions where protocols disagreed: one reserves the use, and so it was excluded; another one allows it.

    \b
    Example:
      forbear log disagreements --crawl 01a2…
    """
    with opened(db) as connection:
        _answer("disagreements", questions.disagreements(connection, chosen(conditions)), form, as_json, redacted)


@click.command("size")
@options.db
@options.as_json
def size(db: str, as_json: bool) -> None:
    """How much evidence is stored: as received, each content once, compressed.

    \b
    Example:
      forbear log size
    """
    with opened(db) as connection:
        measured = evidence.size(connection)
    if as_json:
        click.echo(json.dumps(measured._asdict()))
        return
    show.line(f"captures     {measured.captures:>15,} with their content stored")
    show.line(f"received     {measured.received:>15,} octets")
    show.line(f"once each    {measured.size:>15,} octets in {measured.contents:,} contents")
    show.line(f"compressed   {measured.packed:>15,} octets, {measured.outside:,} of them outside of the database")


@click.command("sql")
@click.argument("query", metavar="SELECT…", required=False)
@option("--views", "list_views", is_flag=True, help="List the views that can be asked, and their columns.")
@option("--format", "form", type=click.Choice(["table", "csv", "jsonl"]), default="table", help="As for forbear log.")
@option("--json", "as_json", is_flag=True, help="The same as --format jsonl.")
@options.redact
@options.db
def sql(query: str | None, list_views: bool, form: str, as_json: bool, redacted: bool, db: str) -> None:
    """Ask in SQL: one SELECT over the views of the log; the database itself refuses everything else.

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
        raise click.UsageError("Write the SELECT in quotation marks, or --views to see what can be asked.")
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), reading_only(engine) as connection:
            asked = views.ask(connection, query)
            rows = (tuple(map(redact.cell, row)) for row in asked.rows) if redacted else asked.rows
            _print(asked.columns, rows, "jsonl" if as_json else form)
    finally:
        engine.dispose()


def _print(names: Any, rows: Any, form: str) -> None:
    if form == "table":
        show.table(names, ([_text(value) for value in row] for row in rows))
    elif form == "csv":
        csv.writer(sys.stdout).writerows([names])
        csv.writer(sys.stdout).writerows([harmless(_simple(value)) for value in row] for row in rows)
    else:
        for row in rows:
            sys.stdout.write(show.json_line(dict(zip(names, map(_simple, row), strict=False))))


def _simple(value: Any) -> Any:
    """A value as JSON and spreadsheets hold it: times as text, octets in hexadecimal."""
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value if value is None or isinstance(value, str | int | float | list | dict) else str(value)


def _text(value: Any) -> str:
    return "" if value is None else str(_simple(value))


@click.command("columns")
@click.argument("name", type=click.Choice([*columns.SHAPES, "datasette"]))
def describe(name: str) -> None:
    """Print the JSON Schema of an answer's rows, or the metadata of the whole log for Datasette.

    \b
    Example:
      forbear log columns changes
      forbear log columns datasette > metadata.json && datasette forbear.db -m metadata.json
    """
    content = views.datasette() if name == "datasette" else columns.schema(name)
    click.echo(json.dumps(content, ensure_ascii=False, indent=2))


COMMANDS = (measures, changes, before_optout, unreadable, disagreements, size, sql, describe)
