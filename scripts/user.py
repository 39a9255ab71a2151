"""``forbear user``: manages accounts of the portal, and tokens for its JSON API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click

from forbear.scripts import options, show
from forbear.scripts.database import open_engine
from forbear.storage.accounts import accounts, sessions
from forbear.storage.accounts.accounts import Role, Scope
from forbear.storage.database import Connection, writing
from forbear.storage.db.records import now


@click.group(cls=options.Group)
def command() -> None:
    """Manage accounts of the portal, and tokens for its JSON API.

    \b
    Example:
      forbear user add grace --role legal
    """


name = click.argument("name")
password_file = options.option(
    "--password-file",
    type=options.existing_file,
    help="Read the password from the first line of this file.  [default: ask]",
)


@contextmanager
def _accounts(db: str) -> Iterator[Connection]:
    """Opens the database, which is created if missing; raises UsageError for a BadAccount, which is a ValueError."""
    try:
        with open_engine(db, create=True) as engine, writing(engine) as connection:
            yield connection
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def _password(file: Path | None) -> str:
    if file is not None:
        return options.first_line(file)
    phrase: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return phrase


@command.command("add", short_help="Create an account.")
@name
@options.option(
    "--role", type=click.Choice([str(role) for role in Role]), required=True, help="What the account may do."
)
@options.option(
    "--subject",
    metavar="'ISSUER SUBJECT'",
    default="",
    help="Sign in with this OpenID Connect subject instead of a password.",
)
@password_file
@options.db
def add_command(name: str, role: str, subject: str, password_file: Path | None, db: str) -> None:
    """Create an account: viewer reads the log, legal also handles complaints, admin also sees the access log.

    At the first sign-in, the portal shows a QR code for an authenticator app. Every later sign-in needs a code from it.

    \b
    Example:
      forbear user add grace --role legal
    """
    password = "" if subject else _password(password_file)
    with _accounts(db) as connection:
        accounts.add(connection, name, Role(role), password, now(), subject=subject)
    show.line(f"{name} can sign in at /dashboard as {role}.")


@command.command("list", short_help="List all accounts.")
@options.db
@options.as_json
def list_command(db: str, as_json: bool) -> None:
    """List all accounts, with their roles and states.

    \b
    Example:
      forbear user list
    """
    with _accounts(db) as connection:
        found = accounts.list_accounts(connection)
    if as_json:
        dated = ({key: str(value) if value else None for key, value in one.items()} for one in found)
        click.echo("".join(show.json_line(one) for one in dated), nl=False)
        return
    rows = (
        (
            one["name"],
            one["role"],
            "disabled" if one["disabled_at"] else "enabled" if one["enrolled_at"] else "not enrolled",
        )
        for one in found
    )
    show.table(("name", "role", "state"), rows)


@command.command("password", short_help="Set a new password, and reset the sign-in codes.")
@name
@password_file
@options.db
def password_command(name: str, password_file: Path | None, db: str) -> None:
    """Set a new password, reset the sign-in codes and the count of failed sign-ins, and end open sessions.

    \b
    Example:
      forbear user password grace
    """
    password = _password(password_file)
    with _accounts(db) as connection:
        accounts.set_password(connection, name, password)
    show.line(f"{name} has a new password. The next sign-in sets up new codes.")


@command.command("disable", short_help="Disable an account.")
@name
@options.option("--undo", is_flag=True, help="Enable it again.")
@options.db
def disable_command(name: str, undo: bool, db: str) -> None:
    """Disable an account: its sessions end, and its tokens stop working.

    \b
    Example:
      forbear user disable grace
    """
    with _accounts(db) as connection:
        accounts.change(connection, name, disabled_at=None if undo else now())
    show.line(f"{name} is {'enabled' if undo else 'disabled'}.")


@command.command("remove", short_help="Remove an account.")
@name
@options.db
def remove_command(name: str, db: str) -> None:
    """Remove an account with its tokens and saved queries. The access log keeps its name.

    \b
    Example:
      forbear user remove grace
    """
    with _accounts(db) as connection:
        accounts.remove(connection, name)
    show.line(f"{name} was removed.")


@command.command("token", short_help="Create a token for the JSON API, or revoke it.")
@name
@options.option("--label", required=True, type=options.text, help="What the token is for.")
@options.option(
    "--scope",
    type=click.Choice([str(scope) for scope in Scope]),
    multiple=True,
    default=[str(Scope.LOG)],
    help="What the token may do. Can be repeated.",
)
@options.option("--days", type=click.IntRange(1, 366), default=90, help="Valid for this many days.")
@options.option("--revoke", is_flag=True, help="Revoke the tokens with this label instead.")
@options.db
def token_command(name: str, label: str, scope: tuple[str, ...], days: int, revoke: bool, db: str) -> None:
    """Create a token for the JSON API, and print it once: only its digest is stored.

    \b
    Example:
      forbear user token grace --label "weekly figures" --scope log
    """
    with _accounts(db) as connection:
        if revoke:
            ended = sessions.revoke(connection, name, label)
        else:
            token = sessions.issue(connection, name, label, set(map(Scope, scope)), timedelta(days=days), now())
    show.line(f"Revoked {show.count(ended, 'token')}." if revoke else token)
