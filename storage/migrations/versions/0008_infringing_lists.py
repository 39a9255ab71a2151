"""Lists of infringing sites as they were published, and their entries with provenance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.types import Instant, Shown

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "list_sources",
        sa.Column(
            "sha256",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the publication as it was imported, in hexadecimal.",
        ),
        sa.Column(
            "layout", sa.Text(), nullable=False, comment="Which publication it is an issue of: denmark, austria, …"
        ),
        sa.Column("name", Shown(), nullable=False, comment="Name of the file that was imported."),
        sa.Column(
            "published",
            sa.Date(),
            nullable=False,
            comment="The day that it is from, as the person who imported it said.",
        ),
        sa.Column("at", Instant(), nullable=False, comment="When it was imported (UTC)."),
        sa.Column("whole", sa.Boolean(), nullable=False, comment="True: what it does not name is out; false: it adds."),
        sa.Column("named", _COUNT, nullable=False, comment="How many sites it names."),
        sa.Column("unread", sa.JSON(), nullable=False, comment="Rows in which no site was found, as they stand there."),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="The file, compressed with zlib (RFC 1950)."),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_list_sources")),
        comment="Lists of infringing sites as authorities published them: one row for each file imported.",
    )
    op.create_table(
        "list_entries",
        sa.Column("id", sa.Text(), nullable=False, comment="UUIDv7 of the entry."),
        sa.Column("layout", sa.Text(), nullable=False, comment="Which publication names it."),
        sa.Column(
            "domain", sa.Text(), nullable=False, comment="The domain, in A-labels; its subdomains are meant too."
        ),
        sa.Column("country", sa.Text(), nullable=False, comment="Country of the authority (ISO 3166), or EU."),
        sa.Column("authority", Shown(), nullable=False, comment="Who recognised the site as infringing."),
        sa.Column(
            "basis", Shown(), nullable=False, comment="Legal basis, and the case where the publication tells it."
        ),
        sa.Column("decided", sa.Date(), comment="When it was decided; empty where the publication does not say."),
        sa.Column("since", sa.Date(), nullable=False, comment="The day of the first publication that names it."),
        sa.Column(
            "until", sa.Date(), comment="The day of the first one that does not any more; empty while it is listed."
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="That first publication."),
        sa.Column(
            "held", Shown(), nullable=False, comment="Why it waits for a person; empty: nothing spoke against it."
        ),
        sa.Column("accepted_at", Instant(), comment="When a person let it in (UTC); empty: nobody did."),
        sa.Column("accepted_by", Shown(), comment="Who let it in."),
        sa.Column("accepted_why", Shown(), comment="Why."),
        sa.ForeignKeyConstraint(["source"], ["list_sources.sha256"], name=op.f("fk_list_entries_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_entries")),
        comment="Sites that courts or authorities recognised as infringing (measure 1.2(1)(b)), with provenance.",
    )
    op.create_index(op.f("ix_list_entries_layout_domain"), "list_entries", ["layout", "domain"])
