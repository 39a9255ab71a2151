"""``forbear crawl``: crawls, enforces reservations, writes the audit log and the corpus."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from forbear.crawler.crawl import events
from forbear.crawler.crawl.config import FOLLOW, Config
from forbear.crawler.crawl.run import run
from forbear.crawler.identity import BadConfig
from forbear.scripts import checkpoint, options, show
from forbear.scripts.lists import warn
from forbear.scripts.memory import sentence
from forbear.storage.database import StorageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forbear.crawler.crawl.context import Tally
    from forbear.crawler.crawl.run import Summary

FAILED = 4


@click.command()
@click.argument("seed_url", nargs=-1)
@options.option("--seeds", type=click.File("r", encoding="utf-8"), help="File of seed URLs, one a line; - is stdin.")
@options.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the corpus.")
@options.db
@options.evidence
@options.who
@options.option("--shadow", is_flag=True, help="Rehearse: decide and log as usual, but keep nothing.")
@options.option("--max-pages", type=click.IntRange(min=1), help="Keep so many pages at most.  [default: no limit]")
@options.option(
    "--max-depth", type=click.IntRange(min=0), help="Links from a seed; 0: seeds alone.  [default: no limit]"
)
@options.option("--follow", type=click.Choice(FOLLOW), default="same-host", help="Which links are followed.")
@options.option("--sitemaps", is_flag=True, help="Also crawl what the sitemaps named in robots.txt list.")
@options.fetching
@options.connecting
@options.option(
    "--resume", is_flag=True, help="Go on with the last crawl of these settings, what was deferred included."
)
@options.option(
    "--lease",
    type=click.FloatRange(min=1),
    default=60.0,
    help="Seconds until others take over the hosts of a process that gives no sign of life.",
)
@options.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve /metrics for Prometheus, and /health.")
@options.option("--metrics-host", type=options.text, default="127.0.0.1", help="Address that port is served on.")
@options.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Standard error: progress and warnings, or all events as JSON lines.",
)
@options.sealing
@options.as_json
def command(
    seed_url: tuple[str, ...],
    seeds: IO[str] | None,
    log_format: str,
    as_json: bool,
    **settings: Any,
) -> int | None:
    """Crawl from seed URLs; log every decision, keep what nobody reserved.

    Pages go to OUT/warc/*.warc.gz, their text to OUT/pages/*.parquet, decisions to the database. A crawl that was
    stopped or killed goes on with the same command.

    \b
    Example:
      forbear crawl https://example.org/ --out corpus --contact https://example.org/bot
    """
    settings = options.of_crawl(settings)
    urls = (*seed_url, *(_lines(seeds) if seeds else ()))
    if not urls and not settings["resume"]:
        raise click.UsageError("There is nothing to crawl: name seed URLs, or a file of them with --seeds.")
    sealing = checkpoint.wanted(settings)
    events.tell(log_format)
    try:
        config = Config(seeds=urls, **settings)
        warn(config)
        summary = run(config) if log_format == "json" else _watched(config)
    except BadConfig as error:
        raise click.UsageError(str(error)) from None
    except StorageError as error:
        if log_format == "text":
            raise
        return _failed([str(error)], log_format)
    failures = [] if summary.error is None else [sentence(summary.error)]
    sealed = checkpoint.seal(config.db, sealing, failures)
    if as_json:
        click.echo(json.dumps({**_as_json(summary, config), "checkpoint": sealed and checkpoint.as_object(sealed)}))
    else:
        tell(summary, config)
        if sealed:
            show.line(checkpoint.told(sealed))
        _advise(summary, config)
    return _failed(failures, log_format)


def _failed(failures: list[str], log_format: str) -> int | None:
    """The exit code, after what went wrong was said on standard error."""
    for failure in failures:
        if log_format == "json":
            events.fail(failure)
        else:
            click.echo(f"Error: {failure}", err=True)
    return FAILED if failures else None


def _lines(file: IO[str]) -> Iterator[str]:
    try:
        yield from (url for line in file if (url := line.strip()) and not url.startswith("#"))
    except UnicodeDecodeError:
        raise click.UsageError("The file of seeds is no UTF-8 text: write one URL a line.") from None


def _watched(config: Config) -> Summary:
    """Runs the crawl, with a line that tells how it goes where standard error is a terminal."""
    if not sys.stderr.isatty():
        return run(config)
    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        return run(config, lambda tally: live.update(progress(tally, config.max_pages)))


def progress(tally: Tally, most: int | None) -> Text:
    """How a crawl goes, in a line: pages, what is excluded by which protocol, what is left."""
    rate = tally.kept / tally.seconds if tally.seconds else 0.0
    parts = [f"{tally.kept:,} kept" + (f" of {most:,}" if most else "")]
    parts += [f"{tally.pages_excluded:,} excluded" + (f" ({listed(tally.excluded)})" if tally.excluded else "")]
    parts += [f"{tally.pages_deferred:,} deferred", f"{tally.hosts:,} hosts at work", f"{rate:.1f} pages/s"]
    if most and rate:
        parts.append(f"{_duration((most - tally.kept) / rate)} left at most")
    return Text("  ".join(parts))


def tell(summary: Summary, config: Config) -> None:
    """What a crawl did."""
    tally = summary.tally
    how = "finished" if summary.finished else "stopped"
    again = "The crawl went on where it stood, and " if summary.resumed else "The crawl "
    show.line(f"{again}{how} after {_duration(tally.seconds)}.")
    show.line(f"  kept       {tally.kept:,} pages, {tally.octets:,} octets")
    show.line(f"  excluded   {tally.pages_excluded:,}" + (f": {listed(tally.excluded)}" if tally.excluded else ""))
    show.line(f"  deferred   {tally.pages_deferred:,}" + (f": {listed(tally.deferred)}" if tally.deferred else ""))
    for state in sorted(tally.outcomes):
        show.line(f"  {state:<10} {tally.outcomes[state]:,}")
    if summary.idle:
        show.line(summary.idle)
    if summary.version:
        show.line(f"This is version {summary.version} of the corpus: forbear corpus versions --out {config.out}")
    show.line(f"Corpus: {config.out}/warc and {config.out}/pages. Log: {shown(config.db)}.")


def _advise(summary: Summary, config: Config) -> None:
    if not summary.finished:
        show.line("The same command goes on where it stopped.")
    elif summary.tally.deferred:
        show.line("What was deferred is asked again by the same command with --resume.")
    show.line(
        f"Look further: forbear log --crawl {summary.crawl} --verdict excluded --db {shlex.quote(shown(config.db))}"
    )


def _as_json(summary: Summary, config: Config) -> dict[str, Any]:
    tally = summary.tally
    return {
        "crawl": summary.crawl,
        "resumed": summary.resumed,
        "finished": summary.finished,
        "seconds": round(tally.seconds, 3),
        "kept": tally.kept,
        "bytes": tally.octets,
        "excluded": {"decisions": tally.pages_excluded, "by_protocol": dict(tally.excluded)},
        "deferred": {"decisions": tally.pages_deferred, "by_failure": dict(tally.deferred)},
        "outcomes": {str(state): count for state, count in tally.outcomes.items()},
        "frontier": {str(state): count for state, count in summary.left.items()},
        "idle": summary.idle,
        "version": summary.version,
        "out": str(config.out),
        "error": None if summary.error is None else sentence(summary.error),
    }


def listed(counts: Any) -> str:
    """Counts by name, the most frequent first."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds:.0f} s" if minutes else f"{seconds:.1f} s"
