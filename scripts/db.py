"""``forbear db``: creates or upgrades the database, and grants rights in it."""

from __future__ import annotations

import json

import click

from forbear.scripts import options, show
from forbear.scripts.database import open_engine
from forbear.storage.database import hide_password, upgrade, writing
from forbear.storage.db import roles


@click.group(cls=options.Group)
def command() -> None:
    """Create or upgrade the database, and grant rights in it.

    \b
    Example:
      forbear db upgrade --db sqlite:///forbear.db
    """


@command.command("upgrade", short_help="Create or upgrade the database.")
@options.db
@options.as_json
def upgrade_command(db: str, as_json: bool) -> None:
    """Create the database, or upgrade its schema to this version of Forbear; no data is lost.

    \b
    Example:
      forbear db upgrade --db postgresql+psycopg://crawler@db.example/forbear
    """
    before, revision = upgrade(db)
    if as_json:
        click.echo(json.dumps({"revision": revision}))
    elif before is None:
        click.echo(f"Created {hide_password(db)} (schema {revision}).")
    elif before == revision:
        click.echo(f"{hide_password(db)} is up to date (schema {revision}).")
    else:
        click.echo(f"Upgraded {hide_password(db)} from schema {before} to {revision}.")


@command.command("roles", short_help="Grant rights to two roles in PostgreSQL.")
@options.option("--crawler", default="crawler", help="Role that crawls: it may add to the log, but not change it.")
@options.option("--legal", default="legal", help="Role that queries: it may only read.")
@options.db
@options.as_json
def roles_command(crawler: str, legal: str, db: str, as_json: bool) -> None:
    """Grant rights to two roles in PostgreSQL: one may add to the log, one may read it, neither may change it.

    Missing roles are created without login: grant them to users that can log in. Only the owner of the tables can
    still change the log, for `forbear db upgrade` and `forbear erase`, so crawl as another user. An upgrade extends
    the rights of the roles to what it adds.

    \b
    Example:
      forbear db roles --db postgresql+psycopg://owner@db.example/forbear
    """
    with open_engine(db) as engine, writing(engine) as connection:
        roles.grant(connection, crawler, legal)
    rights = {crawler: "may add to the log", legal: "may read"}
    if as_json:
        click.echo(json.dumps(rights))
    else:
        for role, right in rights.items():
            show.line(f"{role} {right}.")
