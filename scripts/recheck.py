"""``forbear recheck``: asks the sources of kept pages again; what is reserved now leaves the corpus."""

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

from forbear.crawler.crawl import events
from forbear.crawler.crawl.recheck import RecheckConfig, run
from forbear.crawler.identity import BadConfig
from forbear.scripts import checkpoint, options, show
from forbear.scripts.crawl import FAILED, listed
from forbear.scripts.lists import warn
from forbear.scripts.memory import sentence
from forbear.storage.database import shown

if TYPE_CHECKING:
    from forbear.crawler.crawl.context import Tally
    from forbear.crawler.crawl.recheck import Rechecked


@click.command()
@options.option(
    "--out", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True, help="Folder of the corpus."
)
@options.db
@options.evidence
@options.who
@options.option("--budget", type=click.IntRange(min=1), help="Send so many requests at most.  [default: no limit]")
@options.option(
    "--max-time", type=click.FloatRange(min=0, min_open=True), help="Ask for so many seconds.  [default: no limit]"
)
@options.option("--remove-deferred", is_flag=True, help="Also take out pages about which nothing can be known now.")
@options.option("--shadow", is_flag=True, help="Rehearse: ask and log as usual, but take nothing out.")
@options.fetching
@options.connecting
@options.sealing
@options.as_json
def command(as_json: bool, **settings: Any) -> int | None:
    """Ask the sources of kept pages again, oldest first; what is reserved now is taken out of the corpus.

    Every answer is a decision in the log. A page that has to leave gets a tombstone there before it is touched. With
    a budget, the same command goes on where the last one stopped. With --key, the log is signed at the end, the
    tombstones included.

    \b
    Example:
      forbear recheck --out corpus --contact https://example.org/bot --budget 10000
    """
    settings = options.of_crawl(settings)
    sealing = checkpoint.wanted(settings)
    events.tell("text")
    try:
        config = RecheckConfig(seeds=(), **settings)
        warn(config)
        done = _watched(config)
    except BadConfig as error:
        raise click.UsageError(str(error)) from None
    failures = [] if done.summary.error is None else [sentence(done.summary.error)]
    sealed = checkpoint.seal(config.db, sealing, failures)
    if as_json:
        click.echo(json.dumps({**_as_json(done, config), "checkpoint": sealed and checkpoint.as_object(sealed)}))
    else:
        _tell(done, config)
        if sealed:
            show.line(checkpoint.told(sealed))
    for failure in failures:
        click.echo(f"Error: {failure}", err=True)
    return FAILED if failures else None


def _watched(config: RecheckConfig) -> Rechecked:
    if not sys.stderr.isatty():
        return run(config)
    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        return run(config, lambda tally: live.update(_progress(tally)))


def _progress(tally: Tally) -> Text:
    asked = sum(tally.outcomes.values())
    return Text(
        f"{asked:,} pages asked  {tally.requests:,} requests  {tally.pages_excluded:,} reserved now  "
        f"{tally.pages_deferred:,} deferred  {tally.hosts:,} hosts at work"
    )


def _tell(done: Rechecked, config: RecheckConfig) -> None:
    summary, tally = done.summary, done.summary.tally
    how = "finished" if summary.finished else "stopped; the same command goes on"
    show.line(f"The recheck of {done.pages:,} pages {how}: {tally.requests:,} requests in {tally.seconds:.1f} s.")
    show.line(f"  reserved   {tally.pages_excluded:,}" + (f": {listed(tally.excluded)}" if tally.excluded else ""))
    show.line(f"  deferred   {tally.pages_deferred:,}" + (f": {listed(tally.deferred)}" if tally.deferred else ""))
    for state in sorted(tally.outcomes):
        show.line(f"  {state:<10} {tally.outcomes[state]:,}")
    if summary.idle:
        show.line(summary.idle)
    files = "file" if done.erased.files == 1 else "files"
    show.line(f"  removed    {sum(done.removed.values()):,} pages, from {done.erased.files} {files}")
    if done.erased.waiting:
        show.line(f"{len(done.erased.waiting)} files are being written: their pages leave with the next command.")
    if summary.version:
        show.line(f"This is version {summary.version} of the corpus: forbear corpus versions --out {config.out}")
    show.line(
        f"Look further: forbear log --crawl {summary.crawl} --verdict excluded --db {shlex.quote(shown(config.db))}"
    )


def _as_json(done: Rechecked, config: RecheckConfig) -> dict[str, Any]:
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
        "out": str(config.out),
        "error": None if summary.error is None else sentence(summary.error),
    }
