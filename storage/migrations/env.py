"""Runs migrations on the connection and in the transaction of the caller (forbear.storage.database)."""

from __future__ import annotations

from alembic import context

from forbear.storage.db import account_tables, portal_tables, sum_tables  # noqa: F401 their tables are in the schema
from forbear.storage.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    transactional_ddl=True,  # SQLite too: a migration that fails leaves nothing behind
)
with context.begin_transaction():
    context.run_migrations()
