"""``forbear complaints``: lists complaints by rightsholders, and takes their next step (measure 1.5(2))."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from forbear.scripts import options, show
from forbear.scripts.database import open_connection, open_engine
from forbear.storage.accounts import mails
from forbear.storage.database import writing
from forbear.storage.db.records import now
from forbear.storage.log.complaints import (
    BadStep,
    Complaint,
    ComplaintState,
    advance,
    attachment,
    find,
    open_complaints,
)


@click.group(cls=options.Group)
def command() -> None:
    """List complaints by rightsholders, and take their next step.

    \b
    Example:
      forbear complaints list
    """


number = click.argument("number")


@command.command("list", short_help="List open complaints, the most urgent first.")
@options.option(
    "--state", type=click.Choice([str(state) for state in ComplaintState]), help="Only those in this state."
)
@options.db
@options.as_json
def list_command(state: str | None, db: str, as_json: bool) -> None:
    """List the complaints that wait for a step, the most urgent first, or those in one state.

    \b
    Example:
      forbear complaints list
      forbear complaints list --state accepted --json
    """
    with open_connection(db) as connection:
        found = open_complaints(connection, ComplaintState(state) if state else None)
    if as_json:
        click.echo("".join(show.json_line(_as_json(one)) for one in found), nl=False)
        return
    rows = ((one.number, str(one.state), _due(one), one.notice.name, ", ".join(one.notice.urls)) for one in found)
    show.table(("number", "state", "due", "from", "about"), rows)


@command.command("show", short_help="Show a complaint with all its steps.")
@number
@options.db
@options.as_json
def show_command(number: str, db: str, as_json: bool) -> None:
    """Show a complaint with everything that was sent and every step that was taken.

    \b
    Example:
      forbear complaints show 2026-7KQ2M9
    """
    with open_connection(db) as connection:
        one = find(connection, number)
    if one is None:
        raise click.UsageError(f"There is no complaint {number}. List them: forbear complaints list")
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
        *((f"file {file.position}", f"{file.name}, {file.media_type}, {show.size(file.size)}") for file in one.files),
    ):
        if text:
            show.line(f"  {name}: {text}")
    for step in one.steps:
        show.line(f"  {show.time(step.at)} {step.state}, by {step.by}: {step.reason}")


@command.command("step", short_help="Take the next step, with a reason.")
@number
@click.argument("state", type=click.Choice([str(state) for state in ComplaintState]))
@options.option("--by", required=True, type=options.text, help="Who takes the step.")
@options.option("--reason", required=True, help="Why; the complainant reads it.")
@options.option(
    "--block", multiple=True, help="With accepted: block this domain, or URLs with this prefix. Can be repeated."
)
@options.option("--duplicate-of", default="", help="With duplicate: the number of the earlier complaint.")
@options.db
def step_command(
    number: str, state: str, by: str, reason: str, block: tuple[str, ...], duplicate_of: str, db: str
) -> None:
    """Take a step: acknowledged, in review, then accepted, rejected, duplicate or unfounded, each with a reason.

    What an accepted complaint blocks is excluded from the next decision on, also in crawls that are running. The
    complainant is informed by mail if the portal sends mail.

    \b
    Example:
      forbear complaints step 2026-7KQ2M9 acknowledged --by "Grace H." --reason "We have read it."
      forbear complaints step 2026-7KQ2M9 accepted --by "Grace H." --reason "The reservation was there." \\
          --block example.org
    """
    try:
        with open_engine(db) as engine, writing(engine) as connection:
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
    if one.blocks:
        show.line("To remove copies that were kept before: forbear recheck --out CORPUS --contact URL")
    show.line(f"{number} is {one.state}{f', next step due {_due(one)}' if one.due_at else ''}.")


@command.command("file", short_help="Save an attachment.")
@number
@click.argument("position", type=click.IntRange(min=0))
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@options.db
def file_command(number: str, position: int, path: Path, db: str) -> None:
    """Save an attachment of a complaint to a file.

    \b
    Example:
      forbear complaints file 2026-7KQ2M9 0 deed.pdf
    """
    with open_connection(db) as connection:
        found = attachment(connection, number, position)
    if found is None:
        raise click.UsageError(f"{number} has no file {position}. List its files: forbear complaints show {number}")
    path.write_bytes(found.content)
    show.line(f"{path}: {show.size(len(found.content))}, {found.media_type}")


def _due(one: Complaint) -> str:
    if one.due_at is None:
        return "-"
    return f"{one.due_at:%Y-%m-%d}" + (" (late)" if one.is_late(now()) else "")


def _as_json(one: Complaint) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(one), default=str))
    del plain["notice"]["attachments"]
    return plain
