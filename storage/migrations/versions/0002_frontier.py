"""Hosts, queues, entries: what each crawl found and has still to do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant, Shown

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "hosts",
        sa.Column(
            "host",
            sa.Text(),
            nullable=False,
            comment="Host name as requested (A-labels, lower case), or an IP address.",
        ),
        sa.Column("unicode", Shown(), nullable=False, comment="The same name as people write it (U-labels)."),
        sa.Column("domain", sa.Text(), nullable=False, comment="Registrable domain (Public Suffix List)."),
        sa.Column("first_seen", Instant(), nullable=False, comment="When a URL of this host was first found (UTC)."),
        sa.Column("last_seen", Instant(), nullable=False, comment="When this host was last served by a crawler (UTC)."),
        sa.Column(
            "next_at",
            Instant(),
            nullable=True,
            comment="Earliest time of the next request, for all processes (UTC); empty: any time.",
        ),
        sa.Column(
            "lease_owner", sa.Text(), nullable=True, comment="The one process that may send requests to this host now."
        ),
        sa.Column(
            "lease_until", Instant(), nullable=True, comment="When that permission ends unless it is renewed (UTC)."
        ),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_hosts")),
        comment="One row for each host name ever met, and the politeness that all crawls share towards it.",
    )
    op.create_index(op.f("ix_hosts_domain"), "hosts", ["domain"], unique=False)
    op.create_index(op.f("ix_hosts_lease_owner"), "hosts", ["lease_owner"], unique=False)
    op.create_table(
        "queues",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="Number of the queue."
        ),
        sa.Column("crawl", sa.Text(), nullable=False, comment="The crawl."),
        sa.Column("host", sa.Text(), nullable=False, comment="The host."),
        sa.Column(
            "ready_at",
            Instant(),
            nullable=True,
            comment="When this host is next looked at (UTC); empty: nothing is left to do.",
        ),
        sa.ForeignKeyConstraint(["crawl"], ["crawls.id"], name=op.f("fk_queues_crawl")),
        sa.ForeignKeyConstraint(["host"], ["hosts.host"], name=op.f("fk_queues_host")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queues")),
        sa.UniqueConstraint("crawl", "host", name=op.f("uq_queues_crawl_host")),
        comment="One row for each host of a crawl: hosts take turns, whichever has been ready longest is next.",
    )
    op.create_index(op.f("ix_queues_host"), "queues", ["host"], unique=False)
    op.create_index(
        "ix_queues_ready",
        "queues",
        ["crawl", "ready_at"],
        unique=False,
        sqlite_where=sa.text("ready_at IS NOT NULL"),
        postgresql_where=sa.text("ready_at IS NOT NULL"),
    )
    op.create_table(
        "frontier",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="Number of the entry; lower is older.",
        ),
        sa.Column(
            "queue",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="Which crawl and host it belongs to.",
        ),
        sa.Column("key", sa.LargeBinary(), nullable=False, comment="16-octet BLAKE2b digest of crawl and URL."),
        sa.Column("url", Shown(), nullable=False, comment="Canonical URL."),
        sa.Column("depth", sa.Integer(), nullable=False, comment="Number of links between a seed and this URL."),
        sa.Column(
            "found_on",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="Number of the entry whose page has the link; empty for seeds.",
        ),
        sa.Column("redirects", sa.Integer(), nullable=False, comment="How many redirects in a row led here."),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="waiting, deferred, allowed (being fetched), or how it ended."
        ),
        sa.Column("due_at", Instant(), nullable=True, comment="When a deferred URL is asked about again (UTC)."),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it was deferred."),
        sa.Column("decision", sa.Text(), nullable=True, comment="The latest decision about it."),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_frontier_decision")),
        sa.ForeignKeyConstraint(["queue"], ["queues.id"], name=op.f("fk_frontier_queue")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frontier")),
        sa.UniqueConstraint("key", name=op.f("uq_frontier_key")),
        comment="What each crawl found and has still to do: one row for each URL of a crawl.",
    )
    op.create_index(
        "ix_frontier_deferred",
        "frontier",
        ["queue", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'deferred'"),
        postgresql_where=sa.text("state = 'deferred'"),
    )
    op.create_index(
        "ix_frontier_in_flight",
        "frontier",
        ["queue"],
        unique=False,
        sqlite_where=sa.text("state = 'allowed'"),
        postgresql_where=sa.text("state = 'allowed'"),
    )
    op.create_index(
        "ix_frontier_waiting",
        "frontier",
        ["queue", "depth", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
