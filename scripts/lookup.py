"""``forbear lookup``: shows what the crawls in a database did with a domain or a URL."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from forbear.optout.model import Verdict
from forbear.scripts import options, show
from forbear.scripts.database import open_connection
from forbear.storage.reads.lookup import Answer, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from forbear.storage.reads.lookup import DecidingWords, LookupResult, RemovedCopy

NEVER_SEEN = 3

_OUTCOMES = {
    "kept": "a copy was kept",
    "removed": "a copy was kept, and taken out since",
    "allowed": "nothing reserved it",
    "excluded": "reserved, so it is not used",
    "deferred": "it is not known yet, and nothing is kept until it is",
}
"""The meaning of each outcome, in the order of the output."""


@click.command()
@click.argument("name", metavar="DOMAIN|URL")
@options.db
@options.as_json
def command(name: str, db: str, as_json: bool) -> int | None:
    """Show what the crawls in this database did with a domain, a host or a URL: seen, kept, excluded, why, since when.

    A domain or host includes its subdomains. Exit code: 0 it was seen, 3 it was never seen.

    \b
    Example:
      forbear lookup example.org
      forbear lookup --json https://example.org/page
    """
    with open_connection(db) as connection:
        known = lookup(connection, name)
    if known is None:
        if as_json:
            click.echo(json.dumps({"name": name, "answer": "never seen"}))
        else:
            show.line(f"{name}: never seen. No crawl in this database requested it, so nothing of it was kept.")
        return NEVER_SEEN
    if as_json:
        click.echo(show.json_line(_as_json(known)), nl=False)
    else:
        show.lines(map(show.plain, _lines(known)))
    return None


def _as_json(known: LookupResult) -> dict[str, Any]:
    times = {key: _time(getattr(known, key)) for key in ("first_seen", "last_seen", "since")}
    words = [
        {**asdict(entry), "first_at": _time(entry.first_at), "last_at": _time(entry.last_at)} for entry in known.words
    ]
    left = [{"url": one.url, "kept_at": _time(one.kept_at), "left_at": _time(one.left_at)} for one in known.left]
    return {**asdict(known), **times, "words": words, "left": left}


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _lines(known: LookupResult) -> Iterator[str]:
    """Yields the answer, then the URLs, the words that decided, and what to run next."""
    first, last = show.time(known.first_seen), show.time(known.last_seen)
    when = f"at {first}" if first == last else f"from {first} to {last}"
    yield f"{_name(known)}: {_answer(known)}."
    yield f"Decisions were made {when}. The last decision about each URL:"
    shown: set[str] = set()
    for outcome, meaning in _OUTCOMES.items():
        count, examples = known.urls.get(outcome, 0), known.examples.get(outcome, ())
        new = [url for url in examples if url not in shown]
        shown.update(new)
        if new or count > len(examples):
            yield f"  {count:,} {outcome}: {meaning}" + (", such as" if count > len(new) > 0 else "")
            yield from (f"      {url}" for url in new)
        if outcome == "removed":
            yield from map(_kept_once, known.left)
    for verdict in (Verdict.EXCLUDED, Verdict.DEFERRED):
        words = [entry for entry in known.words if entry.verdict is verdict]
        if words:
            yield f"{verdict.capitalize()} because of:"
        for entry in words:
            yield f"  {entry.quote}"
            yield f"      {entry.where} of {entry.source}"
            yield f"      {entry.protocol}, since {show.time(entry.first_at)}; decided {_times(entry)}"
    option = "--url" if known.scope == "url" else "--domain"
    yield f"See every decision, with the same --db: forbear log {option} {shlex.quote(known.name)}"
    site = min(shown, key=len, default=f"https://{known.name}/")
    yield f"Ask the site today: forbear check {shlex.quote(site)}"


def _name(known: LookupResult) -> str:
    name = known.unicode if known.unicode == known.name else f"{known.unicode} ({known.name})"
    return name if known.scope == "url" else f"{name} and its subdomains"


def _answer(known: LookupResult) -> str:
    since = f"excluded since {show.time(known.since)}" if known.since else "excluded"
    if known.answer is Answer.KEPT:
        kept = "a copy was kept" if known.scope == "url" else "copies were kept"
        return f"{kept}; what is reserved is {since}" if known.urls.get(Verdict.EXCLUDED) else kept
    if known.left:
        now = {Answer.EXCLUDED: since, Answer.DEFERRED: "deferred", Answer.ALLOWED: "nothing reserves it now"}
        first, last = known.left[0], max(known.left, key=lambda one: one.left_at)
        kept = f"was kept from {show.time(first.kept_at)} to {show.time(last.left_at)}"
        kept = kept if known.scope == "url" else "copies were kept, and all were taken out since"
        return f"{now[known.answer]}; {kept}"
    return {
        Answer.EXCLUDED: since,
        Answer.DEFERRED: "deferred: it could not be known whether it may be used, and nothing was kept",
        Answer.ALLOWED: "nothing reserved it, and no copy was kept",
    }[known.answer]


def _kept_once(left: RemovedCopy) -> str:
    return f"      {left.url}: was kept from {show.time(left.kept_at)} to {show.time(left.left_at)}"


def _times(entry: DecidingWords) -> str:
    return "once" if entry.decisions == 1 else f"{entry.decisions:,} times, the last {show.time(entry.last_at)}"
