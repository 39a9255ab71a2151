"""Mails of a subscription say where it is ended."""

from __future__ import annotations

import sqlalchemy as sa

from forbear.storage.migrations.columns import add_column

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    comment = "Address that ends what it is part of (RFC 8058); emptied as the text is."
    add_column("mails", sa.Column("unsubscribe", sa.Text(), comment=comment))
