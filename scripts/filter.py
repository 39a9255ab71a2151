"""``forbear filter``: removes reserved content from data that others collected."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from forbear.crawler.crawl.config import by_subject
from forbear.crawler.filter.config import FilterConfig
from forbear.crawler.filter.inputs import BadInput
from forbear.crawler.filter.run import KINDS, run
from forbear.crawler.identity import BadConfig
from forbear.optout.model import Profile, Use
from forbear.scripts import options, show
from forbear.scripts.crawl import listed
from forbear.storage.database import hide_password

if TYPE_CHECKING:
    from forbear.crawler.filter.config import FilterResult

_PATH = click.Path(exists=True, path_type=Path)
OFFLINE_CONTACT = "mailto:nobody@offline.invalid"
"""The contact on record for a run that sends no request, so that nobody reads it (RFC 2606)."""


@click.command()
@click.argument("inputs", metavar="INPUT…", nargs=-1, required=True, type=_PATH)
@options.option(
    "--out",
    envvar="FORBEAR_FILTER_OUT",  # in other commands, FORBEAR_OUT is the folder of the corpus
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Write what stays, and the reasons for the rest, to this folder.",
)
@options.db
@options.evidence
@options.option("--kind", type=click.Choice(KINDS), help="Type of the inputs.  [default: by their names]")
@options.option("--url-column", type=options.text, help="Column that holds the URL.  [default: url or a similar name]")
@options.option(
    "--offline", is_flag=True, help="Send no requests, and defer what neither the log nor a snapshot can answer."
)
@options.option(
    "--snapshot",
    multiple=True,
    type=_PATH,
    help="Read what hosts answered from a file of `forbear export hosts`, or WARC of robots.txt. Can be repeated.",
)
@options.option(
    "--grouped",
    is_flag=True,
    help="For tables with millions of rows: log one row per host and answer, not per URL. Needs --offline and "
    "--snapshot.",
)
@options.crawler
@options.delay
@options.option("--concurrency", type=click.IntRange(min=1), default=64, help="Ask this many hosts at a time.")
@options.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    help="Give up a request after this time.",
)
@options.connections
@options.option("--tolerate-damage", is_flag=True, help="Exit with 0 even if records are broken or files truncated.")
@options.as_json
def command(as_json: bool, tolerate_damage: bool, **settings: Any) -> int:
    """Remove what is reserved or undecided from WARC, Parquet, URL lists and images.

    OUT/kept gets the inputs without it, and OUT/reasons a Parquet file for each input with the words that decided.
    Every decision is in the log. To continue a run that was killed, run the same command again. Broken WARC records
    are left out and reported, and the exit code is 1.

    \b
    Example:
      forbear filter data.parquet CC-MAIN-*.warc.gz --out filtered --contact https://example.org/bot
      forbear filter table.parquet --snapshot hosts.parquet --offline --grouped --out filtered
    """
    if settings["contact"] is None:
        if not settings["offline"]:
            raise click.UsageError(
                options.missing_contact("hosts are asked for their reservations. To ask no host, add --offline.")
            )
        settings["contact"] = OFFLINE_CONTACT
    settings |= {"use": Use(settings["use"]), "profile": Profile(settings["profile"])}
    try:
        config = FilterConfig(**by_subject(settings))
        done = _watched(config)
    except (BadConfig, BadInput) as error:
        raise click.UsageError(str(error).rstrip(".") + ".") from None
    if as_json:
        click.echo(json.dumps(_as_json(done, config)))
    else:
        _print_summary(done, config)
    return 1 if done.broken and not tolerate_damage else 0


def _watched(config: FilterConfig) -> FilterResult:
    if not sys.stderr.isatty():
        return run(config, say=lambda sentence: click.echo(show.plain(sentence).plain, err=True))
    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        return run(
            config,
            lambda done: live.update(Text(_counts(done))),
            lambda sentence: live.console.print(show.plain(sentence), soft_wrap=True),
        )


def _counts(done: FilterResult) -> str:
    total = done.total
    rate = sum(total.values()) / done.seconds if done.seconds else 0.0
    return "  ".join([*(f"{total[name]:,} {name}" for name in sorted(total)), f"{rate:,.0f} rows/s"])


def _print_summary(done: FilterResult, config: FilterConfig) -> None:
    show.table(
        ("input", "allowed", "excluded", "deferred", "unusable", ""),
        (
            (name, *(f"{counts[key]:,}" for key in ("allowed", "excluded", "deferred", "unusable")), _when(done, name))
            for name, counts in done.counts.items()
        ),
    )
    records, cut = _broken(done)
    if records:
        files = show.count(len(done.broken), "file")
        show.line(f"Damaged: {show.count(records, 'broken record')} in {files}, {cut:,} of them truncated.")
    if done.protocols:
        show.line(f"Decided by: {listed(done.protocols)}.")
    show.line(f"{show.count(done.requests, 'request')} in {done.seconds:.1f} s.")
    show.line(f"Kept: {config.store.out}/kept. Reasons for the rest: {config.store.out}/reasons.")
    show.line("Deferred rows are not kept: whether they are reserved could not be read.")
    show.line(
        f"See every decision: forbear log --crawl {done.crawl} --db {shlex.quote(hide_password(config.store.db))}"
    )


def _when(done: FilterResult, name: str) -> str:
    return "done before" if name in done.before else ""


def _broken(done: FilterResult) -> tuple[int, int]:
    """Counts the broken records and the truncated files."""
    return sum(each.records for each in done.broken.values()), sum(each.cut for each in done.broken.values())


def _as_json(done: FilterResult, config: FilterConfig) -> dict[str, Any]:
    records, cut = _broken(done)
    return {
        "crawl": done.crawl,
        "seconds": round(done.seconds, 3),
        "requests": done.requests,
        "counts": dict(done.total),
        "by_protocol": dict(done.protocols),
        "inputs": {name: dict(counts) | {"before": name in done.before} for name, counts in done.counts.items()},
        "broken_records": records,
        "cut_files": cut,
        "broken": {name: {"records": each.records, "cut": each.cut} for name, each in done.broken.items()},
        "out": str(config.store.out),
    }
