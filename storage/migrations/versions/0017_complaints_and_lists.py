"""Complaints and lists are rows of the chain: steps say what they block, events when entries of lists ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.records import new_id, now
from forbear.storage.db.types import Instant, Shown
from forbear.storage.migrations.columns import add_column

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_steps = sa.table(
    "complaint_steps",
    sa.column("complaint", sa.Text()),
    sa.column("position", sa.Integer()),
    sa.column("blocks", sa.JSON()),
    sa.column("duplicate_of", sa.Text()),
)
_complaints = sa.table("complaints", sa.column("id", sa.Text()), sa.column("duplicate_of", sa.Text()))
_blocks = sa.table("complaint_blocks", sa.column("complaint", sa.Text()), sa.column("match", sa.Text()))
_entries = sa.table(
    "list_entries",
    sa.column("id", sa.Text()),
    sa.column("until", sa.Date()),
    sa.column("accepted_at", Instant()),
    sa.column("accepted_by", Shown()),
    sa.column("accepted_why", Shown()),
)
_events = sa.table(
    "events",
    sa.column("id", sa.Text()),
    sa.column("at", Instant()),
    sa.column("event", sa.Text()),
    sa.column("content", sa.JSON()),
)


def upgrade() -> None:
    """Applies the change."""
    add_column(
        "complaint_steps",
        sa.Column("blocks", sa.JSON(), comment="What it blocks from then on, as a list; empty: nothing."),
    )
    add_column(
        "complaint_steps",
        sa.Column("duplicate_of", sa.Text(), comment="The earlier complaint, of a step that closes it as a duplicate."),
    )
    connection = op.get_bind()
    _tell_steps(connection)
    _tell_entries(connection)


def _tell_steps(connection: sa.Connection) -> None:
    """The last step of each complaint says what stands now."""
    blocks: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(_blocks).order_by(_blocks.c.complaint, _blocks.c.match)):
        blocks.setdefault(row.complaint, []).append(row.match)
    steps = _steps.c
    for row in connection.execute(sa.select(_complaints)).all():
        last = sa.select(sa.func.max(steps.position)).where(steps.complaint == row.id).scalar_subquery()
        step = _steps.update().where(steps.complaint == row.id, steps.position == last)
        connection.execute(step.values(blocks=blocks.get(row.id), duplicate_of=row.duplicate_of))


def _tell_entries(connection: sa.Connection) -> None:
    """Events, as they would have been put on record."""
    for row in connection.execute(sa.select(_entries)).all():
        if row.until is not None:
            said = {"entries": [row.id], "until": row.until.isoformat()}
            _tell(connection, "listing ended", said, now())
        if row.accepted_at is not None:
            said = {"entries": [row.id], "by": row.accepted_by, "why": row.accepted_why}
            _tell(connection, "listing let in", said, row.accepted_at)


def _tell(connection: sa.Connection, event: str, content: dict[str, object], at: object) -> None:
    connection.execute(_events.insert(), {"id": new_id(), "at": at, "event": event, "content": content})
