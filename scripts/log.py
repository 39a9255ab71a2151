"""``forbear log``: the audit log, filtered, in the form that whoever asks can work with, and what else it answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from forbear.optout.model import Profile
from forbear.scripts import options, questions, show
from forbear.scripts.bundle import write_bundle
from forbear.scripts.filters import chosen, filters
from forbear.scripts.forms import because, forms, write
from forbear.scripts.options import option
from forbear.scripts.questions import opened
from forbear.storage.reads.columns import LOG
from forbear.storage.reads.queries import log


@click.group(invoke_without_command=True)
@filters
@forms
@option(
    "--bundle",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a zip with these decisions, their evidence and proofs, and a report, to be checked without Forbear.",
)
@option("--key", metavar="KEY", help="For --bundle: whose checkpoints sign for it: NAME+ID+BASE64, or a file with it.")
@options.evidence
@options.db
@click.pass_context
def command(
    ctx: click.Context,
    /,
    form: str,
    as_json: bool,
    redacted: bool,
    bundle: Path | None,
    key: str | None,
    evidence: str | None,
    db: str,
    **conditions: Any,
) -> None:
    """Print decisions from the audit log, newest last: what was decided, when, and in whose words.

    Two decisions are made about a page: whether it may be requested, and whether what came may be kept. URLs are
    redacted unless --no-redact is given: user names, values of queries and mail addresses may name a person.

    \b
    Example:
      forbear log --domain example.org --verdict excluded
      forbear log --verdict allowed --strict excluded
      forbear log --since 2026-01-01 --format parquet > decisions.parquet
      forbear log --domain example.org --bundle case.zip --key operator.key
    """
    if ctx.invoked_subcommand is not None:
        return
    if bundle:
        write_bundle(bundle, key, db, evidence, conditions, redacted=redacted)
        return
    with opened(db) as connection:
        rows = log(connection, chosen(conditions))
        found = write(LOG, rows, form, as_json=as_json, redacted=redacted, lines=_lines, heading=_HEADING)
        if not found and form == "table" and not as_json:
            show.line("No decision in this log is like that.")


_HEADING = Text(f"{'at':<20}  verdict   stage    url", "bold")


def _lines(row: dict[str, Any]) -> Iterator[Text]:
    """A line for each decision, its reasons below; nothing has to be read ahead, since the last column is the URL."""
    at = show.moment(datetime.fromisoformat(row["at"]))
    verdict = show.plain(row["verdict"])
    verdict.pad_right(len("excluded") - len(verdict))
    yield Text.assemble(f"{at}  ", verdict, f"  {row['stage']:<7}  ", show.plain(row["url"]))
    yield from because(row["reasons"], 41)
    for profile in Profile:
        other = row[f"verdict_{profile}"]
        if other not in (None, row["verdict"]):
            yield show.plain(f"{'':41}in {profile}: {other}")


for _question in questions.COMMANDS:
    command.add_command(_question)
