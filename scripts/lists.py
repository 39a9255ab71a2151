"""``forbear lists``: lists of infringing sites as authorities publish them: imported, shown, entries let in."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forbear.crawler.crawl import events
from forbear.crawler.lists.overblocking import doubt
from forbear.crawler.lists.publications import FORMS, BadPublication, layouts, read
from forbear.optout.protocols.infringing_list import host_of
from forbear.optout.readers.url import NotAUrl
from forbear.scripts import options, show
from forbear.storage.database import StorageError, open_database, writing
from forbear.storage.log import lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forbear.crawler.crawl.config import Config
    from forbear.crawler.lists.publications import Layout, Publication
    from forbear.storage.database import Engine

FEW = 20
"""Sites by which a list may grow, however short it was."""

_day = click.DateTime(formats=["%Y-%m-%d"])


@click.group(invoke_without_command=True)
@options.db
@options.as_json
@click.pass_context
def command(ctx: click.Context, db: str, as_json: bool) -> int | None:
    """Lists of sites that courts or authorities recognised as infringing: their state and age.

    Exit code: 0 every list is fresh, 3 one is stale or has entries that wait for a person.

    \b
    Example:
      forbear lists
      forbear lists import --format denmark --published 2026-11-20 blokeringer.csv
    """
    if ctx.invoked_subcommand:
        return None
    today = datetime.now(UTC).date()
    with _opened(db) as engine, engine.connect() as connection:
        known = [_state(state, today) for state in lists.states(connection)]
    if as_json:
        for row in known:
            click.echo(show.json_line(row), nl=False)
    elif not known:
        show.line("No list of infringing sites was imported: see forbear lists import --help.")
    else:
        columns = (
            "format",
            "authority",
            "published",
            "age in days",
            "state",
            "in force",
            "wait for a person",
            "sha256",
        )
        keys = ("format", "authority", "published", "age", "state", "in_force", "held", "sha256")
        show.table(columns, ([str(row[key]) for key in keys] for row in known))
    for sentence in _warnings(known):
        click.echo(f"Warning: {sentence}", err=True)
    return 3 if any(row["state"] == "stale" or row["held"] for row in known) else 0


def warn(config: Config) -> None:
    """Tells whoever crawls by the lists of a database which of them are stale, and what waits for a person.

    A database that cannot be opened, or is still to be made, is left to the crawl to speak of.
    """
    if config.infringing_list:
        return
    try:
        with _opened(config.db) as engine, engine.connect() as connection:
            known = list(lists.states(connection))
    except StorageError:
        return
    for sentence in _warnings(_state(state, datetime.now(UTC).date()) for state in known):
        events.warn("lists", sentence)


def _warnings(known: Iterable[dict[str, Any]]) -> Iterator[str]:
    for row in known:
        if row["state"] == "stale":
            yield f"{row['format']} is {row['age']} days old: get it anew from {row['at']}."
        if row["held"]:
            yield f"{row['held']} entries of {row['format']} wait: forbear lists show --held."


def _state(state: lists.PublicationStatus, today: date) -> dict[str, Any]:
    layout = layouts().get(state.layout)
    age = (today - state.published).days
    return {
        "format": state.layout,
        "authority": layout.authority if layout else "",
        "published": state.published.isoformat(),
        "imported": state.imported_at.isoformat(),
        "age": age,
        "state": "stale" if layout is None or age > layout.renew else "fresh",
        "in_force": state.in_force,
        "held": state.held,
        "sha256": state.sha256,
        "at": layout.source if layout else "",
    }


@command.command("formats")
def formats_command() -> None:
    """Show the publications that can be read: who publishes them, where, in which form, on which basis.

    \b
    Example:
      forbear lists formats
    """
    columns = (
        "format",
        "form",
        "authority",
        "legal basis",
        "published at",
        "layout taken from",
        "held against an issue",
    )
    keys = ("name", "form", "authority", "basis", "source", "seen", "checked")
    show.table(columns, ([str(getattr(one, key)) or "never" for key in keys] for one in layouts().values()))


@command.command("import", short_help="Import a list as an authority published it.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.option(
    "--format", "layout", type=click.Choice(list(layouts())), required=True, help="Which publication it is."
)
@options.option("--form", type=click.Choice(FORMS), help="Form of the file.  [default: the publication's own]")
@options.option("--published", type=_day, required=True, help="The day that the publication is from.")
@options.option("--part", is_flag=True, help="It adds only: what it does not name stays listed.")
@options.option("--shrinks", is_flag=True, help="More than half of the entries are out, and that is right.")
@options.option("--grows", is_flag=True, help="It names more than twice as many sites as before, and that is right.")
@options.db
def import_command(
    file: Path, layout: str, form: str | None, published: datetime, part: bool, shrinks: bool, grows: bool, db: str
) -> int:
    """Import a list as an authority published it; what it names is left out of every crawl from then on.

    An entry that would shut more than the site that is meant (a public suffix, shared hosting, a site that serves
    everybody, an IP address) waits until a person lets it in: exit code 3, and forbear lists accept.

    \b
    Example:
      forbear lists import --format denmark --published 2026-11-20 blokeringer.csv
    """
    kind, content, day = layouts()[layout], file.read_bytes(), published.date()
    if day > datetime.now(UTC).date():
        raise click.UsageError(f"--published {day} is still to come.")
    try:
        publication = read(content, kind, form)
    except BadPublication as error:
        raise click.UsageError(f"{file}: {error}") from None
    entries = list(_entries(publication, kind))
    issue = lists.Issue(layout, file.name, day, kind.whole and not part, content, publication.unread)
    with _opened(db, create=True) as engine, writing(engine) as connection:
        before = next((state for state in lists.states(connection) if state.layout == layout), None)
        listed = before.in_force + before.held if before else 0
        if issue.whole:
            _check_size(file, len(entries), listed, shrinks=shrinks, grows=grows)
        try:
            done = lists.import_list(connection, issue, entries, datetime.now(UTC))
        except lists.AlreadyKnown as error:
            raise click.UsageError(f"{error}.") from None
    if not kind.checked:
        show.line(
            f"The layout of {layout} was never held against a real issue: look at what was found, and in which rows."
        )
    show.line(f"{len(entries)} sites named: {done.new} new, {done.out} out since {day}, {done.held} wait for a person.")
    if publication.unread:
        show.line(f"In {len(publication.unread)} rows no site was found, for example: {publication.unread[0]!r}")
    for entry in entries:
        if entry.held:
            show.line(f"  {entry.domain}: {entry.held}")
    return 3 if done.held else 0


def _check_size(file: Path, named: int, listed: int, *, shrinks: bool, grows: bool) -> None:
    """Raises UsageError where an issue is so unlike the list that it may be another file."""
    if named < listed / 2 and not shrinks:
        raise click.UsageError(
            f"{file} names {named} sites where {listed} are listed: if it is the whole list, say --shrinks; if it adds "
            "to them, --part."
        )
    if listed and named > 2 * listed + FEW and not grows:
        raise click.UsageError(
            f"{file} names {named} sites where {listed} are listed: if it is the right file, say --grows."
        )


def _entries(publication: Publication, layout: Layout) -> Iterator[lists.ListedSite]:
    for site in publication.named.values():
        try:
            host = host_of(site.host)
        except NotAUrl:
            publication.unread.append(site.host)
            continue
        held = doubt(host, site.rest)
        if layout.prose and not held:
            held = "named in running text: whether it is meant, a person says"
        basis = f"{layout.basis}; {site.basis}" if site.basis else layout.basis
        yield lists.ListedSite(host, layout.country, layout.authority, basis, site.decided, held)


@command.command("show", short_help="Show entries with authority, basis, dates, source.")
@options.option("--format", "layout", type=click.Choice(list(layouts())), help="Entries of this publication alone.")
@options.option("--held", is_flag=True, help="Only entries that wait for a person.")
@options.option("--csv", "as_csv", is_flag=True, help="The list as crawls read it, for --infringing-list elsewhere.")
@options.db
@options.as_json
def show_command(layout: str | None, held: bool, as_csv: bool, db: str, as_json: bool) -> None:
    """Show entries: who recognised the site, on which basis, since when, from which publication.

    \b
    Example:
      forbear lists show --held
      forbear lists show --csv > infringing.csv
    """
    with _opened(db) as engine, engine.connect() as connection:
        if as_csv:
            click.echo((lists.current(connection) or b"").decode(), nl=False)
            return
        found = list(lists.entries(connection, layout, held=held))
    if as_json:
        for row in found:
            click.echo(show.json_line({key: _plain(value) for key, value in row.items()}), nl=False)
        return
    keys = ("domain", "layout", "authority", "basis", "decided", "since", "until", "held", "accepted_by", "source")
    columns = ("domain", "format", "authority", "basis", "decided", "in", "out", "held because", "let in by", "source")
    show.table(columns, ([str(_plain(row[key]) or "") for key in keys] for row in found))


@command.command("accept", short_help="Let an entry in that was held back.")
@click.argument("domain")
@options.option("--by", type=options.text, required=True, help="Who decides that: a name or a role.")
@options.option("--why", type=options.text, required=True, help="Why it shuts no more than is meant.")
@options.db
def accept_command(domain: str, by: str, why: str, db: str) -> None:
    """Let an entry in that was held back, on record with who and why.

    \b
    Example:
      forbear lists accept films.github.io --by "legal team" --why "the whole site is meant: order 12/26"
    """
    if not by.strip() or not why.strip():
        raise click.UsageError("Say who lets it in (--by) and why (--why).")
    try:
        host = host_of(domain)
    except NotAUrl as error:
        raise click.UsageError(f"{error}.") from None
    with _opened(db) as engine, writing(engine) as connection:
        count = lists.accept(connection, host, by=by, why=why, at=datetime.now(UTC))
    if not count:
        raise click.UsageError(f"No entry of {host} waits for a person: see forbear lists show --held.")
    show.line(f"{host} is left out of every crawl from now on.")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


@contextmanager
def _opened(db: str, *, create: bool = False) -> Iterator[Engine]:
    engine = open_database(db, create=create)
    try:
        yield engine
    finally:
        engine.dispose()
