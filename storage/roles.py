"""Who may do what on PostgreSQL: the role that crawls may add to the log, the one that asks may read it."""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

from storage import correspondence, schema, staff
from storage.errors import StorageError

LOG = (
    correspondence.complaint_files,
    correspondence.complaint_steps,
    schema.bodies,
    schema.captures,
    schema.chain,
    schema.checkpoints,
    schema.decision_captures,
    schema.decisions,
    schema.events,
    schema.gaps,
    schema.list_sources,
    schema.pages,
    schema.policies,
    schema.reasons,
    schema.statements,
    schema.subtrees,
)
"""What may be added to, and never changed. Only the owner of the tables can: for an upgrade or an erasure."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def grant(connection: Connection, crawler: str, legal: str) -> None:
    """Gives the two roles their rights, and takes all others from them; roles that are not there are made.

    A role that is made cannot log in: it is granted to users that can. Raises StorageError for a name that is none, and
    on SQLite, which has no roles.
    """
    if connection.dialect.name != "postgresql":
        raise StorageError("SQLite has no roles: give them on PostgreSQL, or guard the file itself.")
    for role in (crawler, legal):
        if not _NAME.fullmatch(role):
            raise StorageError(f"{role!r} is no name for a role: write small letters, digits and _.")
        if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is None:
            _run(connection, f'CREATE ROLE "{role}" NOLOGIN')
        for kind in ("TABLES", "SEQUENCES"):
            _run(connection, f'REVOKE ALL ON ALL {kind} IN SCHEMA public FROM "{role}", PUBLIC')
        _run(connection, f'GRANT USAGE ON SCHEMA public TO "{role}"')
        _run(connection, f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role}"')
    log = {table.name for table in LOG}
    for table in schema.metadata.sorted_tables:
        rights = "INSERT" if table.name in log else "INSERT, UPDATE, DELETE"
        _run(connection, f'GRANT {rights} ON "{table.name}" TO "{crawler}"')
    for role in (crawler, legal):
        for table in staff.SECRET:
            _run(connection, f'REVOKE ALL ON "{table.name}" FROM "{role}"')
    _run(connection, f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{crawler}"')


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
