"""Runs migrations on the connection and in the transaction of the caller (forbear.storage.database)."""

from __future__ import annotations

from alembic import context

from forbear.storage import correspondence, rollups, staff  # noqa: F401 their tables are part of the schema
from forbear.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    transactional_ddl=True,  # SQLite too: a migration that fails leaves nothing behind
)
with context.begin_transaction():
    context.run_migrations()
