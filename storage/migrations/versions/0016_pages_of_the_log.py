"""Indexes for pages of the log by a verdict or a measure that is rare, and for figures of the newest crawls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    where = sa.text("verdict <> 'allowed'")
    op.create_index(
        "ix_decisions_verdict_at", "decisions", ["verdict", "at"], sqlite_where=where, postgresql_where=where
    )
    op.create_index("ix_reasons_measure_decision", "reasons", ["measure", "decision"])
    op.create_index("ix_daily_verdicts_crawl", "daily_verdicts", ["crawl"])
    op.create_index("ix_daily_reasons_crawl", "daily_reasons", ["crawl"])
