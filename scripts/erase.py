"""``forbear erase``: erases what the log says about pages or complainants, and keeps the log verifiable."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import click

from forbear.scripts import options, show
from forbear.scripts.database import open_engine
from forbear.scripts.filters import TimeParameter
from forbear.storage.db.records import now
from forbear.storage.proof import erasure

_AGE = re.compile(r"([1-9][0-9]{0,4})([dwy])")
_DAYS = {"d": 1, "w": 7, "y": 365}


class AgeParameter(TimeParameter):
    """An age (90d, 26w, or 3y, years of 365 days), which means the time that long ago; or a day or time."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Converts a text to a time, or fails with an example."""
        if isinstance(value, str) and (age := _AGE.fullmatch(value)):
            return now() - timedelta(days=int(age[1]) * _DAYS[age[2]])
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not an age: write 90d, 26w or 3y, or a day such as 2026-01-31.", param, ctx)


@click.command()
@options.option(
    "--older-than", type=AgeParameter(), help="Erase decisions older than 90d, 26w or 3y, or made before a day."
)
@options.option("--url", type=options.text, help="Erase all decisions about this URL, and all captures of it.")
@options.option("--complaint", type=options.text, help="Erase the text of the complaint with this number.")
@options.option("--reason", required=True, type=options.text, help="Why, for the record; do not name a person here.")
@options.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@options.evidence
@options.db
@options.as_json
def command(
    older_than: datetime | None,
    url: str | None,
    complaint: str | None,
    reason: str,
    yes: bool,
    evidence: str | None,
    db: str,
    as_json: bool,
) -> None:
    """Erase URLs, hosts, headers and quotations of pages from the log. This cannot be undone.

    The log still shows that a decision was made, when, for which domain, by which protocol and with which result. It
    can be verified as before, and records the erasure as a row. Files at well-known places such as robots.txt stay
    unless --url names one. The corpus, backups and checkpoints (which contain no text of pages) are not changed.

    \b
    Example:
      forbear erase --older-than 3y --reason "retention period of the processing register, no. 12"
      forbear erase --url https://example.org/jane-doe --reason "request of 1 March" --yes
      forbear erase --complaint 2026-7KQ2M9 --reason "closed three years ago" --yes
    """
    if sum(given is not None for given in (older_than, url, complaint)) != 1:
        raise click.UsageError("Choose what to erase: --older-than AGE, --url URL or --complaint NUMBER.")
    what = f"complaint {complaint}" if complaint else f"decisions about {url}"
    if older_than is not None:
        what = f"decisions before {show.time(older_than)}"
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Erasing cannot be undone. Add --yes to confirm it.")
        click.confirm(f"Erase the text of {what}? This cannot be undone.", abort=True, err=True)
    tally = Counter[str]()
    with open_engine(db, evidence=evidence) as engine:
        if older_than is not None:
            rows = erasure.older_than(engine, older_than, reason)
        elif url is not None:
            rows = erasure.by_url(engine, url, reason)
        else:
            rows = erasure.by_complaint(engine, str(complaint), reason)
        for count in show.progress(rows, lambda: f"{tally['rows']:,} rows erased"):
            tally["rows"] += count
    erased = tally["rows"]
    if as_json:
        click.echo(json.dumps({"rows": erased}))
    elif erased:
        show.line(f"Erased the text of {what}: {show.count(erased, 'row')}.")
    else:
        show.line(f"Nothing to erase: no text of {what} is stored.")
