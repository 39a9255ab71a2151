"""Accounts of the portal, their sessions and tokens, and what they looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant, Shown

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the account."),
        sa.Column("name", Shown(), nullable=False, comment="What its owner signs in with."),
        sa.Column(
            "role",
            sa.Text(),
            nullable=False,
            comment="viewer reads the log, legal works complaints too, admin sees audits.",
        ),
        sa.Column("password", sa.Text(), nullable=False, comment="Argon2id hash; empty if only an issuer signs it in."),
        sa.Column("totp", sa.Text(), nullable=False, comment="Secret of the one-time codes (RFC 6238), in base32."),
        sa.Column(
            "enrolled_at", Instant(), nullable=True, comment="When the owner first gave a code (UTC); empty: not yet."
        ),
        sa.Column("counter", _COUNT, nullable=False, comment="Time step of the last code used: none is taken twice."),
        sa.Column("subject", Shown(), nullable=True, comment="Issuer and subject (OpenID Connect) that sign in to it."),
        sa.Column("created_at", Instant(), nullable=False, comment="When it was made (UTC)."),
        sa.Column("disabled_at", Instant(), nullable=True, comment="Since when it is shut (UTC)."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
        sa.UniqueConstraint("subject", name=op.f("uq_accounts_subject")),
        comment="People who may sign in to the portal.",
    )
    op.create_table(
        "attempts",
        sa.Column(
            "name", Shown(), nullable=False, comment="The name that was given, whether an account has it or not."
        ),
        sa.Column(
            "client", Shown(), nullable=False, comment="IPv4 address or IPv6 network (64 bits) that it came from."
        ),
        sa.Column("failures", sa.Integer(), nullable=False, comment="Failed sign-ins since the last that went well."),
        sa.Column("wrong_codes", sa.Integer(), nullable=False, comment="Of these, the ones with the right password."),
        sa.Column("failed_at", Instant(), nullable=True, comment="When the last of them was (UTC); empty: none."),
        sa.Column(
            "signed_in_at", Instant(), nullable=True, comment="When a sign-in last went well (UTC); empty: never."
        ),
        sa.Column("forget_at", Instant(), nullable=False, comment="When the row is removed (UTC)."),
        sa.PrimaryKeyConstraint("name", "client", name=op.f("pk_attempts")),
        comment="Sign-ins by name and client, to slow down guesses. Rows go when they count no more.",
    )
    op.create_index(op.f("ix_attempts_forget_at"), "attempts", ["forget_at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False, comment="SHA-256 of the secret in the cookie, in hexadecimal."),
        sa.Column("account", sa.Text(), nullable=False, comment="Whose it is."),
        sa.Column("stage", sa.Text(), nullable=False, comment="enrolment: may set up codes and nothing else; full."),
        sa.Column("rotated_at", Instant(), nullable=False, comment="When it got this id (UTC)."),
        sa.Column("seen_at", Instant(), nullable=False, comment="When it was last used, to the minute (UTC)."),
        sa.Column("expires_at", Instant(), nullable=False, comment="When it ends whatever happens (UTC)."),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_sessions_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        comment="Who is signed in. Rows go when a session ends.",
    )
    op.create_index(op.f("ix_sessions_account"), "sessions", ["account"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text(), nullable=False, comment="SHA-256 of the token, in hexadecimal."),
        sa.Column("account", sa.Text(), nullable=False, comment="Whose it is."),
        sa.Column("label", Shown(), nullable=False, comment="What it is for, in its owner's words."),
        sa.Column(
            "scopes",
            sa.JSON(),
            nullable=False,
            comment="What it may do, as a list; never more than the account's role.",
        ),
        sa.Column("created_at", Instant(), nullable=False, comment="When it was made (UTC)."),
        sa.Column("expires_at", Instant(), nullable=False, comment="When it ends (UTC)."),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_tokens_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        comment="Tokens for the JSON API.",
    )
    op.create_index(op.f("ix_tokens_account"), "tokens", ["account"], unique=False)
    op.create_table(
        "visits",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the visit; in the order of time."),
        sa.Column("at", Instant(), nullable=False, comment="When (UTC)."),
        sa.Column(
            "name", Shown(), nullable=False, comment="The account's name; of a failed sign-in, the one that was given."
        ),
        sa.Column("client", Shown(), nullable=False, comment="Address it came from."),
        sa.Column(
            "event", sa.Text(), nullable=False, comment="signed in, refused, wrong code, delayed, view, export, step, …"
        ),
        sa.Column("what", Shown(), nullable=False, comment="Path and query of what was looked at."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
        comment="Every sign-in, and every view of what names URLs or people.",
    )
    op.create_index(op.f("ix_visits_name_id"), "visits", ["name", "id"], unique=False)
    op.create_table(
        "saved_queries",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the query."),
        sa.Column("account", sa.Text(), nullable=False, comment="Whose it is."),
        sa.Column("label", Shown(), nullable=False, comment="What its owner calls it."),
        sa.Column("query", Shown(), nullable=False, comment="The filters, as the query of the page's URL."),
        sa.Column("created_at", Instant(), nullable=False, comment="When it was saved (UTC)."),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_saved_queries_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_queries")),
        comment="Filters of the log that somebody wants to see again.",
    )
    op.create_index(op.f("ix_saved_queries_account"), "saved_queries", ["account"], unique=False)
