"""``forbear erase``: erases what the log says about pages, or who complained, and leaves proof that it was so."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import click

from forbear.scripts import options, show
from forbear.scripts.filters import Moment
from forbear.storage.database import open_database, translated
from forbear.storage.db.records import now
from forbear.storage.proof import erasure

_AGE = re.compile(r"([1-9][0-9]{0,4})([dwy])")
_DAYS = {"d": 1, "w": 7, "y": 365}


class Age(Moment):
    """An age (90d, 26w, 3y: years of 365 days), as the moment so long ago; or a day or time."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment; fails with a sentence."""
        if isinstance(value, str) and (age := _AGE.fullmatch(value)):
            return now() - timedelta(days=int(age[1]) * _DAYS[age[2]])
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no age: write 90d, 26w or 3y, or a day such as 2026-01-31.", param, ctx)


@click.command()
@options.option("--older-than", type=Age(), help="Decisions older than 90d, 26w, 3y, or made before a day.")
@options.option(
    "--url", type=options.text, help="Decisions about this URL, and captures of it, whenever they were made."
)
@options.option("--complaint", type=options.text, help="The words of the complaint with this number.")
@options.option("--reason", required=True, type=options.text, help="Why, for the record; name nobody here.")
@options.option("--yes", is_flag=True, help="Do not ask.")
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
    """Erase URLs, hosts, headers and quotations of pages from the log, for good.

    What stays says that something was decided, when, for which domain, by which protocol, with which result. The log
    can be verified as before; the erasure itself is a row of it. Files of well-known places such as robots.txt stay,
    unless --url names one. The corpus is not touched, nor are backups, nor checkpoints, which hold no words.

    \b
    Example:
      forbear erase --older-than 3y --reason "retention period of the processing register, no. 12"
      forbear erase --url https://example.org/jane-doe --reason "request of 1 March" --yes
      forbear erase --complaint 2026-7KQ2M9 --reason "closed three years ago" --yes
    """
    if sum(given is not None for given in (older_than, url, complaint)) != 1:
        raise click.UsageError("Say what is to be erased: --older-than AGE, --url URL or --complaint NUMBER.")
    what = f"of complaint {complaint}" if complaint else f"about {url}"
    if older_than is not None:
        what = f"of decisions before {show.moment(older_than)}"
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Nothing brings back what is erased: add --yes if you mean it.")
        click.confirm(f"Erase the words {what}, for good?", abort=True, err=True)
    engine = open_database(db, create=False, evidence=evidence)
    tally = Counter[str]()
    try:
        with translated(engine.url):
            if older_than is not None:
                rows = erasure.older_than(engine, older_than, reason)
            elif url is not None:
                rows = erasure.by_url(engine, url, reason)
            else:
                rows = erasure.by_complaint(engine, str(complaint), reason)
            for count in show.progress(rows, lambda: f"{tally['rows']:,} rows erased"):
                tally["rows"] += count
    finally:
        engine.dispose()
    erased = tally["rows"]
    if as_json:
        click.echo(json.dumps({"rows": erased}))
    else:
        show.line(f"Erased the words {what}: {erased:,} rows." if erased else f"There was nothing {what}.")
