"""Sums of each crawl by measure and by words, and of pages that left the corpus; what the log holds is counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from forbear.storage.db.hostnames import digest
from forbear.storage.db.types import Instant

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BATCH = 10_000
_COMMENTS = {
    "outcome": "kept (a copy exists), removed (one did), or the latest verdict on a URL.",
    "urls": "How many of its URLs stand so now; removed: ever did.",
    "first_at": "When a URL first came to stand so; removed: was first kept (UTC).",
}


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "crawl_measures",
        sa.Column("crawl", sa.Text(), nullable=False, comment="The crawl; empty for the whole log."),
        sa.Column("measure", sa.Text(), nullable=False, comment="Paragraph of the Copyright chapter."),
        sa.Column("protocol", sa.Text(), nullable=False, comment="The protocol of a reason."),
        sa.Column("verdict", sa.Text(), nullable=False, comment="What followed."),
        sa.Column("decisions", _COUNT, nullable=False, comment="How many decisions have such a reason."),
        sa.Column("hosts", _COUNT, nullable=False, comment="About how many hosts."),
        sa.Column("first_at", Instant(), nullable=False, comment="The first of them (UTC)."),
        sa.Column("last_at", Instant(), nullable=False, comment="The last of them (UTC)."),
        sa.PrimaryKeyConstraint("crawl", "measure", "protocol", "verdict", name=op.f("pk_crawl_measures")),
        comment="Sum over reasons: how many decisions each measure was served by.",
    )
    op.create_table(
        "measure_hosts",
        sa.Column(
            "key", sa.LargeBinary(), nullable=False, comment="16-octet BLAKE2b digest of a row's key there and a host."
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_measure_hosts")),
        comment="Which hosts are in crawl_measures, to count each once.",
    )
    op.create_table(
        "crawl_words",
        sa.Column(
            "key",
            sa.LargeBinary(),
            nullable=False,
            comment="16-octet BLAKE2b digest of crawl, host, verdict and words.",
        ),
        sa.Column("crawl", sa.Text(), nullable=False, comment="The crawl."),
        sa.Column("host", sa.Text(), nullable=False, comment="The host that was decided about."),
        sa.Column("verdict", sa.Text(), nullable=False, comment="excluded or deferred."),
        sa.Column("protocol", sa.Text(), nullable=False, comment="The protocol of the words."),
        sa.Column("quote", sa.Text(), nullable=False, comment="The words of the site; or the failure's name."),
        sa.Column("source", sa.Text(), nullable=False, comment="A URL that they come from."),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_crawl_words")),
        comment="Sum over reasons: whose words decided about which host in which crawl.",
    )
    _describe()
    count(op.get_bind())
    op.create_index(op.f("ix_crawl_words_crawl_verdict_host"), "crawl_words", ["crawl", "verdict", "host"])


def _describe() -> None:
    """Columns have a wider meaning, which SQLite keeps in the text that made the table."""
    if op.get_context().dialect.name == "postgresql":
        for column, comment in _COMMENTS.items():
            op.alter_column("host_outcomes", column, comment=comment)
        return
    op.rename_table("host_outcomes", "host_outcomes_before")
    op.create_table(
        "host_outcomes",
        sa.Column("host", sa.Text(), nullable=False, comment="The host."),
        sa.Column("outcome", sa.Text(), nullable=False, comment=_COMMENTS["outcome"]),
        sa.Column("urls", _COUNT, nullable=False, comment=_COMMENTS["urls"]),
        sa.Column("first_at", Instant(), nullable=False, comment=_COMMENTS["first_at"]),
        sa.Column("last_at", Instant(), nullable=False, comment="When one last did (UTC)."),
        sa.PrimaryKeyConstraint("host", "outcome", name=op.f("pk_host_outcomes")),
        comment="Sum over urls: how many URLs of a host were kept, allowed, excluded, deferred.",
    )
    op.execute("INSERT INTO host_outcomes SELECT host, outcome, urls, first_at, last_at FROM host_outcomes_before")
    op.drop_table("host_outcomes_before")


def count(connection: sa.Connection) -> None:
    """Counts what the log holds already; a host or words that were erased count no more."""
    for statement in _COUNTED:
        connection.execute(sa.text(statement))
    _count_hosts(connection)
    _count_words(connection)


_SAID = "FROM decisions d JOIN reasons r ON r.decision = d.id"

_COUNTED = (
    """
    INSERT INTO crawl_measures (crawl, measure, protocol, verdict, decisions, hosts, first_at, last_at)
    SELECT crawl, measure, protocol, verdict, count(*), 0, min(at), max(at) FROM (
        SELECT DISTINCT d.id, d.crawl, r.measure, r.protocol, d.verdict, d.at
        FROM decisions d JOIN reasons r ON r.decision = d.id
    ) AS said GROUP BY 1, 2, 3, 4
    """,
    """
    INSERT INTO crawl_measures (crawl, measure, protocol, verdict, decisions, hosts, first_at, last_at)
    SELECT '', measure, protocol, verdict, sum(decisions), 0, min(first_at), max(last_at) FROM crawl_measures
    GROUP BY 2, 3, 4
    """,
    """
    INSERT INTO host_outcomes (host, outcome, urls, first_at, last_at)
    SELECT d.host, 'removed', count(DISTINCT p.url), min(p.kept_at), max(r.at)
    FROM removals r JOIN pages p ON p.decision = r.page JOIN decisions d ON d.id = r.page
    WHERE d.host <> '' GROUP BY d.host
    """,
)


def _count_hosts(connection: sa.Connection) -> None:
    """Digests are made here, since neither database has BLAKE2b."""
    hosts: dict[tuple[str, ...], set[bytes]] = {}
    asked = f"SELECT DISTINCT d.crawl, r.measure, r.protocol, d.verdict, d.host {_SAID} WHERE d.host <> ''"
    for crawl, *rest, host in connection.execute(sa.text(asked)):
        for key in ((crawl, *rest), ("", *rest)):
            hosts.setdefault(key, set()).add(digest(*key, host))
    for key, digests in sorted(hosts.items()):
        connection.execute(
            sa.text("INSERT INTO measure_hosts (key) VALUES (:key)"), [{"key": one} for one in sorted(digests)]
        )
        row = dict(zip(("crawl", "measure", "protocol", "verdict"), key, strict=True)) | {"hosts": len(digests)}
        same = "crawl = :crawl AND measure = :measure AND protocol = :protocol AND verdict = :verdict"
        connection.execute(sa.text(f"UPDATE crawl_measures SET hosts = :hosts WHERE {same}"), row)  # noqa: S608


def _count_words(connection: sa.Connection) -> None:
    names = ("key", "crawl", "host", "verdict", "protocol", "quote", "source")
    inserted = sa.text(f"INSERT INTO crawl_words VALUES ({', '.join(f':{name}' for name in names)})")  # noqa: S608
    asked = f"SELECT d.crawl, d.host, d.verdict, r.protocol, r.quote, min(r.source) {_SAID} WHERE d.host <> ''"
    found = connection.execute(sa.text(f"{asked} GROUP BY 1, 2, 3, 4, 5")).all()
    for rows in (found[start : start + _BATCH] for start in range(0, len(found), _BATCH)):
        connection.execute(inserted, [dict(zip(names, (digest(*row[:5]), *row), strict=True)) for row in rows])
