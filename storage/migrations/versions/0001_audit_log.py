"""Crawls, evidence, decisions: the audit log, and the pages that were kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant, Shown

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "bodies",
        sa.Column(
            "sha256", sa.Text(), nullable=False, comment="SHA-256 of the content before compression, in hexadecimal."
        ),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="The octets, compressed with zlib (RFC 1950)."),
        sa.Column(
            "size",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="Octets before compression.",
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_bodies")),
        comment="What sites answered, byte for byte; the same content is stored once.",
    )
    op.create_table(
        "crawls",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the crawl, given when it began."),
        sa.Column("started_at", Instant(), nullable=False, comment="When it began (UTC)."),
        sa.Column(
            "finished_at", Instant(), nullable=True, comment="When it ended or was stopped (UTC); empty while it runs."
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="running, stopped (goes on with the same command) or finished."
        ),
        sa.Column(
            "engine",
            sa.Text(),
            nullable=False,
            comment="Version of Forbear; of the latest run, if the crawl was resumed.",
        ),
        sa.Column(
            "agent",
            sa.Text(),
            nullable=False,
            comment="Product token that robots.txt rules are matched with (RFC 9309).",
        ),
        sa.Column("user_agent", sa.Text(), nullable=False, comment="The whole User-Agent header that was sent."),
        sa.Column(
            "contact", sa.Text(), nullable=False, comment="URL or mail address of the operator, as sent to every site."
        ),
        sa.Column(
            "use",
            sa.Text(),
            nullable=False,
            comment="What the copies are for, in AIPREF words: train-ai, search, ai-use.",
        ),
        sa.Column("profile", sa.Text(), nullable=False, comment="How doubt was treated: standard or strict."),
        sa.Column(
            "shadow",
            sa.Boolean(),
            nullable=False,
            comment="True: a rehearsal: forbear crawl kept nothing, the add-on enforced nothing.",
        ),
        sa.Column("configuration", sa.JSON(), nullable=False, comment="All settings in force when it began."),
        sa.Column(
            "configuration_digest",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the settings; the same settings resume.",
        ),
        sa.Column(
            "policy", sa.Text(), nullable=False, comment="Digest of the policy (which protocol counts how) in force."
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crawls")),
        comment="One row for each crawl: who crawled, when, for what use, and with which settings.",
    )
    op.create_index(
        "uq_crawls_unfinished",
        "crawls",
        ["configuration_digest"],
        unique=True,
        sqlite_where=sa.text("state != 'finished'"),
        postgresql_where=sa.text("state != 'finished'"),
    )
    op.create_table(
        "captures",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the capture."),
        sa.Column("crawl", sa.Text(), nullable=False, comment="The crawl that asked."),
        sa.Column("url", Shown(), nullable=False, comment="The URL that was requested."),
        sa.Column(
            "url_key", sa.LargeBinary(), nullable=False, comment="16-octet BLAKE2b digest of the URL, to find it by."
        ),
        sa.Column("fetched_at", Instant(), nullable=False, comment="When the answer came (UTC)."),
        sa.Column(
            "expires_at",
            Instant(),
            nullable=True,
            comment="Until when it is used without asking again (UTC); empty for pages.",
        ),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP status; empty if there was no answer."),
        sa.Column(
            "error",
            sa.Text(),
            nullable=True,
            comment="Why there was no answer: timeout, dns, refused, reset, tls, truncated, …",
        ),
        sa.Column(
            "headers",
            sa.JSON(),
            nullable=False,
            comment="All header fields as received, in order: list of name and value.",
        ),
        sa.Column("body_sha256", sa.Text(), nullable=False, comment="SHA-256 of the content received, in hexadecimal."),
        sa.Column(
            "body_bytes",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="Octets of the content received, after decoding.",
        ),
        sa.Column("body", sa.Text(), nullable=True, comment="The stored content; empty if only excerpts were kept."),
        sa.Column(
            "excerpts",
            sa.JSON(),
            nullable=True,
            comment="The quoted parts kept of content that is not stored, as a list.",
        ),
        sa.ForeignKeyConstraint(["body"], ["bodies.sha256"], name=op.f("fk_captures_body")),
        sa.ForeignKeyConstraint(["crawl"], ["crawls.id"], name=op.f("fk_captures_crawl")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_captures")),
        comment="Evidence: one HTTP request and what came back, as the decisions saw it.",
    )
    op.create_index(op.f("ix_captures_crawl"), "captures", ["crawl"], unique=False)
    op.create_index(
        "ix_captures_reusable",
        "captures",
        ["url_key", "expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_table(
        "decisions",
        sa.Column(
            "id", sa.Text(), nullable=False, comment="UUIDv7 of the decision; kept pages carry it in WARC and Parquet."
        ),
        sa.Column("at", Instant(), nullable=False, comment="When it was decided (UTC)."),
        sa.Column("crawl", sa.Text(), nullable=False, comment="The crawl that decided."),
        sa.Column("url", Shown(), nullable=False, comment="The URL as it was asked about."),
        sa.Column("canonical", Shown(), nullable=False, comment="The URL decided about: canonical, after redirects."),
        sa.Column("host", sa.Text(), nullable=False, comment="Host of the canonical URL (A-labels)."),
        sa.Column("domain", sa.Text(), nullable=False, comment="Registrable domain of that host."),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="allowed, excluded, or deferred (not known now: nothing is kept).",
        ),
        sa.Column(
            "stage",
            sa.Text(),
            nullable=False,
            comment="request: before the page was fetched; page: before it was kept.",
        ),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP status of the page; empty at stage request."),
        sa.Column(
            "content_sha256",
            sa.Text(),
            nullable=True,
            comment="SHA-256 of the page, in hexadecimal; empty at stage request.",
        ),
        sa.Column(
            "bytes",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="Octets of the page; empty at stage request.",
        ),
        sa.Column("engine", sa.Text(), nullable=False, comment="Version of Forbear that decided."),
        sa.Column("policy", sa.Text(), nullable=False, comment="Digest of the policy that was in force."),
        sa.Column("profile", sa.Text(), nullable=False, comment="standard or strict."),
        sa.Column("use", sa.Text(), nullable=False, comment="The use that was asked for, such as train-ai."),
        sa.Column("agent", sa.Text(), nullable=False, comment="The robots product token that was asked for."),
        sa.CheckConstraint("stage IN ('request', 'page')", name=op.f("ck_decisions_stage")),
        sa.CheckConstraint("verdict IN ('allowed', 'excluded', 'deferred')", name=op.f("ck_decisions_verdict")),
        sa.ForeignKeyConstraint(["crawl"], ["crawls.id"], name=op.f("fk_decisions_crawl")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        comment="The audit log: one row for each decision, written before a page is requested, kept or refused.",
    )
    op.create_index(
        op.f("ix_decisions_at"), "decisions", ["at"], unique=False, sqlite_where=None, postgresql_where=None
    )
    op.create_index(
        op.f("ix_decisions_crawl_at"),
        "decisions",
        ["crawl", "at"],
        unique=False,
        sqlite_where=None,
        postgresql_where=None,
    )
    op.create_index(
        op.f("ix_decisions_domain_at"),
        "decisions",
        ["domain", "at"],
        unique=False,
        sqlite_where=None,
        postgresql_where=None,
    )
    op.create_table(
        "decision_captures",
        sa.Column("decision", sa.Text(), nullable=False, comment="The decision."),
        sa.Column("position", sa.Integer(), nullable=False, comment="Order, from 0."),
        sa.Column("capture", sa.Text(), nullable=False, comment="A capture it rests on."),
        sa.ForeignKeyConstraint(["capture"], ["captures.id"], name=op.f("fk_decision_captures_capture")),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_decision_captures_decision")),
        sa.PrimaryKeyConstraint("decision", "position", name=op.f("pk_decision_captures")),
        comment="Which evidence a decision rests on.",
    )
    op.create_index(op.f("ix_decision_captures_capture"), "decision_captures", ["capture"], unique=False)
    op.create_table(
        "gaps",
        sa.Column("decision", sa.Text(), nullable=False, comment="The decision."),
        sa.Column("position", sa.Integer(), nullable=False, comment="Order within the decision, from 0."),
        sa.Column("protocol", sa.Text(), nullable=False, comment="robots, tdmrep, robots-meta, access, unreachable, …"),
        sa.Column(
            "quote", Shown(), nullable=False, comment="The words of the site, byte for byte; or the failure's name."
        ),
        sa.Column("source", Shown(), nullable=False, comment="URL that the words come from."),
        sa.Column(
            "place", Shown(), nullable=False, comment="Where they stand there: line 12, header tdm-reservation, …"
        ),
        sa.Column("detail", Shown(), nullable=False, comment="What happened, in one sentence."),
        sa.Column(
            "defers", sa.JSON(), nullable=False, comment="The profiles in which this defers the decision, as a list."
        ),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_gaps_decision")),
        sa.PrimaryKeyConstraint("decision", "position", name=op.f("pk_gaps")),
        comment="What could not be read for a decision, and why.",
    )
    op.create_table(
        "pages",
        sa.Column("decision", sa.Text(), nullable=False, comment="The decision that allowed it."),
        sa.Column("crawl", sa.Text(), nullable=False, comment="The crawl that kept it."),
        sa.Column("url", Shown(), nullable=False, comment="Canonical URL of the page."),
        sa.Column("kept_at", Instant(), nullable=False, comment="When it was written to the corpus (UTC)."),
        sa.Column("warc_file", Shown(), nullable=False, comment="Name of the WARC file that holds it."),
        sa.Column(
            "warc_offset",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="Where its response record begins in that file, in octets.",
        ),
        sa.Column(
            "warc_length",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="Length of the compressed record, in octets.",
        ),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the page, in hexadecimal."),
        sa.Column("media_type", Shown(), nullable=False, comment="Its type, such as text/html."),
        sa.Column(
            "bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="Octets of the page."
        ),
        sa.ForeignKeyConstraint(["crawl"], ["crawls.id"], name=op.f("fk_pages_crawl")),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_pages_decision")),
        sa.PrimaryKeyConstraint("decision", name=op.f("pk_pages")),
        comment="The corpus: one row for each page that was kept, and the decision that allowed it.",
    )
    op.create_index(
        op.f("ix_pages_crawl_warc_file_warc_offset"),
        "pages",
        ["crawl", "warc_file", "warc_offset"],
        unique=False,
        sqlite_where=None,
        postgresql_where=None,
    )
    op.create_table(
        "reasons",
        sa.Column("decision", sa.Text(), nullable=False, comment="The decision."),
        sa.Column("position", sa.Integer(), nullable=False, comment="Order within the decision, from 0."),
        sa.Column("protocol", sa.Text(), nullable=False, comment="robots, tdmrep, robots-meta, access, unreachable, …"),
        sa.Column(
            "quote", Shown(), nullable=False, comment="The words of the site, byte for byte; or the failure's name."
        ),
        sa.Column("source", Shown(), nullable=False, comment="URL that the words come from."),
        sa.Column(
            "place", Shown(), nullable=False, comment="Where they stand there: line 12, header tdm-reservation, …"
        ),
        sa.Column("preference", sa.Text(), nullable=False, comment="allow, disallow or unknown."),
        sa.Column(
            "measure",
            sa.Text(),
            nullable=False,
            comment="Paragraph of the Code of Practice's Copyright chapter it serves.",
        ),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_reasons_decision")),
        sa.PrimaryKeyConstraint("decision", "position", name=op.f("pk_reasons")),
        comment="Why a decision came out as it did: whose words, from where.",
    )
    op.create_index(
        op.f("ix_reasons_protocol_decision"),
        "reasons",
        ["protocol", "decision"],
        unique=False,
        sqlite_where=None,
        postgresql_where=None,
    )
    op.create_table(
        "statements",
        sa.Column("decision", sa.Text(), nullable=False, comment="The decision."),
        sa.Column("position", sa.Integer(), nullable=False, comment="Order within the decision, from 0."),
        sa.Column("protocol", sa.Text(), nullable=False, comment="robots, tdmrep, robots-meta, access, unreachable, …"),
        sa.Column(
            "quote", Shown(), nullable=False, comment="The words of the site, byte for byte; or the failure's name."
        ),
        sa.Column("source", Shown(), nullable=False, comment="URL that the words come from."),
        sa.Column(
            "place", Shown(), nullable=False, comment="Where they stand there: line 12, header tdm-reservation, …"
        ),
        sa.Column("preference", sa.Text(), nullable=False, comment="allow, disallow or unknown."),
        sa.Column("uses", sa.JSON(), nullable=False, comment="The uses that the words speak about, as a list."),
        sa.Column("force", sa.Text(), nullable=False, comment="standing, superseded, contradicted or malformed."),
        sa.Column("note", Shown(), nullable=False, comment="A remark of the engine; may be empty."),
        sa.ForeignKeyConstraint(["decision"], ["decisions.id"], name=op.f("fk_statements_decision")),
        sa.PrimaryKeyConstraint("decision", "position", name=op.f("pk_statements")),
        comment="Everything that was read for a decision, whether it decided or not.",
    )
