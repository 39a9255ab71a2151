"""Tables of portal users: accounts, sessions, tokens, and the access log.

They name people, so none of this is in the chain: it must be erasable.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, Table, Text

from forbear.storage.db.schema import metadata
from forbear.storage.db.types import Count, Instant, SafeText

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the account."),
    Column("name", SafeText, nullable=False, unique=True, comment="The name its owner signs in with."),
    Column(
        "role", Text, nullable=False, comment="viewer reads the log, legal works complaints too, admin sees audits."
    ),
    Column("password", Text, nullable=False, comment="Argon2id hash; empty if only an issuer signs it in."),
    Column("totp", Text, nullable=False, comment="Secret of the one-time codes (RFC 6238), in base32."),
    Column("enrolled_at", Instant, comment="When the owner first gave a code (UTC); empty: not yet."),
    Column("counter", Count, nullable=False, comment="Time step of the last code used: none is taken twice."),
    Column("subject", SafeText, unique=True, comment="Issuer and subject (OpenID Connect) that sign in to it."),
    Column("created_at", Instant, nullable=False, comment="When it was made (UTC)."),
    Column("disabled_at", Instant, comment="Since when it is disabled (UTC)."),
    comment="People who may sign in to the portal.",
)

attempts = Table(
    "attempts",
    metadata,
    Column("name", SafeText, primary_key=True, comment="The name that was given, whether an account has it or not."),
    Column("client", SafeText, primary_key=True, comment="IPv4 address or IPv6 network (64 bits) that it came from."),
    Column("failures", Integer, nullable=False, comment="Failed sign-ins since the last that went well."),
    Column("wrong_codes", Integer, nullable=False, comment="Of these, the ones with the right password."),
    Column("failed_at", Instant, comment="When the last of them was (UTC); empty: none."),
    Column("signed_in_at", Instant, comment="When a sign-in last went well (UTC); empty: never."),
    Column("forget_at", Instant, nullable=False, index=True, comment="When the row is removed (UTC)."),
    comment="Sign-ins by name and client, to slow down guesses. Rows are deleted when they no longer count.",
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True, comment="SHA-256 of the secret in the cookie, in hexadecimal."),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False, index=True, comment="Whose it is."),
    Column("stage", Text, nullable=False, comment="enrolment: may set up codes and nothing else; full."),
    Column("rotated_at", Instant, nullable=False, comment="When it got this id (UTC)."),
    Column("seen_at", Instant, nullable=False, comment="When it was last used, to the minute (UTC)."),
    Column("expires_at", Instant, nullable=False, comment="When it ends at the latest (UTC)."),
    comment="Who is signed in. Rows go when a session ends.",
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True, comment="SHA-256 of the token, in hexadecimal."),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False, index=True, comment="Whose it is."),
    Column("label", SafeText, nullable=False, comment="What it is for, in its owner's words."),
    Column("scopes", JSON, nullable=False, comment="What it may do, as a list; never more than the account's role."),
    Column("created_at", Instant, nullable=False, comment="When it was made (UTC)."),
    Column("expires_at", Instant, nullable=False, comment="When it ends (UTC)."),
    comment="Tokens for the JSON API.",
)

visits = Table(
    "visits",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the visit; in the order of time."),
    Column("at", Instant, nullable=False, comment="When (UTC)."),
    Column(
        "name",
        SafeText,
        nullable=False,
        comment="The account's name; of a failed sign-in, the one that was given.",
    ),
    Column("client", SafeText, nullable=False, comment="Address it came from."),
    Column("event", Text, nullable=False, comment="signed in, refused, wrong code, delayed, view, export, step, …"),
    Column("what", SafeText, nullable=False, comment="Path and query of what was looked at."),
    Index(None, "name", "id"),
    comment="Every sign-in, and every view of what names URLs or people.",
)

saved_queries = Table(
    "saved_queries",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the query."),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False, index=True, comment="Whose it is."),
    Column("label", SafeText, nullable=False, comment="What its owner calls it."),
    Column("query", SafeText, nullable=False, comment="The filters, as the query of the page's URL."),
    Column("created_at", Instant, nullable=False, comment="When it was saved (UTC)."),
    comment="Saved filters of the log.",
)

SECRET = (accounts, attempts, sessions, tokens)
"""Tables that only the portal reads: they are enough to sign in."""
