"""``forbear recheck``: asks the sources of kept pages again, and removes what is now reserved from the corpus."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from forbear.crawler.crawl import events
from forbear.crawler.crawl.config import Config, by_subject
from forbear.crawler.crawl.recheck import RecheckConfig, run
from forbear.crawler.identity import BadConfig
from forbear.scripts import checkpoint, options, show
from forbear.scripts.crawl import listed, log_command, print_version
from forbear.scripts.exit_codes import FAILED
from forbear.scripts.lists import warn_of_lists
from forbear.scripts.memory import message_of

if TYPE_CHECKING:
    from forbear.crawler.crawl.config import Config, by_subject
    from forbear.crawler.crawl.context import Tally
from forbear.crawler.crawl.recheck import RecheckSummary


@click.command()
@options.option("--out", type=options.existing_folder, required=True, help="Folder of the corpus.")
@options.db
@options.evidence
@options.crawler
@options.option("--budget", type=click.IntRange(min=1), help="Stop after this many requests.  [default: no limit]")
@options.option(
    "--max-time", type=click.FloatRange(min=0, min_open=True), help="Stop after this time.  [default: no limit]"
)
@options.option("--remove-deferred", is_flag=True, help="Also remove pages whose reservations cannot be read now.")
@options.option("--shadow", is_flag=True, help="Dry run: ask and log as usual, but remove nothing.")
@options.fetch_limits
@options.connections
@options.signing
@options.as_json
def command(
    as_json: bool, budget: int | None, max_time: float | None, remove_deferred: bool, **settings: Any
) -> int | None:
    """Ask the sources of kept pages again, oldest first, and remove what is now reserved from the corpus.

    Every answer is a decision in the log, which records each removal before the file is touched. With --budget or
    --max-time, run the same command again to continue. With --key, the log is signed at the end, removals included.

    \b
    Example:
      forbear recheck --out corpus --contact https://example.org/bot --budget 10000
    """
    settings = options.convert_settings(settings)
    signing = checkpoint.pop_signing(settings)
    events.log_to_stderr("text")
    try:
        config = RecheckConfig(Config(**by_subject(settings)), budget, max_time, remove_deferred)
        warn_of_lists(config.crawl)
        done = _watched(config)
    except BadConfig as error:
        raise click.UsageError(str(error)) from None
    failures = [] if done.summary.error is None else [message_of(done.summary.error)]
    new = checkpoint.after_command(config.crawl.store.db, signing, failures)
    if as_json:
        click.echo(json.dumps({**_as_json(done, config), "checkpoint": new and checkpoint.as_object(new)}))
    else:
        _print_summary(done, config)
        if new:
            show.line(checkpoint.one_line(new))
    for failure in failures:
        click.echo(f"Error: {failure}", err=True)
    return FAILED if failures else None


def _watched(config: RecheckConfig) -> RecheckSummary:
    if not sys.stderr.isatty():
        return run(config)
    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        return run(config, lambda tally: live.update(_progress(tally)))


def _progress(tally: Tally) -> Text:
    asked = sum(tally.outcomes.values())
    return Text(
        f"{asked:,} pages asked  {tally.requests:,} requests  {tally.pages_excluded:,} now reserved  "
        f"{tally.pages_deferred:,} deferred  {tally.hosts:,} hosts active"
    )


def _print_summary(done: RecheckSummary, config: RecheckConfig) -> None:
    summary, tally = done.summary, done.summary.tally
    how = "finished" if summary.finished else "stopped"
    requests = show.count(tally.requests, "request")
    show.line(f"The recheck of {show.count(done.pages, 'page')} {how}: {requests} in {tally.seconds:.1f} s.")
    show.line(f"  reserved   {tally.pages_excluded:,}" + (f": {listed(tally.excluded)}" if tally.excluded else ""))
    show.line(f"  deferred   {tally.pages_deferred:,}" + (f": {listed(tally.deferred)}" if tally.deferred else ""))
    for state in sorted(tally.outcomes):
        show.line(f"  {state:<10} {tally.outcomes[state]:,}")
    if summary.idle:
        show.line(summary.idle)
    removed = show.count(sum(done.removed.values()), "page")
    show.line(f"  removed    {removed}, from {show.count(done.erased.files, 'file')}")
    if done.erased.waiting:
        files = show.count(len(done.erased.waiting), "file")
        show.line(f"A crawl is still writing {files}: run the same command again to remove their pages.")
    print_version(summary, config.crawl)
    if not summary.finished:
        show.line("To continue the recheck, run the same command again.")
    show.line(f"See what is now reserved: {log_command(summary.crawl, config.crawl.store.db)}")


def _as_json(done: RecheckSummary, config: RecheckConfig) -> dict[str, Any]:
    summary, tally = done.summary, done.summary.tally
    return {
        "crawl": summary.crawl,
        "resumed": summary.resumed,
        "finished": summary.finished,
        "seconds": round(tally.seconds, 3),
        "pages": done.pages,
        "requests": tally.requests,
        "excluded": {"decisions": tally.pages_excluded, "by_protocol": dict(tally.excluded)},
        "deferred": {"decisions": tally.pages_deferred, "by_failure": dict(tally.deferred)},
        "outcomes": {str(state): count for state, count in summary.left.items()},
        "removed": done.removed,
        "rewritten": {"files": done.erased.files, "bytes": done.erased.octets, "seconds": done.erased.seconds},
        "waiting": sorted(done.erased.waiting),
        "idle": summary.idle,
        "version": summary.version,
        "out": str(config.crawl.store.out),
        "error": None if summary.error is None else message_of(summary.error),
    }
