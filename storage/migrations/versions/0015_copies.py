"""The pages of a file, the copies of a URL and those of a content are found by indexes: a recheck looks for them."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.drop_index(op.f("ix_pages_crawl_warc_file_warc_offset"), "pages")
    op.create_index(op.f("ix_pages_crawl"), "pages", ["crawl"])
    op.create_index(op.f("ix_pages_warc_file"), "pages", ["warc_file"])
    op.create_index(op.f("ix_pages_sha256"), "pages", ["sha256"])
    op.create_index(op.f("ix_pages_url"), "pages", ["url"], postgresql_using="hash")
