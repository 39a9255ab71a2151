"""Grants rights on PostgreSQL: the crawling role may add to the log, the asking role may read it."""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

from forbear.storage.db import account_tables, portal_tables, schema
from forbear.storage.db.errors import StorageError

LOG = (
    portal_tables.complaint_files,
    portal_tables.complaint_steps,
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
"""Tables that are only ever added to. Only their owner can change rows: for an upgrade or an erasure."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


_GIVEN = """
    SELECT grantee, array_agg(privilege_type::text) FROM information_schema.role_table_grants
    WHERE table_schema = 'public' AND table_name = 'decisions' AND grantee <> grantor AND grantee <> 'PUBLIC'
    GROUP BY grantee
"""
_TABLES = """
    SELECT relname, relkind = 'v' FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition
"""


def grant(connection: Connection, crawler: str, legal: str) -> None:
    """Gives the two roles exactly their rights; missing roles are created.

    A created role cannot log in: grant it to users who can. Raises StorageError for an invalid name, and on SQLite,
    which has no roles.
    """
    if connection.dialect.name != "postgresql":
        raise StorageError("SQLite has no roles: give them on PostgreSQL, or guard the file itself.")
    for role in (crawler, legal):
        if not _NAME.fullmatch(role):
            raise StorageError(f"{role!r} is not a valid role name: write small letters, digits and _.")
        if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is None:
            _execute(connection, f'CREATE ROLE "{role}" NOLOGIN')
        for kind in ("TABLES", "SEQUENCES"):
            _execute(connection, f'REVOKE ALL ON ALL {kind} IN SCHEMA public FROM "{role}", PUBLIC')
        _grant_tables(connection, role, adds=role == crawler)


def grant_new_tables(connection: Connection) -> None:
    """Gives roles that may add to the log, or read it, the same right to new tables; leaves other roles alone.

    Such roles are those of ``grant``: a role that may change or delete decisions is not among them.
    """
    if connection.dialect.name == "postgresql":
        for role, rights in connection.execute(text(_GIVEN)).all():
            if "SELECT" in rights and not {"UPDATE", "DELETE", "TRUNCATE"} & set(rights):
                _grant_tables(connection, role, adds="INSERT" in rights)


def _grant_tables(connection: Connection, role: str, *, adds: bool) -> None:
    """Grants on all tables that the database lists, whichever modules are imported."""
    secret, log = ({table.name for table in tables} for tables in (account_tables.SECRET, LOG))
    _execute(connection, f'GRANT USAGE ON SCHEMA public TO "{role}"')
    for name, is_view in connection.execute(text(_TABLES)).all():
        if name not in secret:
            rights = "SELECT"
            if adds and not is_view and name != "alembic_version":
                rights += ", INSERT" if name in log else ", INSERT, UPDATE, DELETE"
            _execute(connection, f'GRANT {rights} ON "{name}" TO "{role}"')
    if adds:
        _execute(connection, f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{role}"')


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
