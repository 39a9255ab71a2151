"""An index for one of the questions of legal teams; the views are made after every migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    where = sa.text("verdict = 'excluded' AND kept_at IS NOT NULL")
    op.create_index("ix_urls_before_optout", "urls", ["host"], sqlite_where=where, postgresql_where=where)
