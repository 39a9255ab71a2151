"""``forbear report``: the documents that the law and the Code ask for, from log, settings and the operator's words."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forbear.crawler.lists.publications import layouts
from forbear.optout.model import Use
from forbear.reports import coverage
from forbear.reports import policy as policies_of
from forbear.reports import summary as summaries
from forbear.reports.document import apart, changes, to_json
from forbear.reports.inputs import BadInputs
from forbear.reports.render import FORMS, text
from forbear.scripts import options, show
from forbear.storage.database import open_database, writing
from forbear.storage.log import documents, lists, policies
from forbear.storage.reads import figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forbear.reports.document import Document
    from forbear.storage.database import Connection, Engine

inputs = options.option(
    "--inputs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of what only you can say; what is not in it stays visibly open.",
)
out = options.option(
    "--out",
    envvar="FORBEAR_REPORT_OUT",  # what is called out elsewhere is the folder of the corpus
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it here, in the form of the ending: .html, .docx, .pdf, .json, .txt. Can be repeated.",
)
issue = options.option("--issue", is_flag=True, help="Put this version on record in the log.")
diff = options.option(
    "--diff",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Show what differs from an older version (its .json).",
)


@click.group()
def command() -> None:
    """Make the documents that the law and the Code ask for.

    What the log knows is filled in, what only you can say is read from --inputs, and what nobody has said stays
    visibly open.
    """


@command.command("coverage", short_help="The Copyright chapter, paragraph by paragraph.")
@inputs
@out
@issue
@diff
@options.db
def coverage_command(inputs: Path | None, out: tuple[Path, ...], issue: bool, diff: Path | None, db: str) -> None:
    """Show, for each paragraph of the Copyright chapter, the mechanism, the evidence here, what is left to people.

    \b
    Example:
      forbear report coverage --db sqlite:///forbear.db --inputs statement.toml --out coverage.html
    """
    said = _read(inputs, coverage.inputs)
    with _opened(db) as engine:
        with engine.connect() as connection:
            made = coverage.document(_evidence(connection), said, datetime.now(UTC))
        _deliver(made, out, diff, engine if issue else None)


@command.command("policy", short_help="The copyright policy document, or its public summary.")
@options.option("--summary", is_flag=True, help="What is published of it.")
@options.policy
@inputs
@out
@issue
@diff
@options.db
def policy_command(
    summary: bool,
    policy: Path | None,
    inputs: Path | None,
    out: tuple[Path, ...],
    issue: bool,
    diff: Path | None,
    db: str,
) -> None:
    """Make the copyright policy document from the rules and settings in force, and your own paragraphs.

    In force are the rules of the last crawl; with --policy, or before the first crawl, those of the file.

    \b
    Example:
      forbear report policy --inputs policy-text.toml --out policy.docx --out policy.pdf --issue
      forbear report policy --summary --inputs policy-text.toml --out summary.html
    """
    said = _read(inputs, policies_of.inputs)
    with _opened(db) as engine:
        with engine.connect() as connection:
            known = _in_force(connection, policy)
        made = policies_of.document(known, said, datetime.now(UTC), summary=summary)
        _deliver(made, out, diff, engine if issue else None, known.rules.digest)


@command.command("summary", short_help="The public summary of training content.")
@options.option("--crawl", "chosen", multiple=True, type=options.text, help="Count this crawl alone. Can be repeated.")
@inputs
@out
@issue
@diff
@options.db
def summary_command(
    chosen: tuple[str, ...], inputs: Path | None, out: tuple[Path, ...], issue: bool, diff: Path | None, db: str
) -> None:
    """Make the public summary of training content by the Commission's template (24 July 2025, Article 53(1)(d)).

    Counted are all crawls of the database for train-ai that were no rehearsals, without what was taken out again.

    \b
    Example:
      forbear report summary --inputs attestations.toml --out summary.pdf --out summary.json --issue
      forbear report summary --inputs attestations.toml --diff older.json
    """
    said = _read(inputs, summaries.inputs)
    with _opened(db) as engine:
        with engine.connect() as connection:
            known = _collected(connection, chosen)
        _deliver(summaries.document(known, said, datetime.now(UTC)), out, diff, engine if issue else None)


@command.command("list", short_help="The documents that were issued.")
@options.option("--document", "digest", type=options.text, help="Print the version whose digest begins so, as JSON.")
@options.db
@options.as_json
def list_command(digest: str | None, db: str, as_json: bool) -> None:
    """List the versions of documents that were put on record with --issue.

    \b
    Example:
      forbear report list
      forbear report list --document 5f0c > older.json
    """
    with _opened(db) as engine, engine.connect() as connection:
        known = list(documents.issued(connection))
    if digest:
        found = {one.digest: one for one in known if one.digest.startswith(digest.lower())}
        if len(found) != 1:
            raise click.UsageError(
                f"No document on record, or more than one, has a digest that begins with {digest!r}."
            )
        [one] = found.values()
        click.echo(json.dumps({"digest": one.digest, **one.document}, ensure_ascii=False, indent=2))
        return
    rows = [(one.kind, show.moment(one.at), one.digest, one.policy) for one in known]
    if as_json:
        for row in rows:
            click.echo(show.json_line(dict(zip(("kind", "at", "digest", "policy"), row, strict=True))), nl=False)
        return
    show.table(("document", "issued", "digest", "policy that it explains"), rows)


def _read(path: Path | None, check: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    try:
        return check(path.read_text(encoding="utf-8") if path else "")
    except UnicodeDecodeError:
        raise click.UsageError(f"--inputs: {path} is no UTF-8 text.") from None
    except BadInputs as error:
        raise click.UsageError(f"--inputs {path}: {error}.") from None


def _deliver(made: Document, out: tuple[Path, ...], diff: Path | None, engine: Engine | None, policy: str = "") -> None:
    """Writes it where it is wanted, or prints it; shows what is open, and what changed."""
    for path in out:
        if path.suffix not in FORMS:
            raise click.UsageError(f"--out {path}: choose an ending among {', '.join(FORMS)}.")
    before = _older(diff, made.kind) if diff else None
    for path in out:
        path.write_bytes(FORMS[path.suffix](made))
    if engine is not None:
        with writing(engine) as connection:
            new = documents.issue(
                connection, made.kind, made.digest, to_json(made), policy=policy, at=datetime.now(UTC)
            )
        click.echo(f"Issued as {made.digest}." if new else f"{made.digest} is on record already.", err=True)
    if before is not None:
        _differs(before, to_json(made))
    elif not out:
        click.echo(text(made).decode(), nl=False)
    still_open = sum(1 for _ in made.open_points())
    if still_open:
        click.echo(f"{still_open} places are open: what belongs there, only you can say (--inputs).", err=True)


def _differs(before: dict[str, Any], now: dict[str, Any]) -> None:
    """What changed, place by place, in the words that differ."""
    for place, old, new in changes(before, now):
        was, becomes = apart(old, new)
        show.line(place)
        for name, words in (("before", was), ("now", becomes)):
            show.line(f"  {name:<7} {words or '-'}")


def _older(path: Path, kind: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["kind"] == kind and isinstance(content["sections"], list):
            return content
    except (ValueError, KeyError, TypeError):
        pass
    raise click.UsageError(f"--diff: {path} is no {kind} document in its JSON form.")


def _evidence(connection: Connection) -> coverage.Evidence:
    today = datetime.now(UTC).date()
    known = list(lists.states(connection))
    stale = sum(
        1 for one in known if one.layout not in layouts() or (today - one.published).days > layouts()[one.layout].renew
    )
    return coverage.Evidence(
        engine=version("forbear"),
        decisions=figures.verdicts(connection),
        served=tuple(figures.served(connection)),
        runs=tuple(figures.runs(connection)),
        checks=tuple(figures.checks(connection)),
        withdrawn=tuple(figures.withdrawn(connection)),
        lists=len(known),
        stale_lists=stale,
        complaints=figures.complaint_states(connection),
        issued={one.kind: one.at for one in documents.issued(connection)},
    )


def _in_force(connection: Connection, path: Path | None) -> policies_of.InForce:
    runs = [run for run in figures.runs(connection) if not run.shadow and "command" not in run.configuration]
    run = runs[-1] if runs else None
    logged = policies.find(connection, run.policy) if run and path is None else None
    titles = {name: f"{layout.title} ({layout.country})" for name, layout in layouts().items()}
    return policies_of.InForce(
        version("forbear"), logged or options.rules(path), run, list(lists.states(connection)), titles
    )


def _collected(connection: Connection, chosen: tuple[str, ...]) -> summaries.Collected:
    runs = figures.runs(connection, use=str(Use.TRAIN_AI))
    unknown = set(chosen) - {run.id for run in runs}
    if unknown:
        raise click.UsageError(f"--crawl: no crawl for training in this log is called {', '.join(sorted(unknown))}.")
    runs = [run for run in runs if not chosen or run.id in chosen]
    filtered = [run for run in runs if run.configuration.get("command") == "filter"]
    runs = [run for run in runs if "command" not in run.configuration]  # filter and recheck collect nothing new
    some = [run.id for run in runs]
    logged = policies.find(connection, runs[-1].policy) if runs else None
    return summaries.Collected(
        runs=runs,
        rules=logged or options.rules(None),
        domains=figures.by_domain(connection, some),
        types=figures.by_type(connection, some),
        period=figures.period(connection, some),
        removed=figures.removed(connection, some),
        filtered=len(filtered),
        lists=figures.lists_on_record(connection),
    )


@contextmanager
def _opened(db: str) -> Iterator[Engine]:
    engine = open_database(db, create=False)
    try:
        yield engine
    finally:
        engine.dispose()
