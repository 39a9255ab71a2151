"""``forbear crawl``: crawls, obeys reservations, and writes the audit log and the corpus."""

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
from forbear.crawler.crawl.config import FOLLOW, Config, by_subject
from forbear.crawler.crawl.run import run
from forbear.crawler.identity import BadConfig
from forbear.scripts import checkpoint, options, show
from forbear.scripts.exit_codes import FAILED
from forbear.scripts.lists import warn_of_lists
from forbear.scripts.memory import message_of
from forbear.storage.database import StorageError, hide_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forbear.crawler.crawl.context import Tally
    from forbear.crawler.crawl.run import Summary


@click.command()
@click.argument("seed_url", nargs=-1)
@options.option(
    "--seeds", type=click.File("r", encoding="utf-8"), help="Read seed URLs from this file, one per line; - is stdin."
)
@options.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Write the corpus to this folder."
)
@options.db
@options.evidence
@options.crawler
@options.option("--shadow", is_flag=True, help="Dry run: decide and log as usual, but keep nothing.")
@options.option(
    "--max-pages", type=click.IntRange(min=1), help="Stop after keeping this many pages.  [default: no limit]"
)
@options.option(
    "--max-depth",
    type=click.IntRange(min=0),
    help="Follow links this far from a seed; 0 fetches only the seeds.  [default: no limit]",
)
@options.option("--follow", type=click.Choice(FOLLOW), default="same-host", help="Which links to follow.")
@options.option("--sitemaps", is_flag=True, help="Also crawl the URLs in the sitemaps that robots.txt names.")
@options.fetch_limits
@options.connections
@options.option(
    "--resume", is_flag=True, help="Continue the last crawl with these settings, and retry what was deferred."
)
@options.option(
    "--lease",
    type=click.FloatRange(min=1),
    default=60.0,
    help="Take over the hosts of another process that was silent for this long.",
)
@options.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve /metrics for Prometheus, and /health, on this port.",
)
@options.option("--metrics-host", type=options.text, default="127.0.0.1", help="Serve metrics on this address.")
@options.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Write progress and warnings to standard error, or every event as a JSON line.",
)
@options.signing
@options.as_json
def command(
    seed_url: tuple[str, ...],
    seeds: IO[str] | None,
    log_format: str,
    as_json: bool,
    **settings: Any,
) -> int | None:
    """Crawl from seed URLs, log every decision, and keep the pages that nobody reserved.

    Pages go to OUT/warc/*.warc.gz, their text to OUT/pages/*.parquet, and decisions to the database. To continue a
    crawl that was stopped or killed, run the same command again.

    \b
    Example:
      forbear crawl https://example.org/ --out corpus --contact https://example.org/bot
    """
    settings = options.convert_settings(settings)
    urls = (*seed_url, *(_lines(seeds) if seeds else ()))
    if not urls and not settings["resume"]:
        raise click.UsageError("There is nothing to crawl. Add seed URLs, or --seeds FILE.")
    signing = checkpoint.pop_signing(settings)
    events.log_to_stderr(log_format)
    try:
        config = Config(**by_subject(settings), seeds=urls)
        warn_of_lists(config)
        summary = run(config) if log_format == "json" else _watched(config)
    except BadConfig as error:
        raise click.UsageError(str(error)) from None
    except StorageError as error:
        if log_format == "text":
            raise
        return _report([str(error)], log_format)
    failures = [] if summary.error is None else [message_of(summary.error)]
    new = checkpoint.after_command(config.store.db, signing, failures)
    if as_json:
        click.echo(json.dumps({**_as_json(summary, config), "checkpoint": new and checkpoint.as_object(new)}))
    else:
        print_summary(summary, config)
        if new:
            show.line(checkpoint.one_line(new))
        _print_next_steps(summary, config)
    return _report(failures, log_format)


def _report(failures: list[str], log_format: str) -> int | None:
    """Reports failures on standard error, and returns the exit code."""
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
        raise click.UsageError(f"--seeds {file.name} is not UTF-8 text. Write one URL per line.") from None


def _watched(config: Config) -> Summary:
    """Runs the crawl, with a progress line if standard error is a terminal."""
    if not sys.stderr.isatty():
        return run(config)
    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        return run(config, lambda tally: live.update(progress(tally, config.max_pages)))


def progress(tally: Tally, most: int | None) -> Text:
    """Formats the progress of a crawl: pages kept, excluded by which protocol, deferred, and the time left."""
    rate = tally.kept / tally.seconds if tally.seconds else 0.0
    parts = [f"{tally.kept:,} kept" + (f" of {most:,}" if most else "")]
    parts += [f"{tally.pages_excluded:,} excluded" + (f" ({listed(tally.excluded)})" if tally.excluded else "")]
    parts += [f"{tally.pages_deferred:,} deferred", f"{tally.hosts:,} hosts active", f"{rate:.1f} pages/s"]
    if most and rate:
        parts.append(f"at most {_duration((most - tally.kept) / rate)} left")
    return Text("  ".join(parts))


def print_summary(summary: Summary, config: Config) -> None:
    """Prints what a crawl did."""
    tally = summary.tally
    how = "finished" if summary.finished else "stopped"
    again = "The crawl continued where it had stopped, and " if summary.resumed else "The crawl "
    show.line(f"{again}{how} after {_duration(tally.seconds)}.")
    show.line(f"  kept       {show.count(tally.kept, 'page')}, {show.size(tally.octets)}")
    show.line(f"  excluded   {tally.pages_excluded:,}" + (f": {listed(tally.excluded)}" if tally.excluded else ""))
    show.line(f"  deferred   {tally.pages_deferred:,}" + (f": {listed(tally.deferred)}" if tally.deferred else ""))
    for state in sorted(tally.outcomes):
        show.line(f"  {state:<10} {tally.outcomes[state]:,}")
    if summary.idle:
        show.line(summary.idle)
    print_version(summary, config)
    show.line(f"Corpus: {config.store.out}/warc and {config.store.out}/pages. Log: {hide_password(config.store.db)}.")


def print_version(summary: Summary, config: Config) -> None:
    """Prints which version of the corpus this is, if a new one was made."""
    if summary.version:
        command = f"forbear corpus versions --out {shlex.quote(str(config.store.out))}"
        show.line(f"This is version {summary.version} of the corpus. List all versions: {command}")


def _print_next_steps(summary: Summary, config: Config) -> None:
    if not summary.finished:
        show.line("To continue the crawl, run the same command again.")
    elif summary.tally.deferred:
        show.line("To retry what was deferred, run the same command with --resume.")
    show.line(f"See what was excluded: {log_command(summary.crawl, config.store.db)}")


def log_command(crawl: str, db: str) -> str:
    """Returns the command that shows what a crawl excluded."""
    return f"forbear log --crawl {crawl} --verdict excluded --db {shlex.quote(hide_password(db))}"


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
        "out": str(config.store.out),
        "error": None if summary.error is None else message_of(summary.error),
    }


def listed(counts: Any) -> str:
    """Formats counts by name, the most frequent first."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds:.0f} s" if minutes else f"{seconds:.1f} s"
