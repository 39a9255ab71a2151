"""Runs Alembic, which is loaded only where there is something to change."""

from __future__ import annotations

import logging

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from forbear.storage import migrations
from forbear.storage.db import roles, views

_LOCK = 0x666F7262


def migrate(connection: Connection) -> None:
    """Runs the revisions that the database lacks, then recreates the views and renews the roles' rights."""
    if connection.dialect.name == "postgresql":  # two processes may find a database empty at the same time
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = config()
    found.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)
    views.drop(connection)
    command.upgrade(found, "head")
    views.create(connection)
    roles.grant_new_tables(connection)


def config() -> Config:
    """Returns Alembic's configuration: where the revisions are."""
    found = Config()
    found.set_main_option("script_location", str(migrations.FOLDER).replace("%", "%%"))
    return found
