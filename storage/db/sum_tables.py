"""Tables of sums over the log, so that look-ups and plots need not count decisions."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table, Text

from forbear.storage.db.schema import metadata
from forbear.storage.db.types import Count, Instant, SafeText

daily_verdicts = Table(
    "daily_verdicts",
    metadata,
    Column("day", Text, primary_key=True, comment="Day of the decisions (UTC), as 2026-01-31."),
    Column("crawl", Text, primary_key=True, comment="The crawl that decided."),
    Column("verdict", Text, primary_key=True, comment="allowed, excluded or deferred."),
    Column("stage", Text, primary_key=True, comment="request or page."),
    Column("decisions", Count, nullable=False, comment="How many decisions."),
    Index(None, "crawl"),
    comment="Sum over decisions: how many a day.",
)

daily_reasons = Table(
    "daily_reasons",
    metadata,
    Column("day", Text, primary_key=True, comment="Day of the decisions (UTC)."),
    Column("crawl", Text, primary_key=True, comment="The crawl that decided."),
    Column("verdict", Text, primary_key=True, comment="excluded or deferred."),
    Column("protocol", Text, primary_key=True, comment="The protocol of a reason."),
    Column("measure", Text, primary_key=True, comment="The paragraph that it serves."),
    Column("cause", Text, primary_key=True, comment="Of what could not be reached, the failure; empty for all else."),
    Column("decisions", Count, nullable=False, comment="How many decisions have such a reason."),
    Index(None, "crawl"),
    comment="Sum over reasons: how many decisions a day had which.",
)

protocol_hosts = Table(
    "protocol_hosts",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="16-byte BLAKE2b digest of protocol, preference and host."),
    comment="Which protocol speaks on which host, to count each host once.",
)

adopted = Table(
    "adopted",
    metadata,
    Column("protocol", Text, primary_key=True, comment="The protocol."),
    Column("preference", Text, primary_key=True, comment="allow, disallow or unknown."),
    Column("hosts", Count, nullable=False, comment="How many hosts ever stated it."),
    comment="Sum over statements: how many hosts use a protocol.",
)

domain_bytes = Table(
    "domain_bytes",
    metadata,
    Column("domain", Text, primary_key=True, comment="Registrable domain."),
    Column("pages", Count, nullable=False, comment="How many copies were ever kept."),
    Column("bytes", Count, nullable=False, comment="Their bytes."),
    Index(None, "bytes"),
    comment="Sum over pages: how much was kept of each domain.",
)

crawl_measures = Table(
    "crawl_measures",
    metadata,
    Column("crawl", Text, primary_key=True, comment="The crawl; empty for the whole log."),
    Column("measure", Text, primary_key=True, comment="Paragraph of the Copyright chapter."),
    Column("protocol", Text, primary_key=True, comment="The protocol of a reason."),
    Column("verdict", Text, primary_key=True, comment="What followed."),
    Column("decisions", Count, nullable=False, comment="How many decisions have such a reason."),
    Column("hosts", Count, nullable=False, comment="About how many hosts."),
    Column("first_at", Instant, nullable=False, comment="The first of them (UTC)."),
    Column("last_at", Instant, nullable=False, comment="The last of them (UTC)."),
    comment="Sum over reasons: how many decisions each measure was served by.",
)

measure_hosts = Table(
    "measure_hosts",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="16-byte BLAKE2b digest of a row's key there and a host."),
    comment="Which hosts are in crawl_measures, to count each once.",
)

crawl_words = Table(
    "crawl_words",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="16-byte BLAKE2b digest of crawl, host, verdict and words."),
    Column("crawl", Text, nullable=False, comment="The crawl."),
    Column("host", Text, nullable=False, comment="The host that was decided about."),
    Column("verdict", Text, nullable=False, comment="excluded or deferred."),
    Column("protocol", Text, nullable=False, comment="The protocol of the words."),
    Column("quote", SafeText, nullable=False, comment="The words of the site; or the failure's name."),
    Column("source", SafeText, nullable=False, comment="A URL that they come from."),
    Index(None, "crawl", "verdict", "host"),
    comment="Sum over reasons: whose words decided about which host in which crawl.",
)
