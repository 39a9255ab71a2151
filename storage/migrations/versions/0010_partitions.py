"""On PostgreSQL, a part of the decisions for each month."""

from __future__ import annotations

from datetime import UTC, datetime

from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_FOREIGN = """
    SELECT conrelid::regclass::text AS of, conname AS name, pg_get_constraintdef(oid) AS means
    FROM pg_constraint WHERE contype = 'f' AND (confrelid = 'decisions'::regclass OR conrelid = 'decisions'::regclass)
"""
_INDEXES = """
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS means
    FROM pg_index WHERE indrelid = 'decisions'::regclass AND NOT indisprimary
"""


def upgrade() -> None:
    """Applies the change: the rows are copied into a new table, and what points to the old one points to it.

    The parts of past months are made from the ids; those of the months to come are made whenever the database is opened
    (forbear.storage.db.partitions).
    """
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    foreign = connection.execute(text(_FOREIGN)).all()
    indexes = connection.execute(text(_INDEXES)).all()
    about = connection.scalar(text("SELECT obj_description('decisions'::regclass)"))
    for key in foreign:
        op.execute(f"ALTER TABLE {key.of} DROP CONSTRAINT {key.name}")
    for index in indexes:
        op.execute(f"DROP INDEX {index.name}")
    op.execute("ALTER TABLE decisions DROP CONSTRAINT pk_decisions")
    op.execute("ALTER TABLE decisions RENAME TO old_decisions")
    op.execute(
        "CREATE TABLE decisions (LIKE old_decisions INCLUDING CONSTRAINTS INCLUDING COMMENTS) PARTITION BY RANGE (id)"
    )
    connection.execute(text("SELECT set_config('forbear.about', :about, true)"), {"about": about})
    op.execute(
        "DO $$ BEGIN EXECUTE format('COMMENT ON TABLE decisions IS %L', current_setting('forbear.about')); END $$"
    )
    op.execute("CREATE TABLE decisions_others PARTITION OF decisions DEFAULT")
    for month in connection.scalars(
        text(
            "SELECT DISTINCT date_trunc('month', to_timestamp(('x' || substr(id, 1, 8) || substr(id, 10, 4))::bit(48)"
            "::bigint / 1000.0) AT TIME ZONE 'UTC') AS month FROM old_decisions"
            " WHERE id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$' ORDER BY month"
        )
    ):
        after = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
        first, until = (_bound(moment) for moment in (month, after))
        op.execute(
            f"CREATE TABLE decisions_{month:%Y_%m} PARTITION OF decisions FOR VALUES FROM ('{first}') TO ('{until}')"
        )
    op.execute("INSERT INTO decisions SELECT * FROM old_decisions")
    op.execute("DROP TABLE old_decisions")
    op.execute("ALTER TABLE decisions ADD CONSTRAINT pk_decisions PRIMARY KEY (id)")
    for index in indexes:
        op.execute(index.means)
    for key in foreign:
        op.execute(f"ALTER TABLE {key.of} ADD CONSTRAINT {key.name} {key.means}")


def _bound(month: datetime) -> str:
    digits = f"{int(month.replace(tzinfo=UTC).timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
