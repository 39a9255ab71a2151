"""``forbear log``: queries the audit log, and prints a table, CSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from forbear.optout.model import Profile
from forbear.scripts import log_queries, options, show
from forbear.scripts.bundle import write_bundle
from forbear.scripts.database import open_connection
from forbear.scripts.filters import build_filter, filters
from forbear.scripts.options import option
from forbear.scripts.output import output_options, reason_lines, write_rows
from forbear.storage.reads.columns import LOG
from forbear.storage.reads.queries import log


@click.group(cls=options.Group, invoke_without_command=True)
@filters
@output_options
@option(
    "--bundle",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a zip with the decisions, their evidence and proofs, and a report, to check without Forbear.",
)
@option("--key", metavar="KEY", help="With --bundle: key that signed the checkpoints, as NAME+ID+BASE64 or in a file.")
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
    """Print decisions from the audit log, newest last: what was decided, when, and on whose words.

    There are two decisions about a page: whether it may be requested, and whether the answer may be kept. URLs are
    redacted, as user names, query values and mail addresses may name a person; --no-redact shows them in full.

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
    with open_connection(db) as connection:
        rows = log(connection, build_filter(conditions))
        found = write_rows(LOG, rows, form, as_json=as_json, redacted=redacted, lines=_lines, heading=_HEADING)
        if not found and form == "table" and not as_json:
            show.line("No decisions match.")


_HEADING = Text(f"{'at':<20}  verdict   stage    url", "bold")


def _lines(row: dict[str, Any]) -> Iterator[Text]:
    """Formats a decision in one line, with its reasons below; the URL comes last, so that no width has to be known."""
    at = show.time(datetime.fromisoformat(row["at"]))
    verdict = show.plain(row["verdict"])
    verdict.pad_right(len("excluded") - len(verdict))
    yield Text.assemble(f"{at}  ", verdict, f"  {row['stage']:<7}  ", show.plain(row["url"]))
    yield from reason_lines(row["reasons"], 41)
    for profile in Profile:
        other = row[f"verdict_{profile}"]
        if other not in (None, row["verdict"]):
            yield show.plain(f"{'':41}in {profile}: {other}")


for _query in log_queries.COMMANDS:
    command.add_command(_query)
