"""``forbear db``: the database as such."""

from __future__ import annotations

import json

import click

from scripts import options
from storage.database import upgrade


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
