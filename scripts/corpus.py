"""``forbear corpus``: lists, compares, verifies and describes the versions of a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from forbear.crawler.corpus import card, versions
from forbear.crawler.corpus.versions import BadVersion
from forbear.scripts import options, show
from forbear.scripts.database import open_connection, open_engine
from forbear.storage.database import reading
from forbear.storage.db.hostnames import digest, domain_of, host_of, read
from forbear.storage.reads import provenance, removals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from forbear.crawler.corpus.versions import Difference, Version

T = TypeVar("T")

EXAMPLES = 20
"""Removed pages that are printed without --json."""

out = options.option("--out", type=options.existing_folder, required=True, help="Folder of the corpus.")
log = options.option("--db", "log", metavar="URL", help="Database of the log, to show removed URLs and the reasons.")


@click.group(cls=options.Group)
def command() -> None:
    """List, compare, verify and describe the versions of a corpus.

    \b
    Example:
      forbear corpus versions --out corpus
    """


def _load(folder: Path, number: int | None) -> Version:
    return _checked(lambda: versions.load(folder, number))


def _checked(call: Callable[[], T]) -> T:
    """Calls a function of ``versions``; raises UsageError for its BadVersion."""
    try:
        return call()
    except BadVersion as error:
        raise click.UsageError(f"{error}.") from None


@command.command("versions")
@out
@options.as_json
def list_versions(out: Path, as_json: bool) -> None:
    """List the versions, oldest first.

    \b
    Example:
      forbear corpus versions --out corpus
    """
    known = [_load(out, number) for number in versions.numbers(out)] or [_load(out, None)]
    if as_json:
        for version in known:
            click.echo(
                show.json_line({key: value for key, value in version.content.items() if key != "files"}), nl=False
            )
        return
    show.table(
        ("version", "made at", "by", "pages", "domains", "size", "files", "log rows"),
        (
            (
                str(version.number),
                version.content["created_at"],
                version.content["made_by"],
                f"{version.content['counts']['pages']:,}",
                f"{version.content['counts']['domains']:,}",
                show.size(version.content["counts"]["bytes"]),
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
    """Compare two versions: pages added and removed, by domain; with --db, the removed URLs and the reasons.

    \b
    Example:
      forbear corpus diff 1 2 --out corpus --db sqlite:///forbear.db
    """
    found: Difference = _checked(lambda: versions.diff(out, _load(out, old), _load(out, new)))
    domains = found.domains()
    removed = _explain(found, log) if log else []
    if as_json:
        counts = {name: {"added": added, "removed": gone} for name, (added, gone) in domains.items()}
        totals = {"old": old, "new": new, "added": found.added.num_rows, "removed": found.removed.num_rows}
        click.echo(json.dumps(totals | {"domains": counts} | ({"pages": removed} if log else {}), ensure_ascii=False))
        return
    added = show.count(found.added.num_rows, "page")
    show.line(f"From version {old} to {new}: {added} added, {found.removed.num_rows:,} removed.")
    if domains:
        show.table(("domain", "added", "removed"), ((name, f"{a:,}", f"{r:,}") for name, (a, r) in domains.items()))
    for page in removed[:EXAMPLES]:
        show.line(f"removed  {page['url']}")
        for reason in page["reasons"]:
            show.line(f"         {reason['protocol']}: {reason['quote']}")
            show.line(f"           {reason['where']} of {reason['source']}")
    if len(removed) > EXAMPLES:
        show.line(f"… and {len(removed) - EXAMPLES:,} more. Add --json to list them all.")


def _explain(found: Difference, log: str) -> list[dict[str, Any]]:
    """Looks the removed pages up in the log; leaves out those that it does not have."""
    with open_connection(log) as connection:
        return removals.explain_pages(
            connection, [str(UUID(bytes=key)) for key in found.removed["decision"].to_pylist()]
        )


@command.command("verify")
@click.argument("number", metavar="[VERSION]", type=click.IntRange(1), required=False)
@out
@options.as_json
def verify_version(number: int | None, out: Path, as_json: bool) -> int:
    """Compare every file with its digest in VERSION, by default the latest. Exit code 1: a file was changed.

    \b
    Example:
      forbear corpus verify --out corpus
    """
    version = _load(out, number)
    done = _checked(lambda: versions.verify(out, version))
    if as_json:
        row = {"version": version.number, "files": done.files, "replaced": done.replaced, "faults": done.faults}
        click.echo(json.dumps(row, ensure_ascii=False))
    else:
        for fault in done.faults:
            show.line(fault)
        later = f", {done.replaced:,} of them rewritten in a later version" if done.replaced else ""
        how = show.count(len(done.faults), "fault") if done.faults else "no faults"
        show.line(f"Version {version.number}: {show.count(done.files, 'file')}{later}; {how}.")
    return int(bool(done.faults))


@command.command("holds")
@click.argument("name", metavar="DOMAIN|URL")
@out
@options.as_json
def holds_pages(name: str, out: Path, as_json: bool) -> int:
    """Show which versions hold pages of a domain, a host or a URL. Exit code 3: none does.

    \b
    Example:
      forbear corpus holds example.org --out corpus
    """
    column, value = _column(name)
    known = [_load(out, number) for number in versions.numbers(out)] or [_load(out, None)]
    rows = [(version, *versions.holds(out, version, column=column, value=value)) for version in known]
    if as_json:
        for version, pages, size in rows:
            row = {"version": version.number, "created_at": version.content["created_at"], "pages": pages}
            click.echo(json.dumps(row | {"bytes": size}))
    else:
        show.table(("version", "made at", "pages", "size"), _table_rows(rows))
    return 0 if any(pages for _, pages, _ in rows) else 3


def _table_rows(rows: Sequence[tuple[Version, int, int]]) -> Iterator[tuple[str, ...]]:
    for version, pages, size in rows:
        yield str(version.number), version.content["created_at"], f"{pages:,}", show.size(size)


def _column(name: str) -> tuple[str, str | bytes]:
    """Returns the column and value to search for: a registrable domain with all its hosts, another host, or a URL."""
    url = read(name)
    if url.target != "/" or "://" in name:
        return "key", digest(url.href)
    host = host_of(url)
    return ("domain" if host == domain_of(host) else "host"), host


@command.command("card")
@click.argument("number", metavar="[VERSION]", type=click.IntRange(1), required=False)
@out
@options.db
@options.option("--name", type=options.text, default="web-corpus", help="Name of the data set.")
@options.option("--url", type=options.text, help="Web page of the data set.  [default: the contact of its crawl]")
@options.option("--creator", type=options.text, help="Who made it.  [default: left open]")
@options.option("--license", type=options.text, help="URL of its licence.  [default: none is granted]")
@options.as_json
def write_card(number: int | None, out: Path, db: str, as_json: bool, **given: str | None) -> None:
    """Describe the data set: Croissant 1.1 (JSON-LD) for machines, a card (Markdown) for people.

    What only the operator knows is marked as open until an option provides it.

    \b
    Example:
      forbear corpus card --out corpus --name "Harbour pages" --creator "Example Ltd"
    """
    version = _load(out, number)
    files = sorted(name for name in version.files if name.startswith("warc/"))
    with open_engine(db) as engine, reading(engine) as connection:
        origin = card.Origin(
            provenance.crawls_of(connection, files),
            provenance.site_policies(connection, files),
            provenance.removed(connection, files),
        )
    contact = origin.crawls[-1].contact if origin.crawls else "https://example.org/"
    about = card.About(given["name"] or "", given["url"] or contact, given["creator"], given["license"])
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
