"""``forbear db``: the database as such."""

from __future__ import annotations

import json

import click

from forbear.scripts import options
from forbear.storage.database import open_database, shown, translated, upgrade, writing
from forbear.storage.db import roles


@click.group()
def command() -> None:
    """Create the database, or upgrade it to this version's schema."""


@command.command("upgrade", short_help="Create or upgrade the database.")
@options.db
@options.as_json
def upgrade_command(db: str, as_json: bool) -> None:
    """Create the database, or upgrade it to this version's schema without losing anything in it.

    \b
    Example:
      forbear db upgrade --db postgresql+psycopg://crawler@db.example/forbear
    """
    before, revision = upgrade(db)
    if as_json:
        click.echo(json.dumps({"revision": revision}))
    elif before is None:
        click.echo(f"Created {shown(db)} (schema {revision}).")
    elif before == revision:
        click.echo(f"{shown(db)} is up to date (schema {revision}).")
    else:
        click.echo(f"Upgraded {shown(db)} from schema {before} to {revision}.")


@command.command("roles", short_help="Give the roles of PostgreSQL their rights.")
@options.option("--crawler", default="crawler", help="The role that crawls: it may add to the log, and not change it.")
@options.option("--legal", default="legal", help="The role that asks: it may read.")
@options.db
@options.as_json
def roles_command(crawler: str, legal: str, db: str, as_json: bool) -> None:
    """Give two roles of PostgreSQL their rights: one may add to the log, one may read it, none may change it.

    Roles that are not there are made, and cannot log in: grant them to users that can. Only the owner of the tables can
    still change the log, for `forbear db upgrade` and `forbear erase`: so crawl as another user. An upgrade gives
    the roles the same rights to what it adds.

    \b
    Example:
      forbear db roles --db postgresql+psycopg://owner@db.example/forbear
    """
    engine = open_database(db, create=False)
    try:
        with translated(engine.url), writing(engine) as connection:
            roles.grant(connection, crawler, legal)
    finally:
        engine.dispose()
    rights = {crawler: "may add to the log", legal: "may read"}
    if as_json:
        click.echo(json.dumps(rights))
    else:
        for role, right in rights.items():
            click.echo(f"{role} {right}.")
