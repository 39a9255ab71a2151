"""``forbear report``: writes the documents that the AI Act and the Code of Practice require."""

from __future__ import annotations

import json
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
from forbear.scripts.database import open_connection, open_engine
from forbear.storage.database import writing
from forbear.storage.log import documents, lists, policies
from forbear.storage.reads import figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from forbear.reports.document import Document
    from forbear.storage.database import Connection, Engine

inputs = options.option(
    "--inputs",
    type=options.existing_file,
    help="TOML file with what only you know; whatever is missing is marked as open.",
)
out = options.option(
    "--out",
    envvar="FORBEAR_REPORT_OUT",  # in other commands, FORBEAR_OUT is the folder of the corpus
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the document to this file: .html, .docx, .pdf, .json or .txt. Can be repeated.",
)
issue = options.option("--issue", is_flag=True, help="Record this version in the log.")
diff = options.option(
    "--diff",
    type=options.existing_file,
    help="Show what changed since an older version, given as its .json file.",
)


@click.group(cls=options.Group)
def command() -> None:
    """Write the documents that the AI Act and the Code of Practice require.

    They are filled in from the log and from --inputs, which has what only you know. Whatever is missing is marked as
    open.

    \b
    Example:
      forbear report summary --out summary.html
    """


@command.command("coverage", short_help="Write the coverage of the Copyright chapter, paragraph by paragraph.")
@inputs
@out
@issue
@diff
@options.db
def coverage_command(inputs: Path | None, out: tuple[Path, ...], issue: bool, diff: Path | None, db: str) -> None:
    """Show for each paragraph of the Copyright chapter the mechanism, the evidence, and what is left to people.

    \b
    Example:
      forbear report coverage --db sqlite:///forbear.db --inputs statement.toml --out coverage.html
    """
    given = _read(inputs, coverage.inputs)
    with open_engine(db) as engine:
        with engine.connect() as connection:
            document = coverage.document(_evidence(connection), given, datetime.now(UTC))
        _deliver(document, out, diff, engine if issue else None)


@command.command("policy", short_help="Write the copyright policy, or its public summary.")
@options.option("--summary", is_flag=True, help="Write only the public summary.")
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
    """Write the copyright policy from the rules and settings in force, and from your own paragraphs.

    The rules in force are those of the last crawl; before the first crawl, or with --policy, those of the policy.

    \b
    Example:
      forbear report policy --inputs policy-text.toml --out policy.docx --out policy.pdf --issue
      forbear report policy --summary --inputs policy-text.toml --out summary.html
    """
    given = _read(inputs, policies_of.inputs)
    with open_engine(db) as engine:
        with engine.connect() as connection:
            known = _in_force(connection, policy)
        document = policies_of.document(known, given, datetime.now(UTC), summary=summary)
        _deliver(document, out, diff, engine if issue else None, known.rules.digest)


@command.command("summary", short_help="Write the public summary of training content.")
@options.option(
    "--crawl", "chosen", metavar="ID", multiple=True, type=options.text, help="Count only this crawl. Can be repeated."
)
@inputs
@out
@issue
@diff
@options.db
def summary_command(
    chosen: tuple[str, ...], inputs: Path | None, out: tuple[Path, ...], issue: bool, diff: Path | None, db: str
) -> None:
    """Write the public summary of training content by the Commission's template (24 July 2025, Article 53(1)(d)).

    Counts every crawl in the database for train-ai, except dry runs (--shadow) and pages that were removed again.

    \b
    Example:
      forbear report summary --inputs attestations.toml --out summary.pdf --out summary.json --issue
      forbear report summary --inputs attestations.toml --diff older.json
    """
    given = _read(inputs, summaries.inputs)
    with open_engine(db) as engine:
        with engine.connect() as connection:
            known = _collected(connection, chosen)
        _deliver(summaries.document(known, given, datetime.now(UTC)), out, diff, engine if issue else None)


@command.command("list", short_help="List the documents that were issued.")
@options.option(
    "--document",
    "digest",
    metavar="DIGEST",
    type=options.text,
    help="Print the version with this digest as JSON; its first characters are enough.",
)
@options.db
@options.as_json
def list_command(digest: str | None, db: str, as_json: bool) -> None:
    """List the versions of documents that --issue recorded in the log.

    \b
    Example:
      forbear report list
      forbear report list --document 5f0c > older.json
    """
    with open_connection(db) as connection:
        known = list(documents.issued(connection))
    if digest:
        found = {one.digest: one for one in known if one.digest.startswith(digest.lower())}
        if len(found) != 1:
            raise click.UsageError(
                f"No issued document, or more than one, has a digest that begins with {digest!r}. List them: "
                "forbear report list"
            )
        [one] = found.values()
        click.echo(json.dumps({"digest": one.digest, **one.document}, ensure_ascii=False, indent=2))
        return
    rows = [(one.kind, show.time(one.at), one.digest, one.policy) for one in known]
    if as_json:
        for row in rows:
            click.echo(show.json_line(dict(zip(("kind", "at", "digest", "policy"), row, strict=True))), nl=False)
        return
    show.table(("document", "issued", "digest", "explains policy"), rows)


def _read(path: Path | None, check: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    try:
        return check(path.read_text(encoding="utf-8") if path else "")
    except UnicodeDecodeError:
        raise click.UsageError(f"--inputs {path} is not UTF-8 text. Write a TOML file.") from None
    except BadInputs as error:
        raise click.UsageError(f"--inputs {path}: {error}.") from None


def _deliver(
    document: Document, out: tuple[Path, ...], diff: Path | None, engine: Engine | None, policy: str = ""
) -> None:
    """Writes the document to files or prints it, records it if issued, and reports changes and open points."""
    for path in out:
        if path.suffix not in FORMS:
            raise click.UsageError(f"--out {path}: the name has to end in one of {', '.join(FORMS)}.")
    before = _older(diff, document.kind) if diff else None
    for path in out:
        path.write_bytes(FORMS[path.suffix](document))
    if engine is not None:
        content = to_json(document)
        with writing(engine) as connection:
            new = documents.issue(
                connection, document.kind, document.digest, content, policy=policy, at=datetime.now(UTC)
            )
        click.echo(f"Issued as {document.digest}." if new else f"{document.digest} was issued before.", err=True)
    if before is not None:
        _print_changes(before, to_json(document))
    elif not out:
        click.echo(text(document).decode(), nl=False)
    still_open = sum(1 for _ in document.open_points())
    if still_open:
        click.echo(f"{show.count(still_open, 'place')} left open. Fill them in with --inputs FILE.", err=True)


def _print_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Prints the words that changed, place by place."""
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
    raise click.UsageError(f"--diff {path} is not a {kind} document in JSON. Choose a file written by --out FILE.json.")


def _evidence(connection: Connection) -> coverage.Evidence:
    today = datetime.now(UTC).date()
    known = list(lists.publication_statuses(connection))
    stale = sum(
        1 for one in known if one.layout not in layouts() or (today - one.published).days > layouts()[one.layout].renew
    )
    return coverage.Evidence(
        engine=version("forbear"),
        decisions=figures.verdicts(connection),
        served=tuple(figures.served_measures(connection)),
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
        version("forbear"),
        logged or options.load_policy(path),
        run,
        list(lists.publication_statuses(connection)),
        titles,
    )


def _collected(connection: Connection, chosen: tuple[str, ...]) -> summaries.CollectedData:
    runs = figures.runs(connection, use=str(Use.TRAIN_AI))
    unknown = set(chosen) - {run.id for run in runs}
    if unknown:
        raise click.UsageError(f"--crawl: this log has no crawl for train-ai with the ID {', '.join(sorted(unknown))}.")
    runs = [run for run in runs if not chosen or run.id in chosen]
    filtered = [run for run in runs if run.configuration.get("command") == "filter"]
    runs = [run for run in runs if "command" not in run.configuration]  # filter and recheck collect nothing new
    some = [run.id for run in runs]
    logged = policies.find(connection, runs[-1].policy) if runs else None
    return summaries.CollectedData(
        runs=runs,
        rules=logged or options.load_policy(None),
        domains=figures.by_domain(connection, some),
        types=figures.by_type(connection, some),
        period=figures.period(connection, some),
        removed=figures.removed(connection, some),
        filtered=len(filtered),
        lists=figures.lists_on_record(connection),
    )
