"""What ran on the timetable."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the run."),
        sa.Column("step", sa.Text(), nullable=False, comment="Name of the step in the timetable of forbear run."),
        sa.Column("words", sa.JSON(), nullable=False, comment="The command with its words, as a list."),
        sa.Column("started_at", Instant(), nullable=False, comment="When it began (UTC)."),
        sa.Column(
            "finished_at",
            Instant(),
            nullable=True,
            comment="When it ended (UTC); empty if it was cut short, or runs still.",
        ),
        sa.Column("code", sa.Integer(), nullable=True, comment="Its exit code; empty as finished_at is."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        comment="What ran on the timetable, and how it ended.",
    )
    op.create_index(op.f("ix_runs_step_started_at"), "runs", ["step", "started_at"], unique=False)
