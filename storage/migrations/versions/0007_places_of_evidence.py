"""Content of captures may stand outside of the database, and its size is known wherever it is."""

from __future__ import annotations

import sqlalchemy as sa

from forbear.storage.migrations.columns import add_column

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COLUMNS = (
    (
        "packed",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        "Octets as stored, compressed; empty in rows before 0.2.",
    ),
    ("place", sa.Text(), "Folder or bucket that has the octets as a file, where content is empty."),
)


def upgrade() -> None:
    """Applies the change."""
    for name, kind, comment in _COLUMNS:
        add_column("bodies", sa.Column(name, kind, comment=comment))
