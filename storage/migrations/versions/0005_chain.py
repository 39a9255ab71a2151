"""The chain over all rows of the log, its checkpoints, and what was done to the log itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "chain",
        sa.Column(
            "position",
            _COUNT,
            autoincrement=False,
            nullable=False,
            comment="Leaf of the Merkle tree: 0, 1, 2, …",
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="crawl, capture, decision, page, removal, event, …"),
        sa.Column("ref", sa.Text(), nullable=False, comment="The id of that row; of a page, its decision."),
        sa.Column(
            "at",
            Instant(),
            nullable=False,
            comment="When it was written (UTC); never earlier than the row before.",
        ),
        sa.Column(
            "leaf",
            sa.LargeBinary(),
            nullable=False,
            comment="RFC 9162 leaf hash: SHA-256 of 0x00 and the row's record.",
        ),
        sa.Column(
            "salt", sa.LargeBinary(), nullable=True, comment="16 octets of chance; empty once the payload is erased."
        ),
        sa.Column(
            "payload",
            sa.Text(),
            nullable=True,
            comment="SHA-256 of salt and the row's payload (URLs, quotations), in hexadecimal.",
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_chain")),
        sa.UniqueConstraint("ref", "kind", name=op.f("uq_chain_ref_kind")),
        comment="The log's rows as leaves of a Merkle tree (RFC 9162), in the order in which they were written.",
    )
    op.create_table(
        "subtrees",
        sa.Column(
            "level",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="1: over 256 leaves; 2: over 256 of these…",
        ),
        sa.Column("number", _COUNT, autoincrement=False, nullable=False, comment="Which of that level, from 0."),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="Root hash of these leaves (RFC 9162 2.1)."),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_subtrees")),
        comment="Inner nodes of the Merkle tree, so that a proof reads hundreds of hashes, not millions.",
    )
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the checkpoint."),
        sa.Column("at", Instant(), nullable=False, comment="When it was signed (UTC)."),
        sa.Column("size", _COUNT, nullable=False, comment="How many leaves of the chain it covers."),
        sa.Column("root", sa.Text(), nullable=False, comment="Root hash over them (RFC 9162 2.1), in hexadecimal."),
        sa.Column(
            "note",
            sa.Text(),
            nullable=False,
            comment="The signed note (C2SP tlog-checkpoint), as it was given to witnesses.",
        ),
        sa.Column(
            "timestamp",
            sa.Text(),
            nullable=True,
            comment="An authority's RFC 3161 response for the note, DER in base64; empty: not asked.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
        comment="The chain's state, signed with the operator's key, so that nothing before it can be changed unseen.",
    )
    op.create_index(op.f("ix_checkpoints_size"), "checkpoints", ["size"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the event."),
        sa.Column("at", Instant(), nullable=False, comment="When it happened (UTC)."),
        sa.Column(
            "event",
            sa.Text(),
            nullable=False,
            comment="erasure: payloads were erased; adoption: older rows were chained.",
        ),
        sa.Column(
            "content", sa.JSON(), nullable=False, comment="What exactly: reason, condition, positions in the chain."
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        comment="What was done to the log itself.",
    )
