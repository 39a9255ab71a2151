"""``forbear demo``: a small real web on loopback, crawled; what was kept, what was not, and in whose words."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from crawler.crawl import Config, run
from crawler.demo import INFRINGING_LIST, OPERATOR_LIST, SEEDS, SITES
from crawler.web import Web
from optout.readers.url import parse
from scripts import options, show
from scripts.crawl import tell
from scripts.lookup import command as lookup
from storage import frontier
from storage.database import open_database
from storage.queries import Filter, log, unheeded
from storage.records import State

FAILED = 4
CONTACT = "https://example.org/crawler"


@click.command()
@options.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("forbear-demo"),
    help="Folder for the results.",
)
def command(out: Path) -> int | None:
    """Crawl a small web that runs on this machine alone, and show what was respected.

    Two dozen hosts are played by one HTTP server on loopback, each with another reservation; three have the real
    robots.txt of a well-known site. Nothing leaves this machine.

    \b
    Example:
      forbear demo
    """
    folder = out / f"{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005 a name for people on this machine
    folder.mkdir(parents=True)
    listed = folder / "operator.csv"
    listed.write_bytes(OPERATOR_LIST)
    infringing = folder / "infringing.csv"
    infringing.write_bytes(INFRINGING_LIST)
    show.line(
        f"Forbear crawls a web of {len(SITES)} hosts that one server on 127.0.0.1 plays. Nothing leaves this machine."
    )
    with Web(SITES) as web:
        config = Config(
            seeds=SEEDS,
            out=folder / "corpus",
            db=f"sqlite:///{folder / 'forbear.db'}",
            contact=CONTACT,
            delay=0.0,
            retries=0,
            proxy=web.proxy,
            operator_list=listed,
            infringing_list=infringing,
        )
        summary = run(config)
    show.line("")
    _show(config, summary.crawl)
    tell(summary, config)
    if summary.error:
        click.echo(f"Error: {summary.error}", err=True)
        return FAILED
    db = shlex.quote(config.db)
    show.line("")
    program = shlex.quote(sys.argv[0]) if sys.argv[0].endswith("forbear") else "forbear"
    show.line(f"$ {program} lookup journal.example --db {db}")
    lookup.main(["journal.example", "--db", config.db], standalone_mode=False)
    show.line("Look further, with the same --db:")
    for example in (
        f"lookup archive.example --db {db}",
        f"log --verdict excluded --measure '1.3(1)(b)' --db {db}",
        f"log --domain news.example --format jsonl --db {db}",
    ):
        show.line(f"  {program} {example}")
    show.line(f"The pages that were kept: {folder}/corpus/warc/*.warc.gz and {folder}/corpus/pages/*.parquet")
    return None


def _show(config: Config, crawl: str) -> None:
    """How it ended for each URL, and the words that made it so; what strict would have made of them."""
    engine = open_database(config.db)
    try:
        with engine.connect() as connection:
            said = {row["id"]: row for row in log(connection, Filter(crawl=crawl))}
            other = unheeded(connection, crawl)
            ends = [(url, state, decision) for url, state, decision in frontier.entries(connection, crawl)]
    finally:
        engine.dispose()
    order = list(SITES)
    ends.sort(key=lambda end: (order.index(parse(end[0]).host), end[0]))
    rows = (_row(url, state, said.get(decision or "", {}), other.get(decision or "")) for url, state, decision in ends)
    show.table(("outcome", "in strict", "URL", "because", "in whose words", "where"), rows)


def _row(url: str, state: State, row: dict[str, Any], other: tuple[str, str, str] | None) -> tuple[str, ...]:
    outcome = "deferred" if state is State.ABANDONED else str(state)
    strict = row.get("verdict_strict")
    strict = "" if strict in (None, row.get("verdict")) else str(strict)
    words = [(one["protocol"], one["quote"], one["where"]) for one in row.get("reasons", ())]
    protocol, quote, where = words[0] if words else other or ("", "", "")
    recorded = "" if words or not protocol else " (recorded)"
    return outcome, strict, url, protocol + recorded, quote, where
