"""``forbear lookup``: a rightsholder's question, answered from the log."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from scripts import options, show
from storage.database import open_database, translated
from storage.lookup import Answer, lookup

if TYPE_CHECKING:
    from datetime import datetime

    from storage.lookup import Known

NEVER_SEEN = 3

_SENTENCES = {
    Answer.KEPT: "copies were kept",
    Answer.EXCLUDED: "excluded",
    Answer.DEFERRED: "deferred: it could not be known whether it may be used, and nothing was kept",
    Answer.ALLOWED: "nothing reserved it, and no copy was kept",
}


@click.command()
@click.argument("name", metavar="DOMAIN|URL")
@options.db
@options.as_json
def command(name: str, db: str, as_json: bool) -> int | None:
    """What the crawls of this database did with a domain, a host or a URL: seen, kept, excluded, why, since when.

    A domain or host includes all below it. Exit code: 0 something is known, 3 never seen.

    \b
    Example:
      forbear lookup example.org
      forbear lookup --json https://example.org/page
    """
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), engine.connect() as connection:
            known = lookup(connection, name)
    finally:
        engine.dispose()
    if known is None:
        click.echo(json.dumps({"name": name, "answer": "never seen"}) if as_json else f"{name}: never seen.")
        return NEVER_SEEN
    if as_json:
        click.echo(show.json_line(_as_json(known)), nl=False)
    else:
        _show(known)
    return None


def _as_json(known: Known) -> dict[str, Any]:
    times = {key: _time(getattr(known, key)) for key in ("first_seen", "last_seen", "since")}
    words = [
        {**said._asdict(), "first_at": _time(said.first_at), "last_at": _time(said.last_at)} for said in known.words
    ]
    return {**asdict(known), **times, "words": words}


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _show(known: Known) -> None:
    since = f" since {show.moment(known.since)}" if known.answer is Answer.EXCLUDED and known.since else ""
    show.line(f"{known.unicode}: {_SENTENCES[known.answer]}{since}.")
    show.line(f"Decided about from {show.moment(known.first_seen)} to {show.moment(known.last_seen)}.")
    rows = [(name, str(count), ", ".join(known.examples.get(name, ()))) for name, count in known.urls.items()]
    show.table(("outcome", "URLs", "such as"), rows)
    if known.words:
        show.table(
            ("verdict", "protocol", "quotation", "where", "source", "since", "last", "decisions"),
            (
                (*w[:3], w.where, w.source, show.moment(w.first_at), show.moment(w.last_at), str(w.decisions))
                for w in known.words
            ),
        )
