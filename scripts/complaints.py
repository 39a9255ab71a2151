"""``forbear complaints``: what rightsholders complained of, and the next step of each (measure 1.5(2))."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from forbear.scripts import options, show
from forbear.storage.accounts import mails
from forbear.storage.database import open_database, translated, writing
from forbear.storage.db.records import now
from forbear.storage.log.complaints import BadStep, Complaint, ComplaintState, advance, attachment, find, waiting


@click.group()
def command() -> None:
    """Complaints by rightsholders: what waits, and the next step of each."""


number = click.argument("number")


@command.command("list", short_help="What waits, the most urgent first.")
@options.option("--state", type=click.Choice([str(state) for state in ComplaintState]), help="Those in this state.")
@options.db
@options.as_json
def list_command(state: str | None, db: str, as_json: bool) -> None:
    """Complaints that wait for their next step, the most urgent first; or those in one state.

    \b
    Example:
      forbear complaints list
      forbear complaints list --state accepted --json
    """
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), engine.connect() as connection:
            found = waiting(connection, ComplaintState(state) if state else None)
    finally:
        engine.dispose()
    if as_json:
        click.echo("".join(show.json_line(_as_json(one)) for one in found), nl=False)
        return
    rows = ((one.number, str(one.state), _due(one), one.notice.name, ", ".join(one.notice.urls)) for one in found)
    show.table(("number", "state", "due", "from", "about"), rows)


@command.command("show", short_help="One, with all its steps.")
@number
@options.db
@options.as_json
def show_command(number: str, db: str, as_json: bool) -> None:
    """A complaint with everything that was sent and every step that was taken.

    \b
    Example:
      forbear complaints show 2026-7KQ2M9
    """
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), engine.connect() as connection:
            one = find(connection, number)
    finally:
        engine.dispose()
    if one is None:
        raise click.UsageError(f"There is no complaint {number}: look at `forbear complaints list`.")
    if as_json:
        click.echo(show.json_line(_as_json(one)), nl=False)
        return
    notice = one.notice
    show.line(f"{one.number}: {one.state}{f', due {_due(one)}' if one.due_at else ''}")
    for name, text in (
        ("from", f"{notice.name} <{notice.email}>"),
        ("on behalf of", notice.on_behalf),
        ("works", notice.works),
        ("about", ", ".join(notice.urls)),
        ("what", notice.what),
        ("blocks", ", ".join(one.blocks)),
        ("duplicate of", one.duplicate_of or ""),
        *((f"file {file.position}", f"{file.name}, {file.media_type}, {file.size:,} octets") for file in one.files),
    ):
        if text:
            show.line(f"  {name}: {text}")
    for step in one.steps:
        show.line(f"  {show.moment(step.at)} {step.state}, by {step.by}: {step.reason}")


@command.command("step", short_help="Take the next step, with its reason.")
@number
@click.argument("state", type=click.Choice([str(state) for state in ComplaintState]))
@options.option("--by", required=True, type=options.text, help="Who takes the step.")
@options.option("--reason", required=True, help="Why; whoever complained reads it.")
@options.option("--block", multiple=True, help="With accepted: a domain, or what URLs begin with. Can be repeated.")
@options.option("--duplicate-of", default="", help="With duplicate: the number of the earlier complaint.")
@options.db
def step_command(
    number: str, state: str, by: str, reason: str, block: tuple[str, ...], duplicate_of: str, db: str
) -> None:
    """Take a step: acknowledged, in review, then accepted, rejected, duplicate or unfounded, each with its reason.

    What an accepted complaint blocks is excluded from the next decision on, in crawls that are running too. Whoever
    complained is told by mail, if the portal sends mails.

    \b
    Example:
      forbear complaints step 2026-7KQ2M9 acknowledged --by "Grace H." --reason "We have read it."
      forbear complaints step 2026-7KQ2M9 accepted --by "Grace H." --reason "The reservation was there." \\
          --block example.org
    """
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), writing(engine) as connection:
            one = advance(
                connection,
                number,
                ComplaintState(state),
                by=by,
                reason=reason,
                at=now(),
                blocks=block,
                duplicate_of=duplicate_of,
            )
            body = f"Complaint {number}: {one.state}.\n\n{reason}\n\nThe link in our first mail shows every step.\n"
            mails.queue(connection, one.notice.email, f"Complaint {number}: {one.state}", body, now())
    except BadStep as error:
        raise click.UsageError(str(error)) from None
    finally:
        engine.dispose()
    if one.blocks:
        show.line("Copies that were kept before leave the corpus with `forbear recheck`.")
    show.line(f"{number} is {one.state}{f', next step due {_due(one)}' if one.due_at else ''}.")


@command.command("file", short_help="Save what was sent along.")
@number
@click.argument("position", type=click.IntRange(min=0))
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@options.db
def file_command(number: str, position: int, path: Path, db: str) -> None:
    """Save a file that was sent along with a complaint.

    \b
    Example:
      forbear complaints file 2026-7KQ2M9 0 deed.pdf
    """
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), engine.connect() as connection:
            found = attachment(connection, number, position)
    finally:
        engine.dispose()
    if found is None:
        raise click.UsageError(f"{number} has no file {position}: look at `forbear complaints show {number}`.")
    path.write_bytes(found.content)
    show.line(f"{path}: {len(found.content):,} octets, {found.media_type}")


def _due(one: Complaint) -> str:
    if one.due_at is None:
        return "-"
    return f"{one.due_at:%Y-%m-%d}" + (" (late)" if one.is_late(now()) else "")


def _as_json(one: Complaint) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(one), default=str))
    del plain["notice"]["attachments"]
    return plain
