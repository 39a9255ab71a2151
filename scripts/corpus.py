"""``forbear corpus``: what a corpus held and holds, version by version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from forbear.crawler.corpus import card, versions
from forbear.crawler.corpus.versions import BadVersion
from forbear.scripts import options, show
from forbear.storage.database import open_database, reading, translated
from forbear.storage.db.hostnames import digest, domain_of, host_of, read
from forbear.storage.reads import provenance, removals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from forbear.crawler.corpus.versions import Difference, Version

T = TypeVar("T")

EXAMPLES = 20
"""Pages that left, shown to people."""

out = options.option(
    "--out", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True, help="Folder of the corpus."
)
log = options.option("--db", "log", metavar="URL", help="The log, to name the URLs and why they left.")


@click.group()
def command() -> None:
    """Show what a corpus holds and held: its versions, what changed between them, whether they are unaltered."""


def _load(folder: Path, number: int | None) -> Version:
    return _told(lambda: versions.load(folder, number))


def _told(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except BadVersion as error:
        raise click.UsageError(f"{error}.") from None


@command.command("versions")
@out
@options.as_json
def list_versions(out: Path, as_json: bool) -> None:
    """List the versions, oldest first.

    \b
    Example: forbear corpus versions --out corpus
    """
    known = [_load(out, number) for number in versions.numbers(out)] or [_load(out, None)]
    if as_json:
        for version in known:
            click.echo(
                show.json_line({key: value for key, value in version.content.items() if key != "files"}), nl=False
            )
        return
    show.table(
        ("version", "made at", "by", "pages", "domains", "octets", "files", "log leaves"),
        (
            (
                str(version.number),
                version.content["created_at"],
                version.content["made_by"],
                f"{version.content['counts']['pages']:,}",
                f"{version.content['counts']['domains']:,}",
                f"{version.content['counts']['bytes']:,}",
                str(len(version.files)),
                f"{version.content['log']['size']:,}",
            )
            for version in known
        ),
    )


@command.command("diff")
@click.argument("old", type=click.IntRange(1))
@click.argument("new", type=click.IntRange(1))
@out
@log
@options.as_json
def diff_versions(old: int, new: int, out: Path, log: str | None, as_json: bool) -> None:
    """Show which pages one version holds and another does not, by domain; with --db, their URLs and why they left.

    \b
    Example: forbear corpus diff 1 2 --out corpus --db sqlite:///forbear.db
    """
    found: Difference = _told(lambda: versions.diff(out, _load(out, old), _load(out, new)))
    domains = found.domains()
    gone = _explained(found, log) if log else []
    if as_json:
        counts = {name: {"added": added, "removed": removed} for name, (added, removed) in domains.items()}
        told = {"old": old, "new": new, "added": found.added.num_rows, "removed": found.removed.num_rows}
        click.echo(json.dumps(told | {"domains": counts} | ({"pages": gone} if log else {}), ensure_ascii=False))
        return
    show.line(f"From version {old} to {new}: {found.added.num_rows:,} pages added, {found.removed.num_rows:,} removed.")
    if domains:
        show.table(("domain", "added", "removed"), ((name, f"{a:,}", f"{r:,}") for name, (a, r) in domains.items()))
    for page in gone[:EXAMPLES]:
        show.line(f"removed  {page['url']}")
        for reason in page["reasons"]:
            show.line(f"         {reason['protocol']}: {reason['quote']}")
            show.line(f"           {reason['where']} of {reason['source']}")
    if len(gone) > EXAMPLES:
        show.line(f"… and {len(gone) - EXAMPLES:,} more: --json lists them all.")


def _explained(found: Difference, log: str) -> list[dict[str, Any]]:
    """What the log says of the pages that left; one that it does not know stays unnamed."""
    engine = open_database(log, create=False)
    try:
        with translated(engine.url), engine.connect() as connection:
            return removals.explained(
                connection, [str(UUID(bytes=key)) for key in found.removed["decision"].to_pylist()]
            )
    finally:
        engine.dispose()


@command.command("verify")
@click.argument("number", metavar="[VERSION]", type=click.IntRange(1), required=False)
@out
@options.as_json
def verify_version(number: int | None, out: Path, as_json: bool) -> int:
    """Compare every file with its digest in a version, the latest if none is named. Exit code 1: something was changed.

    \b
    Example: forbear corpus verify --out corpus
    """
    version = _load(out, number)
    done = _told(lambda: versions.verify(out, version))
    if as_json:
        told = {"version": version.number, "files": done.files, "replaced": done.replaced, "faults": done.faults}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for fault in done.faults:
            show.line(fault)
        later = f", {done.replaced} of them rewritten since by a later version that says so" if done.replaced else ""
        how = f"{len(done.faults)} faults" if done.faults else "no fault"
        show.line(f"Version {version.number}: {done.files} files{later}; {how}.")
    return int(bool(done.faults))


@command.command("holds")
@click.argument("asked", metavar="DOMAIN|URL")
@out
@options.as_json
def holds_pages(asked: str, out: Path, as_json: bool) -> int:
    """Show which versions held pages of a domain, a host, or one URL. Exit code 3: none ever did.

    \b
    Example: forbear corpus holds example.org --out corpus
    """
    column, value = _column(asked)
    known = [_load(out, number) for number in versions.numbers(out)] or [_load(out, None)]
    rows = [(version, *versions.holds(out, version, column=column, value=value)) for version in known]
    if as_json:
        for version, pages, octets in rows:
            told = {"version": version.number, "created_at": version.content["created_at"], "pages": pages}
            click.echo(json.dumps(told | {"bytes": octets}))
    else:
        show.table(("version", "made at", "pages", "octets"), _held(rows))
    return 0 if any(pages for _, pages, _ in rows) else 3


def _held(rows: Sequence[tuple[Version, int, int]]) -> Iterator[tuple[str, ...]]:
    for version, pages, octets in rows:
        yield str(version.number), version.content["created_at"], f"{pages:,}", f"{octets:,}"


def _column(asked: str) -> tuple[str, str | bytes]:
    """A registrable domain with all its hosts, another host alone, or a URL."""
    url = read(asked)
    if url.target != "/" or "://" in asked:
        return "key", digest(url.href)
    host = host_of(url)
    return ("domain" if host == domain_of(host) else "host"), host


@command.command("card")
@click.argument("number", metavar="[VERSION]", type=click.IntRange(1), required=False)
@out
@options.db
@options.option("--name", type=options.text, default="web-corpus", help="What the data set is called.")
@options.option("--url", type=options.text, help="Web page of the data set.  [default: the contact of its crawl]")
@options.option("--creator", type=options.text, help="Whoever made it.  [default: left open]")
@options.option("--license", type=options.text, help="URL of a licence.  [default: says that none is granted]")
@options.as_json
def write_card(number: int | None, out: Path, db: str, as_json: bool, **said: str | None) -> None:
    """Write the data set's description: Croissant 1.1 (JSON-LD) for machines, a card (Markdown) for people.

    What only the operator can say stays visibly open where nobody says it.

    \b
    Example: forbear corpus card --out corpus --name "Harbour pages" --creator "Example Ltd"
    """
    version = _load(out, number)
    files = sorted(name for name in version.files if name.startswith("warc/"))
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), reading(engine) as connection:
            origin = card.Origin(
                provenance.crawls_of(connection, files),
                provenance.site_policies(connection, files),
                provenance.removed(connection, files),
            )
    finally:
        engine.dispose()
    contact = origin.crawls[-1].contact if origin.crawls else "https://example.org/"
    about = card.About(said["name"] or "", said["url"] or contact, said["creator"], said["license"])
    made = {
        "croissant": out / f"croissant-{version.number:04}.json",
        "card": out / f"card-{version.number:04}.md",
    }
    described = card.croissant(version, about, origin)
    made["croissant"].write_text(json.dumps(described, ensure_ascii=False, indent=1) + "\n", "utf-8")
    made["card"].write_text(card.markdown(out, version, about, origin), "utf-8")
    if as_json:
        click.echo(json.dumps({name: str(path) for name, path in made.items()}))
    else:
        for path in made.values():
            show.line(f"Wrote {path}.")
