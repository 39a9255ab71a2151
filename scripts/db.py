"""``forbear db``: the database as such."""

from __future__ import annotations

import json

import click

from forbear.scripts import options
from forbear.storage.database import open_database, translated, upgrade, writing
from forbear.storage.db import roles


@click.group()
def command() -> None:
    """Create the database, or bring an older one to the present form."""


@command.command("upgrade", short_help="Create the database or migrate it.")
@options.db
@options.as_json
def upgrade_command(db: str, as_json: bool) -> None:
    """Create the database, or bring an older one to the present form; nothing in it is lost.

    \b
    Example:
      forbear db upgrade --db postgresql+psycopg://crawler@db.example/forbear
    """
    revision = upgrade(db)
    click.echo(json.dumps({"revision": revision}) if as_json else f"The database is ready (schema {revision}).")


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
