"""Creates all tables and indexes, from the tables that the code declares.

A revision is frozen as a rule: what it creates must not change under a database that has it, so it repeats the tables
and does not import them. No database has this revision before 0.1.0 is tagged, and until then a second copy of the
schema would only be a second place to edit. The release replaces the call below by the operations themselves, which
Alembic writes (`produce_migrations`, `render_python_code`); tests/storage/test_migrations.py fails until it has. Views
are no part of any revision: they are recreated after every upgrade (forbear.storage.migrations.migrate).
"""

from __future__ import annotations

from alembic import op

from forbear.storage.db.schema import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind(), checkfirst=False)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE TABLE decisions_others PARTITION OF decisions DEFAULT")  # forbear.storage.db.partitions
