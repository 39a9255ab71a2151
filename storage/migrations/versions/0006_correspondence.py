"""What the portal publishes, whom it tells, who proved what, who complained."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant, Shown

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "cards",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the version."),
        sa.Column("published_at", Instant(), nullable=False, comment="When it was first published (UTC)."),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the content, in hexadecimal."),
        sa.Column("content", sa.Text(), nullable=False, comment="The card: JSON in canonical form (RFC 8785)."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cards")),
        comment="Every version of what the portal says about the crawlers (measure 1.3(4)).",
    )
    op.create_index(op.f("ix_cards_published_at"), "cards", ["published_at"], unique=False)
    op.create_table(
        "complaints",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the complaint."),
        sa.Column("number", sa.Text(), nullable=False, comment="What people call it, such as 2026-7KQ2M9."),
        sa.Column("link", sa.Text(), nullable=False, comment="SHA-256 of the secret in the private link."),
        sa.Column("received_at", Instant(), nullable=False, comment="When it was sent (UTC)."),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="received, acknowledged, in review, or how it was decided."
        ),
        sa.Column("due_at", Instant(), nullable=True, comment="By when the next step is due (UTC); empty: decided."),
        sa.Column("name", Shown(), nullable=False, comment="Who complains."),
        sa.Column("email", Shown(), nullable=False, comment="How they are reached."),
        sa.Column("on_behalf", Shown(), nullable=False, comment="Of whom, and by what right; empty: of themselves."),
        sa.Column("works", Shown(), nullable=False, comment="Which works or other subject matter it is about."),
        sa.Column("urls", sa.JSON(), nullable=False, comment="Where they stand: domains and URLs, as a list."),
        sa.Column("what", Shown(), nullable=False, comment="What went wrong, in their words."),
        sa.Column(
            "good_faith",
            sa.Boolean(),
            nullable=False,
            comment="Whether they stated that it is accurate and in good faith.",
        ),
        sa.Column("duplicate_of", sa.Text(), nullable=True, comment="The earlier complaint about the same."),
        sa.ForeignKeyConstraint(["duplicate_of"], ["complaints.id"], name=op.f("fk_complaints_duplicate_of")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaints")),
        sa.UniqueConstraint("link", name=op.f("uq_complaints_link")),
        sa.UniqueConstraint("number", name=op.f("uq_complaints_number")),
        comment="Complaints by rightsholders (measure 1.5(2)).",
    )
    op.create_index(op.f("ix_complaints_state_due_at"), "complaints", ["state", "due_at"], unique=False)
    op.create_table(
        "controls",
        sa.Column(
            "id", sa.Text(), nullable=False, comment="SHA-256 of the secret in the private link, in hexadecimal."
        ),
        sa.Column("host", sa.Text(), nullable=False, comment="The host (A-labels); what lies below it is included."),
        sa.Column("token", sa.Text(), nullable=False, comment="What the owner has to show on the site or in its DNS."),
        sa.Column("asked_at", Instant(), nullable=False, comment="When somebody asked for it (UTC)."),
        sa.Column(
            "proven_at", Instant(), nullable=True, comment="When the token was found by https or in the DNS (UTC)."
        ),
        sa.Column(
            "found",
            Shown(),
            nullable=True,
            comment="Where it was found: the URL, or the name of the DNS record. By http, it proves nothing.",
        ),
        sa.Column("expires_at", Instant(), nullable=False, comment="When the request, or the proof, ends (UTC)."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_controls")),
        comment="Who proved control of a host, how, and until when it counts.",
    )
    op.create_index(op.f("ix_controls_host"), "controls", ["host"], unique=False)
    op.create_table(
        "mails",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the mail."),
        sa.Column("recipient", Shown(), nullable=False, comment="Address; emptied when it is sent or given up."),
        sa.Column("subject", Shown(), nullable=False, comment="Its subject."),
        sa.Column("body", sa.Text(), nullable=False, comment="Its text; emptied when it is sent or given up."),
        sa.Column("queued_at", Instant(), nullable=False, comment="When it was written (UTC)."),
        sa.Column("due_at", Instant(), nullable=True, comment="When it is tried next (UTC); empty: sent or given up."),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it was tried."),
        sa.Column("sent_at", Instant(), nullable=True, comment="When the mail server took it (UTC)."),
        sa.Column("error", Shown(), nullable=True, comment="Why the last try failed."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        comment="Mails to be sent, and that they were.",
    )
    op.create_index(op.f("ix_mails_due_at"), "mails", ["due_at"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the subscription."),
        sa.Column("email", Shown(), nullable=False, comment="Where changes of the card are sent to."),
        sa.Column("token", sa.Text(), nullable=False, comment="What the links in mails end with: confirms, ends it."),
        sa.Column("asked_at", Instant(), nullable=False, comment="When somebody asked for it (UTC)."),
        sa.Column(
            "confirmed_at",
            Instant(),
            nullable=True,
            comment="When the reader of that address confirmed (UTC); empty: not yet.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("email", name=op.f("uq_subscriptions_email")),
        sa.UniqueConstraint("token", name=op.f("uq_subscriptions_token")),
        comment="Who is told by mail when the card changes. Rows go when it ends, or is not confirmed in time.",
    )
    op.create_table(
        "complaint_blocks",
        sa.Column("complaint", sa.Text(), nullable=False, comment="The complaint."),
        sa.Column("match", Shown(), nullable=False, comment="A domain with all below it, or what URLs begin with."),
        sa.Column("at", Instant(), nullable=False, comment="When it was accepted (UTC)."),
        sa.Column("by", Shown(), nullable=False, comment="Who accepted it."),
        sa.ForeignKeyConstraint(["complaint"], ["complaints.id"], name=op.f("fk_complaint_blocks_complaint")),
        sa.PrimaryKeyConstraint("complaint", "match", name=op.f("pk_complaint_blocks")),
        comment="What accepted complaints add to the operator's list, while they stand as accepted.",
    )
    op.create_table(
        "complaint_files",
        sa.Column("complaint", sa.Text(), nullable=False, comment="The complaint."),
        sa.Column("position", sa.Integer(), nullable=False, comment="Order, from 0."),
        sa.Column("name", Shown(), nullable=False, comment="Its name, as it was sent."),
        sa.Column("media_type", sa.Text(), nullable=False, comment="What its first octets say that it is."),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="Octets."),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the content, in hexadecimal."),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="The octets."),
        sa.ForeignKeyConstraint(["complaint"], ["complaints.id"], name=op.f("fk_complaint_files_complaint")),
        sa.PrimaryKeyConstraint("complaint", "position", name=op.f("pk_complaint_files")),
        comment="What was sent along with complaints; it is only ever handed out as a download.",
    )
    op.create_table(
        "complaint_steps",
        sa.Column("complaint", sa.Text(), nullable=False, comment="The complaint."),
        sa.Column("position", sa.Integer(), nullable=False, comment="Order, from 0."),
        sa.Column("at", Instant(), nullable=False, comment="When (UTC)."),
        sa.Column("by", Shown(), nullable=False, comment="Who took the step."),
        sa.Column("state", sa.Text(), nullable=False, comment="The state from then on."),
        sa.Column("reason", Shown(), nullable=False, comment="Why; told to whoever complained."),
        sa.ForeignKeyConstraint(["complaint"], ["complaints.id"], name=op.f("fk_complaint_steps_complaint")),
        sa.PrimaryKeyConstraint("complaint", "position", name=op.f("pk_complaint_steps")),
        comment="How each complaint was handled: every step with its time, its person and its reason.",
    )
