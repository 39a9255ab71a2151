"""What each digest of a policy stands for, and what both profiles make of a decision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant
from forbear.storage.migrations.columns import add_column

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PROFILES = ("standard", "strict")


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "policies",
        sa.Column(
            "digest",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the content, in hexadecimal; decisions carry it.",
        ),
        sa.Column("first_at", Instant(), nullable=False, comment="When a crawl first worked by it (UTC)."),
        sa.Column(
            "overrides",
            sa.JSON(),
            nullable=False,
            comment="Where the operator's file departs from what ships: what, whether looser, for what reason.",
        ),
        sa.Column(
            "content",
            sa.Text(),
            nullable=False,
            comment="The whole policy as JSON: protocols, profiles, lists of agents.",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_policies")),
        comment="Which protocol counts how: one row for each policy that decisions were made by.",
    )
    for profile in _PROFILES:
        comment = f"What profile {profile} makes of the same; empty in rows before 0.2."
        add_column("decisions", sa.Column(f"verdict_{profile}", sa.Text(), comment=comment))
