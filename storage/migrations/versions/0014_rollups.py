"""Totals by day, protocol, host and domain; what the log holds already is counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.hostnames import digest

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "daily_verdicts",
        sa.Column("day", sa.Text(), nullable=False, comment="Day of the decisions (UTC), as 2026-01-31."),
        sa.Column("crawl", sa.Text(), nullable=False, comment="The crawl that decided."),
        sa.Column("verdict", sa.Text(), nullable=False, comment="allowed, excluded or deferred."),
        sa.Column("stage", sa.Text(), nullable=False, comment="request or page."),
        sa.Column("decisions", _COUNT, nullable=False, comment="How many decisions."),
        sa.PrimaryKeyConstraint("day", "crawl", "verdict", "stage", name=op.f("pk_daily_verdicts")),
        comment="Sum over decisions: how many a day.",
    )
    op.create_table(
        "daily_reasons",
        sa.Column("day", sa.Text(), nullable=False, comment="Day of the decisions (UTC)."),
        sa.Column("crawl", sa.Text(), nullable=False, comment="The crawl that decided."),
        sa.Column("verdict", sa.Text(), nullable=False, comment="excluded or deferred."),
        sa.Column("protocol", sa.Text(), nullable=False, comment="The protocol of a reason."),
        sa.Column("measure", sa.Text(), nullable=False, comment="The paragraph that it serves."),
        sa.Column(
            "cause", sa.Text(), nullable=False, comment="Of what could not be reached, the failure; empty for all else."
        ),
        sa.Column("decisions", _COUNT, nullable=False, comment="How many decisions have such a reason."),
        sa.PrimaryKeyConstraint(
            "day", "crawl", "verdict", "protocol", "measure", "cause", name=op.f("pk_daily_reasons")
        ),
        comment="Sum over reasons: how many decisions a day had which.",
    )
    op.create_table(
        "protocol_hosts",
        sa.Column(
            "key", sa.LargeBinary(), nullable=False, comment="16-octet BLAKE2b digest of protocol, preference and host."
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_protocol_hosts")),
        comment="Which protocol speaks on which host, to count each host once.",
    )
    op.create_table(
        "adopted",
        sa.Column("protocol", sa.Text(), nullable=False, comment="The protocol."),
        sa.Column("preference", sa.Text(), nullable=False, comment="allow, disallow or unknown."),
        sa.Column("hosts", _COUNT, nullable=False, comment="On how many hosts it said so, ever."),
        sa.PrimaryKeyConstraint("protocol", "preference", name=op.f("pk_adopted")),
        comment="Sum over statements: how many hosts use a protocol.",
    )
    op.create_table(
        "domain_bytes",
        sa.Column("domain", sa.Text(), nullable=False, comment="Registrable domain."),
        sa.Column("pages", _COUNT, nullable=False, comment="How many copies were ever kept."),
        sa.Column("bytes", _COUNT, nullable=False, comment="Their octets."),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_domain_bytes")),
        comment="Sum over pages: how much was kept of each domain.",
    )
    op.create_index(op.f("ix_domain_bytes_bytes"), "domain_bytes", ["bytes"])
    count(op.get_bind())


def count(connection: sa.Connection) -> None:
    """Counts what the log holds already."""
    is_postgresql = connection.dialect.name == "postgresql"
    day = "to_char(d.at AT TIME ZONE 'UTC', 'YYYY-MM-DD')" if is_postgresql else "substr(d.at, 1, 10)"
    for statement in _COUNTED:
        op.execute(statement.replace("DAY", day))
    _count_hosts(connection)


_COUNTED = (
    """
    INSERT INTO daily_verdicts (day, crawl, verdict, stage, decisions)
    SELECT DAY, d.crawl, d.verdict, d.stage, count(*) FROM decisions d GROUP BY 1, 2, 3, 4
    """,
    """
    INSERT INTO daily_reasons (day, crawl, verdict, protocol, measure, cause, decisions)
    SELECT day, crawl, verdict, protocol, measure, cause, count(*) FROM (
        SELECT DISTINCT d.id, DAY AS day, d.crawl AS crawl, d.verdict AS verdict, r.protocol AS protocol,
            r.measure AS measure, CASE WHEN r.protocol = 'unreachable' THEN substr(r.quote, 1, 40) ELSE '' END AS cause
        FROM decisions d JOIN reasons r ON r.decision = d.id WHERE d.verdict <> 'allowed'
    ) AS said GROUP BY 1, 2, 3, 4, 5, 6
    """,
    """
    INSERT INTO domain_bytes (domain, pages, bytes)
    SELECT d.domain, count(*), sum(p.bytes) FROM pages p JOIN decisions d ON d.id = p.decision GROUP BY d.domain
    """,
)

_SPEAKING = "SELECT DISTINCT s.protocol, s.preference, d.host FROM statements s JOIN decisions d ON d.id = s.decision"


def _count_hosts(connection: sa.Connection) -> None:
    """Digests are made here, since neither database has BLAKE2b; a host whose name was erased counts no more."""
    hosts: dict[tuple[str, str], int] = {}
    keys = []
    for protocol, preference, host in connection.execute(sa.text(_SPEAKING)).all():
        if host:
            keys.append({"key": digest(protocol, preference, host)})
            hosts[protocol, preference] = hosts.get((protocol, preference), 0) + 1
    if keys:
        connection.execute(sa.text("INSERT INTO protocol_hosts (key) VALUES (:key)"), keys)
    for (protocol, preference), number in sorted(hosts.items()):
        row = {"protocol": protocol, "preference": preference, "hosts": number}
        inserted = "INSERT INTO adopted (protocol, preference, hosts) VALUES (:protocol, :preference, :hosts)"
        connection.execute(sa.text(inserted), row)
