"""``forbear lists``: imports lists of infringing sites, shows their state, and accepts entries that were held."""

from __future__ import annotations

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
from forbear.scripts.database import open_connection, open_engine
from forbear.storage.database import StorageError, writing
from forbear.storage.log import lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forbear.crawler.crawl.config import Config
    from forbear.crawler.lists.publications import Layout, Publication

SMALL_GROWTH = 20
"""A list may grow by this many sites without a question, however short it was."""

_day = click.DateTime(formats=["%Y-%m-%d"])


@click.group(cls=options.Group, invoke_without_command=True)
@options.db
@options.as_json
@click.pass_context
def command(ctx: click.Context, db: str, as_json: bool) -> int | None:
    """Show the state and age of lists of sites that courts or authorities found to infringe copyright.

    Exit code: 0 every list is current, 3 one is stale or has entries to review.

    \b
    Example:
      forbear lists
      forbear lists import --format denmark --published 2026-11-20 blokeringer.csv
    """
    if ctx.invoked_subcommand:
        return None
    today = datetime.now(UTC).date()
    with open_connection(db) as connection:
        known = [_state(state, today) for state in lists.publication_statuses(connection)]
    if as_json:
        for row in known:
            click.echo(show.json_line(row), nl=False)
    elif not known:
        show.line("No list of infringing sites was imported yet. Import one: forbear lists import --help")
    else:
        columns = ("format", "authority", "published", "age in days", "state", "in force", "to review", "sha256")
        keys = ("format", "authority", "published", "age", "state", "in_force", "held", "sha256")
        show.table(columns, ([str(row[key]) for key in keys] for row in known))
    for sentence in _warnings(known):
        click.echo(f"Warning: {sentence}", err=True)
    return 3 if any(row["state"] == "stale" or row["held"] for row in known) else 0


def warn_of_lists(config: Config) -> None:
    """Warns the operator of a crawl about lists in its database that are stale or have entries to review.

    If the database does not exist or cannot be opened, the crawl reports it.
    """
    if config.terms.infringing_list:
        return
    try:
        with open_connection(config.store.db) as connection:
            known = list(lists.publication_statuses(connection))
    except StorageError:
        return
    for sentence in _warnings(_state(state, datetime.now(UTC).date()) for state in known):
        events.warn("lists", sentence)


def _warnings(known: Iterable[dict[str, Any]]) -> Iterator[str]:
    for row in known:
        if row["state"] == "stale":
            yield f"{row['format']} is {row['age']} days old. Download it again from {row['at']}."
        if row["held"]:
            entries = "1 entry" if row["held"] == 1 else f"{row['held']:,} entries"
            yield f"{entries} of {row['format']} to review: forbear lists show --held"


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
    """Show the publications that can be imported: who publishes them, where, in which form, on which legal basis.

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
        "tested with a real issue",
    )
    keys = ("name", "form", "authority", "basis", "source", "seen", "checked")
    show.table(columns, ([str(getattr(one, key)) or "never" for key in keys] for one in layouts().values()))


@command.command("import", short_help="Import a list as an authority published it.")
@click.argument("file", type=options.existing_file)
@options.option(
    "--format", "layout", type=click.Choice(list(layouts())), required=True, help="Which publication the file is."
)
@options.option("--form", type=click.Choice(FORMS), help="Form of the file.  [default: that of the publication]")
@options.option("--published", type=_day, metavar="DAY", required=True, help="Day of publication, as 2026-11-20.")
@options.option("--part", is_flag=True, help="Only add sites: keep those that the file does not name.")
@options.option("--shrinks", is_flag=True, help="Confirm that the list lost more than half of its sites.")
@options.option("--grows", is_flag=True, help="Confirm that the list more than doubled.")
@options.db
def import_command(
    file: Path, layout: str, form: str | None, published: datetime, part: bool, shrinks: bool, grows: bool, db: str
) -> int:
    """Import a list as an authority published it, and exclude the sites that it names from every crawl.

    An entry that would block more than one infringing site (a public suffix, shared hosting, a general service, an IP
    address) has no effect until a person accepts it with `forbear lists accept`. Exit code 3: there are such entries.

    \b
    Example:
      forbear lists import --format denmark --published 2026-11-20 blokeringer.csv
    """
    kind, content, day = layouts()[layout], file.read_bytes(), published.date()
    if day > datetime.now(UTC).date():
        raise click.UsageError(f"--published {day} is in the future. Write the day of publication.")
    try:
        publication = read(content, kind, form)
    except BadPublication as error:
        raise click.UsageError(f"{file}: {error}") from None
    entries = list(_entries(publication, kind))
    issue = lists.Issue(layout, file.name, day, kind.whole and not part, content, publication.unread)
    with open_engine(db, create=True) as engine, writing(engine) as connection:
        before = next((state for state in lists.publication_statuses(connection) if state.layout == layout), None)
        listed = before.in_force + before.held if before else 0
        if issue.whole:
            _check_size(file, len(entries), listed, shrinks=shrinks, grows=grows)
        try:
            done = lists.import_list(connection, issue, entries, datetime.now(UTC))
        except lists.AlreadyKnown as error:
            raise click.UsageError(f"{error}.") from None
    if not kind.checked:
        show.line(
            f"The layout of {layout} was never tested with a real issue. Check that the right sites were found: "
            f"forbear lists show --format {layout}"
        )
    sites = show.count(len(entries), "site")
    show.line(f"{sites} named: {done.new:,} new, {done.out:,} removed on {day}, {done.held:,} to review.")
    if publication.unread:
        rows = show.count(len(publication.unread), "row")
        show.line(f"{rows} without a site, for example: {publication.unread[0]!r}")
    for entry in entries:
        if entry.held:
            show.line(f"  {entry.domain}: {entry.held}")
    return 3 if done.held else 0


def _check_size(file: Path, named: int, listed: int, *, shrinks: bool, grows: bool) -> None:
    """Raises UsageError if an issue differs so much from the list that it may be the wrong file."""
    if named < listed / 2 and not shrinks:
        raise click.UsageError(
            f"{file} names {show.count(named, 'site')}, and the list has {listed:,}. If the file is the whole list, "
            "add --shrinks; if it only adds sites, add --part."
        )
    if listed and named > 2 * listed + SMALL_GROWTH and not grows:
        raise click.UsageError(
            f"{file} names {show.count(named, 'site')}, and the list has {listed:,}. If it is the right file, add "
            "--grows."
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
            held = "named in running text: a person has to decide whether it is meant"
        basis = f"{layout.basis}; {site.basis}" if site.basis else layout.basis
        yield lists.ListedSite(host, layout.country, layout.authority, basis, site.decided, held)


@command.command("show", short_help="Show entries with authority, basis, dates, source.")
@options.option("--format", "layout", type=click.Choice(list(layouts())), help="Only entries of this publication.")
@options.option("--held", is_flag=True, help="Only entries to review.")
@options.option("--csv", "as_csv", is_flag=True, help="Print the sites in force as CSV, for --infringing-list.")
@options.db
@options.as_json
def show_command(layout: str | None, held: bool, as_csv: bool, db: str, as_json: bool) -> None:
    """Show entries: which authority found the site to infringe, on which basis, since when, in which publication.

    \b
    Example:
      forbear lists show --held
      forbear lists show --csv > infringing.csv
    """
    with open_connection(db) as connection:
        if as_csv:
            click.echo((lists.current(connection) or b"").decode(), nl=False)
            return
        found = list(lists.entries(connection, layout, held=held))
    if as_json:
        for row in found:
            click.echo(show.json_line({key: _plain(value) for key, value in row.items()}), nl=False)
        return
    keys = ("domain", "layout", "authority", "basis", "decided", "since", "until", "held", "accepted_by", "source")
    columns = (
        "domain",
        "format",
        "authority",
        "basis",
        "decided",
        "in",
        "out",
        "held because",
        "accepted by",
        "source",
    )
    show.table(columns, ([str(_plain(row[key]) or "") for key in keys] for row in found))


@command.command("accept", short_help="Accept an entry after review.")
@click.argument("domain")
@options.option("--by", type=options.text, required=True, help="Who accepts it: a name or a role.")
@options.option("--why", type=options.text, required=True, help="Why it blocks no other site.")
@options.db
def accept_command(domain: str, by: str, why: str, db: str) -> None:
    """Accept an entry that was held for review; the log records who did it and why.

    \b
    Example:
      forbear lists accept films.github.io --by "legal team" --why "the whole site is meant: order 12/26"
    """
    if not by.strip() or not why.strip():
        raise click.UsageError("--by and --why cannot be empty. Write who accepts the entry, and why.")
    try:
        host = host_of(domain)
    except NotAUrl as error:
        raise click.UsageError(f"{error}.") from None
    with open_engine(db) as engine, writing(engine) as connection:
        count = lists.accept(connection, host, by=by, why=why, at=datetime.now(UTC))
    if not count:
        raise click.UsageError(f"There is no entry of {host} to review. List them: forbear lists show --held")
    show.line(f"{host} is now excluded from every crawl.")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
