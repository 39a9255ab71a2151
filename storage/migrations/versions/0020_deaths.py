"""The frontier knows what processes died of, so that they do not die of it for ever."""

from __future__ import annotations

import sqlalchemy as sa

from forbear.storage.migrations.columns import add_column

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    comment = "How many processes died that had it: 1 for each, 10 for one that was reading it."
    add_column("frontier", sa.Column("deaths", sa.Integer(), comment=comment))
