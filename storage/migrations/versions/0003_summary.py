"""Sums over the log, so that a rightsholder is answered at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant, Shown

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "host_outcomes",
        sa.Column("host", sa.Text(), nullable=False, comment="The host."),
        sa.Column(
            "outcome", sa.Text(), nullable=False, comment="kept (a copy exists), or the latest verdict on a URL."
        ),
        sa.Column(
            "urls",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="How many of its URLs stand so now.",
        ),
        sa.Column("first_at", Instant(), nullable=False, comment="When a URL first came to stand so (UTC)."),
        sa.Column("last_at", Instant(), nullable=False, comment="When one last did (UTC)."),
        sa.PrimaryKeyConstraint("host", "outcome", name=op.f("pk_host_outcomes")),
        comment="Sum over urls: how many URLs of a host were kept, allowed, excluded, deferred.",
    )
    op.create_table(
        "host_reasons",
        sa.Column(
            "key", sa.LargeBinary(), nullable=False, comment="16-octet BLAKE2b digest of host, verdict and words."
        ),
        sa.Column("host", sa.Text(), nullable=False, comment="The host that was decided about."),
        sa.Column("verdict", sa.Text(), nullable=False, comment="excluded or deferred."),
        sa.Column("protocol", sa.Text(), nullable=False, comment="The protocol of the words."),
        sa.Column("quote", Shown(), nullable=False, comment="The words of the site; or the failure's name."),
        sa.Column("source", Shown(), nullable=False, comment="URL that the words come from."),
        sa.Column("place", Shown(), nullable=False, comment="Where they stand there."),
        sa.Column("measure", sa.Text(), nullable=False, comment="Paragraph of the Copyright chapter that is served."),
        sa.Column("first_at", Instant(), nullable=False, comment="When these words first decided (UTC)."),
        sa.Column("last_at", Instant(), nullable=False, comment="When they last decided (UTC)."),
        sa.Column(
            "decisions",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="How many decisions rest on them.",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_host_reasons")),
        comment="Sum over reasons: whose words shut which host, since when, how often.",
    )
    op.create_index(
        op.f("ix_host_reasons_host_verdict_last_at"),
        "host_reasons",
        ["host", "verdict", "last_at"],
        unique=False,
        sqlite_where=None,
        postgresql_where=None,
    )
    op.create_table(
        "urls",
        sa.Column("key", sa.LargeBinary(), nullable=False, comment="16-octet BLAKE2b digest of the canonical URL."),
        sa.Column("url", Shown(), nullable=False, comment="Canonical URL."),
        sa.Column("host", sa.Text(), nullable=False, comment="Its host."),
        sa.Column("verdict", sa.Text(), nullable=False, comment="The latest verdict: allowed, excluded or deferred."),
        sa.Column("at", Instant(), nullable=False, comment="When that was decided (UTC)."),
        sa.Column("decision", sa.Text(), nullable=False, comment="The latest decision."),
        sa.Column("first_at", Instant(), nullable=False, comment="When a decision was first made about it (UTC)."),
        sa.Column(
            "kept_at", Instant(), nullable=True, comment="When a copy was last kept (UTC); empty if none ever was."
        ),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_urls_decision")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_urls")),
        comment="Sum over decisions and pages: where every URL stands now.",
    )
    op.create_index(
        op.f("ix_urls_host_verdict_at"),
        "urls",
        ["host", "verdict", "at"],
        unique=False,
        sqlite_where=None,
        postgresql_where=None,
    )
    op.create_index(
        "ix_urls_kept",
        "urls",
        ["host", "kept_at"],
        unique=False,
        sqlite_where=sa.text("kept_at IS NOT NULL"),
        postgresql_where=sa.text("kept_at IS NOT NULL"),
    )
