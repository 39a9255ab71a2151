"""Brings a database to the present schema by Alembic, which is loaded only where there is something to change."""

from __future__ import annotations

import logging
from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from forbear.storage.db import roles, views
from forbear.storage.migrations import adoption

_LOCK = 0x666F7262


def migrate(connection: Connection, *, older: bool) -> None:
    """Runs the migrations that are missing, and makes the views anew; ``older``: the database is not a new one."""
    if connection.dialect.name == "postgresql":  # two processes may find a database empty at the same time
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = config()
    found.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)
    views.drop(connection)
    command.upgrade(found, "head")
    views.create(connection)
    if older:
        roles.renew(connection)
        adoption.adopt(connection)


def config() -> Config:
    """Where Alembic finds the migrations."""
    found = Config()
    found.set_main_option("script_location", str(files("forbear.storage") / "migrations").replace("%", "%%"))
    return found
