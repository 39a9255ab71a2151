"""``forbear demo``: a small real web on loopback, crawled; what was kept, what was not, and in whose words."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path

import click

from crawler.crawl import Config, run
from crawler.demo import OPERATOR_LIST, SEEDS, SITES
from crawler.web import Web
from optout.readers.url import parse
from scripts import options, show
from scripts.crawl import tell
from scripts.lookup import command as lookup
from storage import frontier
from storage.database import open_database
from storage.queries import Filter, log
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

    Eighteen hosts are played by one HTTP server on loopback, each with another reservation; three have the real
    robots.txt of a well-known site. Nothing leaves this machine.

    \b
    Example:
      forbear demo
    """
    folder = out / f"{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005 a name for people on this machine
    folder.mkdir(parents=True)
    listed = folder / "operator.csv"
    listed.write_bytes(OPERATOR_LIST)
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
    """How it ended for each URL, and the words that made it so."""
    engine = open_database(config.db)
    try:
        with engine.connect() as connection:
            said = {row["id"]: row["reasons"] for row in log(connection, Filter(crawl=crawl))}
            ends = [
                (url, state, said.get(decision, [])) for url, state, decision in frontier.entries(connection, crawl)
            ]
    finally:
        engine.dispose()
    order = list(SITES)
    ends.sort(key=lambda end: (order.index(parse(end[0]).host), end[0]))
    show.table(("outcome", "URL", "because", "in whose words", "where"), map(_row, ends))


def _row(end: tuple[str, State, list[dict[str, str]]]) -> tuple[str, ...]:
    url, state, reasons = end
    said = reasons[0] if reasons else {"protocol": "", "quote": "", "where": ""}
    outcome = "deferred" if state is State.ABANDONED else str(state)
    return outcome, url, said["protocol"], said["quote"], said["where"]
