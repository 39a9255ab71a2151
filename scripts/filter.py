"""``forbear filter``: takes what is reserved out of data that others collected."""

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

from forbear.crawler.filter.config import FilterConfig
from forbear.crawler.filter.inputs import BadInput
from forbear.crawler.filter.run import KINDS, run
from forbear.crawler.identity import BadConfig
from forbear.optout.model import Profile, Use
from forbear.scripts import options, show
from forbear.scripts.crawl import listed
from forbear.storage.database import shown

if TYPE_CHECKING:
    from forbear.crawler.filter.config import Filtered

_PATH = click.Path(exists=True, path_type=Path)
OFFLINE_CONTACT = "mailto:nobody@offline.invalid"
"""Stands where nobody is asked, so that nobody reads it (RFC 2606)."""


@click.command()
@click.argument("inputs", metavar="INPUT…", nargs=-1, required=True, type=_PATH)
@options.option(
    "--out",
    envvar="FORBEAR_FILTER_OUT",  # what is called out elsewhere is the folder of the corpus
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of what stays, and of why.",
)
@options.db
@options.evidence
@options.option("--kind", type=click.Choice(KINDS), help="What the inputs are.  [default: by their names]")
@options.option("--url-column", type=options.text, help="Column that holds the URL.  [default: url and the like]")
@options.option("--offline", is_flag=True, help="Ask nobody: what the log or a snapshot does not know is deferred.")
@options.option(
    "--snapshot",
    multiple=True,
    type=_PATH,
    help="What hosts answered: a .parquet of `forbear export hosts`, WARC of robots.txt and the like. Can be repeated.",
)
@options.option(
    "--grouped",
    is_flag=True,
    help="For tables of millions: log a row for each host and answer, not for each URL. With --offline and --snapshot.",
)
@options.who
@options.delay
@options.option("--concurrency", type=click.IntRange(min=1), default=64, help="Hosts that are asked at once.")
@options.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=30.0, help="Seconds for an exchange.")
@options.connecting
@options.option("--tolerate-damage", is_flag=True, help="Exit with 0 though records are broken or files cut off.")
@options.as_json
def command(as_json: bool, tolerate_damage: bool, **settings: Any) -> int:
    """Take out of WARC, Parquet, URL lists and images what is reserved, and what cannot be known.

    OUT/kept has the inputs without it, OUT/reasons a Parquet file for each with whose words were decisive. Every
    decision is in the log. A run that was killed goes on with the same command. What is broken in a WARC file is left
    out and named; the exit code is 1 then.

    \b
    Example:
      forbear filter data.parquet CC-MAIN-*.warc.gz --out filtered --contact https://example.org/bot
      forbear filter table.parquet --snapshot hosts.parquet --offline --grouped --out filtered
    """
    if settings["contact"] is None:
        if not settings["offline"]:
            raise click.UsageError(
                "--contact is missing: hosts are asked for their reservations, so give a web page (https://…) or "
                "mailto:NAME@DOMAIN where people reach you; or say --offline."
            )
        settings["contact"] = OFFLINE_CONTACT
    settings |= {"use": Use(settings["use"]), "profile": Profile(settings["profile"])}
    try:
        config = FilterConfig(seeds=(), **settings)
        done = _watched(config)
    except (BadConfig, BadInput) as error:
        raise click.UsageError(str(error).rstrip(".") + ".") from None
    if as_json:
        click.echo(json.dumps(_as_json(done, config)))
    else:
        _tell(done, config)
    return 1 if done.broken and not tolerate_damage else 0


def _watched(config: FilterConfig) -> Filtered:
    if not sys.stderr.isatty():
        return run(config, say=lambda sentence: click.echo(show.plain(sentence).plain, err=True))
    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        return run(
            config,
            lambda done: live.update(Text(_counts(done))),
            lambda sentence: live.console.print(show.plain(sentence), soft_wrap=True),
        )


def _counts(done: Filtered) -> str:
    total = done.total
    rate = sum(total.values()) / done.seconds if done.seconds else 0.0
    return "  ".join([*(f"{total[name]:,} {name}" for name in sorted(total)), f"{rate:,.0f} rows/s"])


def _tell(done: Filtered, config: FilterConfig) -> None:
    show.table(
        ("input", "allowed", "excluded", "deferred", "unusable", ""),
        (
            (name, *(f"{counts[key]:,}" for key in ("allowed", "excluded", "deferred", "unusable")), _when(done, name))
            for name, counts in done.counts.items()
        ),
    )
    records, cut = _broken(done)
    if records:
        files = _number(len(done.broken), "file")
        show.line(f"Not whole: {_number(records, 'broken record')} in {files}, {cut:,} of them cut off.")
    if done.protocols:
        show.line(f"Decisive: {listed(done.protocols)}.")
    show.line(f"{done.requests:,} requests in {done.seconds:.1f} s. What stays: {config.out}/kept. Why the rest does")
    show.line(
        f"not: {config.out}/reasons. Deferred rows are left out too: it cannot be known now if they are reserved."
    )
    show.line(f"Look further: forbear log --crawl {done.crawl} --db {shlex.quote(shown(config.db))}")


def _when(done: Filtered, name: str) -> str:
    return "done before" if name in done.before else ""


def _broken(done: Filtered) -> tuple[int, int]:
    """How many records are broken, and how many files are cut off."""
    return sum(each.records for each in done.broken.values()), sum(each.cut for each in done.broken.values())


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _as_json(done: Filtered, config: FilterConfig) -> dict[str, Any]:
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
        "out": str(config.out),
    }
