"""Pages that left the corpus."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "removals",
        sa.Column("page", sa.Text(), nullable=False, comment="The page, by its decision."),
        sa.Column(
            "decision",
            sa.Text(),
            nullable=False,
            comment="The later decision by which it had to leave, with its reasons and their quotations.",
        ),
        sa.Column("crawl", sa.Text(), nullable=False, comment="The recheck that asked again."),
        sa.Column(
            "at", Instant(), nullable=False, comment="When that was put on record, before the page was touched (UTC)."
        ),
        sa.Column(
            "erased_at", Instant(), nullable=True, comment="When its octets had left all files (UTC); empty: not yet."
        ),
        sa.ForeignKeyConstraint(["page"], ["pages.decision"], name=op.f("fk_removals_page")),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_removals_decision")),
        sa.ForeignKeyConstraint(["crawl"], ["crawls.id"], name=op.f("fk_removals_crawl")),
        sa.PrimaryKeyConstraint("page", name=op.f("pk_removals")),
        comment="Tombstones: pages that were kept once and taken out of the corpus since.",
    )
    op.create_index(op.f("ix_removals_erased_at"), "removals", ["erased_at"], unique=False)
