"""``forbear demo``: a small real web on loopback, crawled; what was kept, what was not, and in whose words."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forbear.crawler.crawl.config import Config
from forbear.crawler.crawl.run import run
from forbear.crawler.demo.demo_server import Web
from forbear.crawler.demo.sites import INFRINGING_LIST, OPERATOR_LIST, OPTED_OUT, SEEDS, SITES
from forbear.optout.readers.url import parse
from forbear.scripts import options, show
from forbear.scripts.crawl import tell
from forbear.scripts.lookup import command as lookup
from forbear.scripts.memory import sentence
from forbear.storage.database import open_database
from forbear.storage.db.records import EntryState
from forbear.storage.frontier import frontier
from forbear.storage.reads.queries import Filter, log, unheeded

if TYPE_CHECKING:
    from forbear.crawler.crawl.run import Summary

FAILED = 4
CONTACT = "https://example.org/crawler"
LISTED = "bakery.example"
"""Kept by the first crawl, and on a list that is imported before the second run."""


@click.command()
@options.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("forbear-demo"),
    help="Folder for the results.",
)
@options.option(
    "--opt-out",
    type=click.Choice(list(SITES)),
    help="Then have this host shut its doors, and show how that reaches corpus, reports and lists.",
)
@click.pass_context
def command(ctx: click.Context, out: Path, opt_out: str | None) -> int | None:
    """Crawl a small web that runs on this machine alone, and show what was respected.

    Two dozen hosts are played by one HTTP server on loopback, each with another reservation; three have the real
    robots.txt of a well-known site. Nothing leaves this machine. With --opt-out, a second run follows, and every
    document is made.

    \b
    Example:
      forbear demo
      forbear demo --opt-out photos.example
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
    sites = dict(SITES)
    with Web(sites) as web:
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
        _tell(config, summary)
        if summary.error:
            click.echo(f"Error: {sentence(summary.error)}", err=True)
            return FAILED
        if opt_out:
            sites[opt_out] = OPTED_OUT
            _reach(ctx.find_root().command, config, opt_out)
    return None


def _tell(config: Config, summary: Summary) -> None:
    show.line("")
    _show(config, summary.crawl)
    tell(summary, config)
    if summary.error:
        return
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
    show.line(f"The pages that were kept: {config.out}/warc/*.warc.gz and {config.out}/pages/*.parquet")


def _reach(program: click.Command, config: Config, host: str) -> None:
    """What follows when a host opts out between two runs: each command as a person gives it, and what it prints."""
    folder = config.out.parent
    settings = {"db": config.db, "out": str(config.out), "contact": CONTACT, "proxy": config.proxy or ""}
    settings["operator-list"] = str(config.operator_list)
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (folder / "forbear.toml").write_text("\n".join(["delay = 0", "retries = 0", *lines, *_TIMETABLE]) + "\n")
    (folder / "list.csv").write_text(f"domain\n{LISTED}\n")
    (folder / "urls.txt").write_text("".join(f"{seed}\n" for seed in SEEDS))
    reports = [f"{folder}/{{}}.{form}" for form in ("html", "docx", "pdf", "json")]

    def say(*words: str) -> None:
        show.line("")
        show.line(f"$ forbear {shlex.join(words)}")
        with suppress(SystemExit):  # what it found stands in what it printed
            program.main(["--config", str(folder / "forbear.toml"), *words])

    def made(kind: str, *more: str) -> None:
        say("report", kind, *(word for path in reports for word in ("--out", path.format(kind))), *more)

    show.line("")
    show.line(f"{host} says in its robots.txt from now on that nobody may come in, and {LISTED} is on a list of")
    show.line(f"infringing sites. The settings of what follows: {folder}/forbear.toml")
    say("lists", "import", "--format", "denmark", "--published", f"{datetime.now(UTC):%Y-%m-%d}", f"{folder}/list.csv")
    say("report", "summary", "--out", f"{folder}/before.json")
    say("run", "--once")
    say("corpus", "diff", "1", "2", "--db", config.db)
    say("corpus", "verify")
    say("corpus", "holds", host)
    say("corpus", "card")
    say("filter", f"{folder}/urls.txt", "--out", f"{folder}/filtered")
    made("summary", "--diff", f"{folder}/before.json")
    made("policy")
    made("coverage")


_TIMETABLE = ("[[run.step]]", 'name = "recheck"', 'command = ["recheck", "--max-delay", "0.5"]', 'at = "@daily"')
"""The host that asks for patience is left to another time."""


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


def _row(url: str, state: EntryState, row: dict[str, Any], other: tuple[str, str, str] | None) -> tuple[str, ...]:
    outcome = "deferred" if state is EntryState.ABANDONED else str(state)
    strict = row.get("verdict_strict")
    strict = "" if strict in (None, row.get("verdict")) else str(strict)
    words = [(one["protocol"], one["quote"], one["where"]) for one in row.get("reasons", ())]
    protocol, quote, where = words[0] if words else other or ("", "", "")
    recorded = "" if words or not protocol else " (recorded)"
    return outcome, strict, url, protocol + recorded, quote, where
