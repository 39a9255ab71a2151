"""``forbear user``: accounts of the portal, and tokens for its JSON API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click

from forbear.scripts import options, show
from forbear.storage.accounts import accounts, sessions
from forbear.storage.accounts.accounts import Role, Scope
from forbear.storage.database import Connection, open_database, translated, writing
from forbear.storage.db.records import now


@click.group()
def command() -> None:
    """Accounts of the portal, and tokens for its JSON API."""


name = click.argument("name")
password_file = options.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File whose first line is the password; it is asked for otherwise.",
)


@contextmanager
def _opened(db: str) -> Iterator[Connection]:
    engine = open_database(db)
    try:
        with translated(engine.url), writing(engine) as connection:
            yield connection
    except ValueError as error:  # BadAccount is one
        raise click.UsageError(f"{error}.") from None
    finally:
        engine.dispose()


def _password(file: Path | None) -> str:
    if file is not None:
        return file.read_text("utf-8").partition("\n")[0]
    phrase: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return phrase


@command.command("add", short_help="Make an account.")
@name
@options.option("--role", type=click.Choice([str(role) for role in Role]), required=True, help="What it may do.")
@options.option("--subject", default="", help="ISSUER SUBJECT of OpenID Connect, instead of a password.")
@password_file
@options.db
def add_command(name: str, role: str, subject: str, password_file: Path | None, db: str) -> None:
    """Make an account: viewer reads the log, legal works the complaints too, admin also sees who looked at what.

    At the first sign-in its owner is shown a QR code for an authenticator app: from then on, every sign-in takes a
    code too.

    \b
    Example:
      forbear user add grace --role legal
    """
    password = "" if subject else _password(password_file)
    with _opened(db) as connection:
        accounts.add(connection, name, Role(role), password, now(), subject=subject)
    show.line(f"{name} can sign in at /dashboard as {role}.")


@command.command("list", short_help="Show all accounts.")
@options.db
@options.as_json
def list_command(db: str, as_json: bool) -> None:
    """All accounts, with their roles and whether they are in use.

    \b
    Example:
      forbear user list
    """
    with _opened(db) as connection:
        found = accounts.everyone(connection)
    if as_json:
        dated = ({key: str(value) if value else None for key, value in one.items()} for one in found)
        click.echo("".join(show.json_line(one) for one in dated), nl=False)
        return
    rows = (
        (one["name"], one["role"], "shut" if one["disabled_at"] else "open" if one["enrolled_at"] else "not enrolled")
        for one in found
    )
    show.table(("name", "role", "state"), rows)


@command.command("password", short_help="Set a new password and new codes.")
@name
@password_file
@options.db
def password_command(name: str, password_file: Path | None, db: str) -> None:
    """Set a new password; the owner sets up codes anew, open sessions end, and failed sign-ins are forgotten.

    \b
    Example:
      forbear user password grace
    """
    password = _password(password_file)
    with _opened(db) as connection:
        accounts.set_password(connection, name, password)
    show.line(f"{name} has a new password, and sets up codes at the next sign-in.")


@command.command("disable", short_help="Shut an account.")
@name
@options.option("--undo", is_flag=True, help="Open it again.")
@options.db
def disable_command(name: str, undo: bool, db: str) -> None:
    """Shut an account: its sessions end and its tokens count no more.

    \b
    Example:
      forbear user disable grace
    """
    with _opened(db) as connection:
        accounts.change(connection, name, disabled_at=None if undo else now())
    show.line(f"{name} is {'open' if undo else 'shut'}.")


@command.command("remove", short_help="Erase an account.")
@name
@options.db
def remove_command(name: str, db: str) -> None:
    """Erase an account with its tokens and saved queries; what it looked at stays written down under its name.

    \b
    Example:
      forbear user remove grace
    """
    with _opened(db) as connection:
        accounts.remove(connection, name)
    show.line(f"{name} is erased.")


@command.command("token", short_help="Make a token for the JSON API, or end one.")
@name
@options.option("--label", required=True, type=options.text, help="What it is for.")
@options.option(
    "--scope",
    type=click.Choice([str(scope) for scope in Scope]),
    multiple=True,
    default=[str(Scope.LOG)],
    help="What it may do. Can be repeated.",
)
@options.option("--days", type=click.IntRange(1, 366), default=90, help="How long it counts.")
@options.option("--revoke", is_flag=True, help="End the tokens with this label instead.")
@options.db
def token_command(name: str, label: str, scope: tuple[str, ...], days: int, revoke: bool, db: str) -> None:
    """Make a token for the JSON API, and print it once: only its digest is stored.

    \b
    Example:
      forbear user token grace --label "weekly figures" --scope log
    """
    with _opened(db) as connection:
        if revoke:
            ended = sessions.revoke(connection, name, label)
        else:
            token = sessions.issue(connection, name, label, set(map(Scope, scope)), timedelta(days=days), now())
    show.line(f"{ended} ended." if revoke else token)
