"""``forbear demo``: crawls simulated sites on loopback, and shows what was kept, what was not, and why."""

from __future__ import annotations

import json
import os
import shlex
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forbear.crawler.crawl.config import Config, Network, Store, Terms
from forbear.crawler.crawl.run import run
from forbear.crawler.demo.demo_server import Web
from forbear.crawler.demo.sites import INFRINGING_LIST, OPERATOR_LIST, OPTED_OUT, SEEDS, SITES
from forbear.optout.readers.url import parse
from forbear.scripts import options, show
from forbear.scripts.crawl import print_summary
from forbear.scripts.database import open_connection
from forbear.scripts.exit_codes import FAILED
from forbear.scripts.lookup import command as lookup
from forbear.scripts.memory import message_of
from forbear.storage.db.records import EntryState
from forbear.storage.frontier import frontier
from forbear.storage.reads.queries import Filter, ignored_reservations, log

if TYPE_CHECKING:
    from forbear.crawler.crawl.run import Summary

CONTACT = "https://example.org/crawler"
LISTED = "bakery.example"
"""A site that the first crawl keeps, and that is on a list imported before the second run."""


@click.command()
@options.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("forbear-demo"),
    help="Write the results to this folder.",
)
@options.option(
    "--opt-out",
    type=click.Choice(list(SITES)),
    metavar="HOST",
    help="Let this site opt out after the crawl, and show how that reaches the corpus, reports and lists.",
)
@click.pass_context
def command(ctx: click.Context, out: Path, opt_out: str | None) -> int | None:
    """Crawl a simulated web on this machine, and show what was respected.

    One HTTP server on loopback simulates two dozen sites, each of which reserves its rights differently; three have the
    real robots.txt of a well-known site. No request leaves this machine. With --opt-out HOST (such as photos.example),
    a site then opts out, a second run follows, and every report is written.

    \b
    Example:
      forbear demo
      forbear demo --opt-out photos.example
    """
    for name in [name for name in os.environ if name.startswith("FORBEAR_")]:
        del os.environ[name]  # settings of real crawls: the demo must not write into their database
    folder = out / f"{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005 a name for people on this machine
    folder.mkdir(parents=True)
    listed = folder / "operator.csv"
    listed.write_bytes(OPERATOR_LIST)
    infringing = folder / "infringing.csv"
    infringing.write_bytes(INFRINGING_LIST)
    show.line(f"Crawling {len(SITES)} simulated sites on 127.0.0.1. No request leaves this machine.")
    sites = dict(SITES)
    with Web(sites) as web:
        config = Config(
            Store(folder / "corpus", f"sqlite:///{folder / 'forbear.db'}"),
            Terms(CONTACT, operator_list=listed, infringing_list=infringing),
            Network(delay=0.0, proxy=web.proxy),
            seeds=SEEDS,
            retries=0,
        )
        summary = run(config)
        _print_results(config, summary)
        if summary.error:
            click.echo(f"Error: {message_of(summary.error)}", err=True)
            return FAILED
        if opt_out:
            sites[opt_out] = OPTED_OUT
            _show_opt_out(ctx.find_root().command, config, opt_out)
    return None


def _print_results(config: Config, summary: Summary) -> None:
    show.line("")
    _print_outcomes(config, summary.crawl)
    print_summary(summary, config)
    if summary.error:
        return
    db = shlex.quote(config.store.db)
    show.line("")
    program = shlex.quote(sys.argv[0]) if sys.argv[0].endswith("forbear") else "forbear"
    show.line(f"$ {program} lookup journal.example --db {db}")
    lookup.main(["journal.example", "--db", config.store.db], standalone_mode=False)
    show.line("Next, try:")
    for example in (
        f"lookup archive.example --db {db}",
        f"log --verdict excluded --measure '1.3(1)(b)' --db {db}",
        f"log --domain news.example --format jsonl --db {db}",
    ):
        show.line(f"  {program} {example}")
    show.line(
        f"The pages that were kept are in {config.store.out}/warc/*.warc.gz and {config.store.out}/pages/*.parquet."
    )


def _show_opt_out(program: click.Command, config: Config, host: str) -> None:
    """Runs what an operator would run after a site opted out, and prints each command above its output."""
    folder = config.store.out.parent
    settings = {
        "db": config.store.db,
        "out": str(config.store.out),
        "contact": CONTACT,
        "proxy": config.network.proxy or "",
    }
    settings["operator-list"] = str(config.terms.operator_list)
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (folder / "forbear.toml").write_text("\n".join(["delay = 0", "retries = 0", *lines, *_SCHEDULE]) + "\n")
    (folder / "list.csv").write_text(f"domain\n{LISTED}\n")
    (folder / "urls.txt").write_text("".join(f"{seed}\n" for seed in SEEDS))
    reports = [f"{folder}/{{}}.{form}" for form in ("html", "docx", "pdf", "json")]

    def call(*words: str) -> None:
        show.line("")
        show.line(f"$ forbear {shlex.join(words)}")
        with suppress(SystemExit):  # the exit code repeats what the command printed
            program.main(["--config", str(folder / "forbear.toml"), *words])

    def report(kind: str, *more: str) -> None:
        call("report", kind, *(word for path in reports for word in ("--out", path.format(kind))), *more)

    day = f"{datetime.now(UTC):%Y-%m-%d}"
    show.line("")
    show.line(f"{host} now disallows every crawler in its robots.txt, and {LISTED} is on a list of infringing sites.")
    show.line(f"The next commands read their settings from {folder}/forbear.toml.")
    call("lists", "import", "--format", "denmark", "--published", day, f"{folder}/list.csv")
    call("report", "summary", "--out", f"{folder}/before.json")
    call("run", "--once")
    call("corpus", "diff", "1", "2", "--db", config.store.db)
    call("corpus", "verify")
    call("corpus", "holds", host)
    call("corpus", "card")
    call("filter", f"{folder}/urls.txt", "--out", f"{folder}/filtered")
    report("summary", "--diff", f"{folder}/before.json")
    report("policy")
    report("coverage")


_SCHEDULE = ("[[run.step]]", 'name = "recheck"', 'command = ["recheck", "--max-delay", "0.5"]', 'at = "@daily"')
"""Skips the host with a long Crawl-delay, so that the demo does not wait for it."""


def _print_outcomes(config: Config, crawl: str) -> None:
    """Prints the outcome for each URL, that of profile strict if it differs, and the words that decided."""
    with open_connection(config.store.db) as connection:
        decisions = {row["id"]: row for row in log(connection, Filter(crawl=crawl))}
        other = ignored_reservations(connection, crawl)
        ends = [(url, state, decision) for url, state, decision in frontier.entries(connection, crawl)]
    order = list(SITES)
    ends.sort(key=lambda end: (order.index(parse(end[0]).host), end[0]))
    rows = (
        _row(url, state, decisions.get(decision or "", {}), other.get(decision or "")) for url, state, decision in ends
    )
    show.table(("outcome", "in strict", "URL", "protocol", "quotation", "where"), rows)


def _row(url: str, state: EntryState, row: dict[str, Any], other: tuple[str, str, str] | None) -> tuple[str, ...]:
    outcome = "deferred" if state is EntryState.ABANDONED else str(state)
    strict = row.get("verdict_strict")
    strict = "" if strict in (None, row.get("verdict")) else str(strict)
    words = [(one["protocol"], one["quote"], one["where"]) for one in row.get("reasons", ())]
    protocol, quote, where = words[0] if words else other or ("", "", "")
    recorded = "" if words or not protocol else " (recorded)"
    return outcome, strict, url, protocol + recorded, quote, where
