"""All tables of the database, with comments for people who read them with any SQL client.

Relations in short: a crawl makes decisions; a decision rests on captures and carries reasons, statements and gaps; a
kept page points to the decision that allowed it. The chain has a hash of each of these rows, in the order they were
written, and checkpoints sign it. The frontier has what is still to do. ``urls``, ``host_outcomes`` and ``host_reasons``
add nothing new: they are sums over the decisions, kept in the same transaction, to answer a rightsholder at once.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable

from forbear.storage.db.types import Count, Instant, SafeText

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


@compiles(CreateColumn, "sqlite")
def _column_with_comment(element: CreateColumn, compiler: Any, **options: Any) -> str:
    """Puts comments into CREATE TABLE, whose text SQLite keeps: it has no COMMENT, but ``.schema`` shows them."""
    text: str = compiler.visit_create_column(element, **options)
    return f"{text} /* {element.element.comment} */" if element.element.comment else text


@compiles(CreateTable, "sqlite")
def _table_with_comment(element: CreateTable, compiler: Any, **options: Any) -> str:
    text: str = compiler.visit_create_table(element, **options)
    return text.replace("(", f"( /* {element.element.comment} */", 1) if element.element.comment else text


def _index(*columns: str, where: Any = None) -> Index:
    return Index(None, *columns, sqlite_where=where, postgresql_where=where)


crawls = Table(
    "crawls",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the crawl, given when it began."),
    Column("started_at", Instant, nullable=False, comment="When it began (UTC)."),
    Column("finished_at", Instant, comment="When it ended or was stopped (UTC); empty while it runs."),
    Column("state", Text, nullable=False, comment="running, stopped (goes on with the same command) or finished."),
    Column("engine", Text, nullable=False, comment="Version of Forbear; of the latest run, if the crawl was resumed."),
    Column("agent", Text, nullable=False, comment="Product token that robots.txt rules are matched with (RFC 9309)."),
    Column("user_agent", Text, nullable=False, comment="The whole User-Agent header that was sent."),
    Column("contact", Text, nullable=False, comment="URL or mail address of the operator, as sent to every site."),
    Column("use", Text, nullable=False, comment="What the copies are for, in AIPREF words: train-ai, search, ai-use."),
    Column("profile", Text, nullable=False, comment="How doubt was treated: standard or strict."),
    Column(
        "shadow",
        Boolean,
        nullable=False,
        comment="True: a rehearsal: forbear crawl kept nothing, the add-on enforced nothing.",
    ),
    Column("configuration", JSON, nullable=False, comment="All settings in force when it began."),
    Column("configuration_digest", Text, nullable=False, comment="SHA-256 of the settings; the same settings resume."),
    Column("policy", Text, nullable=False, comment="Digest of the policy (which protocol counts how) in force."),
    comment="One row for each crawl: who crawled, when, for what use, and with which settings.",
)
# Two processes that start the same crawl at once must find one crawl, not make two.
Index(
    "uq_crawls_unfinished",
    crawls.c.configuration_digest,
    unique=True,
    sqlite_where=crawls.c.state != "finished",
    postgresql_where=crawls.c.state != "finished",
)

policies = Table(
    "policies",
    metadata,
    Column("digest", Text, primary_key=True, comment="SHA-256 of the content, in hexadecimal; decisions carry it."),
    Column("first_at", Instant, nullable=False, comment="When a crawl first worked by it (UTC)."),
    Column(
        "overrides",
        JSON,
        nullable=False,
        comment="Overrides by the operator's file: what, whether looser, for what reason.",
    ),
    Column("content", Text, nullable=False, comment="The whole policy as JSON: protocols, profiles, lists of agents."),
    comment="Which protocol counts how: one row for each policy that decisions were made by.",
)

hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True, comment="Host name as requested (A-labels, lower case), or an IP address."),
    Column("unicode", SafeText, nullable=False, comment="The same name as people write it (U-labels)."),
    Column("domain", Text, nullable=False, index=True, comment="Registrable domain (Public Suffix List)."),
    Column("first_seen", Instant, nullable=False, comment="When a URL of this host was first found (UTC)."),
    Column("last_seen", Instant, nullable=False, comment="When this host was last served by a crawler (UTC)."),
    Column("next_at", Instant, comment="Earliest time of the next request, for all processes (UTC); empty: any time."),
    Column("lease_owner", Text, index=True, comment="The one process that may send requests to this host now."),
    Column("lease_until", Instant, comment="When that permission ends unless it is renewed (UTC)."),
    comment="One row for each known host name, and the pause between requests that all crawls share.",
)

bodies = Table(
    "bodies",
    metadata,
    Column("sha256", Text, primary_key=True, comment="SHA-256 of the content before compression, in hexadecimal."),
    Column("content", LargeBinary, nullable=False, comment="The bytes, compressed with zlib (RFC 1950)."),
    Column("size", Count, nullable=False, comment="Bytes before compression."),
    Column("packed", Count, nullable=False, comment="Bytes as stored, compressed."),
    Column("place", Text, comment="Folder or bucket that has the bytes as a file, where content is empty."),
    comment="What sites answered, byte for byte; the same content is stored once.",
)

captures = Table(
    "captures",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the capture."),
    Column("crawl", Text, ForeignKey("crawls.id"), nullable=False, index=True, comment="The crawl that asked."),
    Column("url", SafeText, nullable=False, comment="The URL that was requested."),
    Column("url_key", LargeBinary, nullable=False, comment="16-byte BLAKE2b digest of the URL, to find it by."),
    Column("fetched_at", Instant, nullable=False, comment="When the answer came (UTC)."),
    Column("expires_at", Instant, comment="Until when it is used without asking again (UTC); empty for pages."),
    Column("status", Integer, comment="HTTP status; empty if there was no answer."),
    Column("error", Text, comment="Why there was no answer: timeout, dns, refused, reset, tls, truncated, …"),
    Column("headers", JSON, nullable=False, comment="All header fields as received, in order: list of name and value."),
    Column("body_sha256", Text, nullable=False, comment="SHA-256 of the content received, in hexadecimal."),
    Column("body_bytes", Count, nullable=False, comment="Bytes of the content received, after decoding."),
    Column("body", Text, ForeignKey("bodies.sha256"), comment="The stored content; empty if only excerpts were kept."),
    Column("excerpts", JSON, comment="The quoted parts kept of content that is not stored, as a list."),
    comment="Evidence: one HTTP request and what came back, as the decisions saw it.",
)
# Only well-known files expire, so pages stay out of the index by which these are found again.
Index(
    "ix_captures_reusable",
    captures.c.url_key,
    captures.c.expires_at,
    sqlite_where=captures.c.expires_at.is_not(None),
    postgresql_where=captures.c.expires_at.is_not(None),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the decision; kept pages carry it in WARC and Parquet."),
    Column("at", Instant, nullable=False, comment="When it was decided (UTC)."),
    Column("crawl", Text, ForeignKey("crawls.id"), nullable=False, comment="The crawl that decided."),
    Column("url", SafeText, nullable=False, comment="The URL as it was asked about."),
    Column("canonical", SafeText, nullable=False, comment="The URL decided about: canonical, after redirects."),
    Column("host", Text, nullable=False, comment="Host of the canonical URL (A-labels)."),
    Column("domain", Text, nullable=False, comment="Registrable domain of that host."),
    Column("verdict", Text, nullable=False, comment="allowed, excluded, or deferred (not known now: nothing is kept)."),
    Column("stage", Text, nullable=False, comment="request: before the page was fetched; page: before it was kept."),
    Column("status", Integer, comment="HTTP status of the page; empty at stage request."),
    Column("content_sha256", Text, comment="SHA-256 of the page, in hexadecimal; empty at stage request."),
    Column("bytes", Count, comment="Bytes of the page; empty at stage request."),
    Column("engine", Text, nullable=False, comment="Version of Forbear that decided."),
    Column("policy", Text, nullable=False, comment="Digest of the policy that was in force."),
    Column("profile", Text, nullable=False, comment="standard or strict."),
    Column("use", Text, nullable=False, comment="The use that was asked for, such as train-ai."),
    Column("agent", Text, nullable=False, comment="The robots product token that was asked for."),
    Column("verdict_standard", Text, nullable=False, comment="What profile standard makes of the same."),
    Column("verdict_strict", Text, nullable=False, comment="What profile strict makes of the same."),
    CheckConstraint("verdict IN ('allowed', 'excluded', 'deferred')", name="verdict"),
    CheckConstraint("stage IN ('request', 'page')", name="stage"),
    _index("domain", "at"),
    _index("crawl", "at"),
    _index("at"),
    _index("verdict", "at", where=text("verdict <> 'allowed'")),
    comment="The audit log: one row for each decision, written before a page is requested, kept or refused.",
    postgresql_partition_by="RANGE (id)",  # forbear.storage.db.partitions
)

decision_captures = Table(
    "decision_captures",
    metadata,
    Column("decision", Text, ForeignKey("decisions.id"), primary_key=True, comment="The decision."),
    Column("position", Integer, primary_key=True, comment="Order, from 0."),
    Column("capture", Text, ForeignKey("captures.id"), nullable=False, index=True, comment="A capture it rests on."),
    comment="Which evidence a decision rests on.",
)


def _quoted_columns() -> tuple[Column[Any], ...]:
    return (
        Column("decision", Text, ForeignKey("decisions.id"), primary_key=True, comment="The decision."),
        Column("position", Integer, primary_key=True, comment="Order within the decision, from 0."),
        Column("protocol", Text, nullable=False, comment="robots, tdmrep, robots-meta, access, unreachable, …"),
        Column("quote", SafeText, nullable=False, comment="The site's words, byte for byte; or the failure's name."),
        Column("source", SafeText, nullable=False, comment="URL that the words come from."),
        Column("place", SafeText, nullable=False, comment="Where in the source: line 12, header tdm-reservation, …"),
    )


reasons = Table(
    "reasons",
    metadata,
    *_quoted_columns(),
    Column("preference", Text, nullable=False, comment="allow, disallow or unknown."),
    Column("measure", Text, nullable=False, comment="Paragraph of the Code of Practice's Copyright chapter it serves."),
    _index("protocol", "decision"),
    _index("measure", "decision"),
    comment="Why a decision came out as it did: whose words, from where.",
)

statements = Table(
    "statements",
    metadata,
    *_quoted_columns(),
    Column("preference", Text, nullable=False, comment="allow, disallow or unknown."),
    Column("uses", JSON, nullable=False, comment="The uses that the words speak about, as a list."),
    Column("force", Text, nullable=False, comment="standing, superseded, contradicted or malformed."),
    Column("note", SafeText, nullable=False, comment="A remark of the engine; may be empty."),
    comment="Everything that was read for a decision, whether it decided or not.",
)

gaps = Table(
    "gaps",
    metadata,
    *_quoted_columns(),
    Column("detail", SafeText, nullable=False, comment="What happened, in one sentence."),
    Column("defers", JSON, nullable=False, comment="The profiles in which this defers the decision, as a list."),
    comment="What could not be read for a decision, and why.",
)

pages = Table(
    "pages",
    metadata,
    Column("decision", Text, ForeignKey("decisions.id"), primary_key=True, comment="The decision that allowed it."),
    Column("crawl", Text, ForeignKey("crawls.id"), nullable=False, comment="The crawl that kept it."),
    Column("url", SafeText, nullable=False, comment="Canonical URL of the page."),
    Column("kept_at", Instant, nullable=False, comment="When it was written to the corpus (UTC)."),
    Column("warc_file", SafeText, nullable=False, comment="Name of the WARC file that holds it."),
    Column("warc_offset", Count, nullable=False, comment="Where its response record begins in that file, in bytes."),
    Column("warc_length", Count, nullable=False, comment="Length of the compressed record, in bytes."),
    Column("sha256", Text, nullable=False, comment="SHA-256 of the page, in hexadecimal."),
    Column("media_type", SafeText, nullable=False, comment="Its type, such as text/html."),
    Column("bytes", Count, nullable=False, comment="Bytes of the page."),
    _index("crawl"),
    _index("warc_file"),
    _index("sha256"),
    Index(None, "url", postgresql_using="hash"),  # a URL may be longer than what PostgreSQL's other indexes take
    comment="The corpus: one row for each page that was kept, and the decision that allowed it.",
)

removals = Table(
    "removals",
    metadata,
    Column("page", Text, ForeignKey("pages.decision"), primary_key=True, comment="The page, by its decision."),
    Column(
        "decision",
        Text,
        ForeignKey("decisions.id"),
        nullable=False,
        comment="The later decision by which it had to leave, with its reasons and their quotations.",
    ),
    Column("crawl", Text, ForeignKey("crawls.id"), nullable=False, comment="The recheck that asked again."),
    Column("at", Instant, nullable=False, comment="When that was put on record, before the page was touched (UTC)."),
    Column("erased_at", Instant, index=True, comment="When its bytes had left all files (UTC); empty: not yet."),
    comment="Tombstones: pages that were kept once and taken out of the corpus since.",
)

chain = Table(
    "chain",
    metadata,
    Column("position", Count, primary_key=True, autoincrement=False, comment="Leaf of the Merkle tree: 0, 1, 2, …"),
    Column("kind", Text, nullable=False, comment="crawl, capture, decision, page, removal, event, …"),
    Column("ref", Text, nullable=False, comment="The id of that row; of a page, its decision."),
    Column("at", Instant, nullable=False, comment="When it was written (UTC); never earlier than the row before."),
    Column("leaf", LargeBinary, nullable=False, comment="RFC 9162 leaf hash: SHA-256 of 0x00 and the row's record."),
    Column("salt", LargeBinary, comment="16 random bytes; empty once the payload is erased."),
    Column("payload", Text, comment="SHA-256 of salt and the row's payload (URLs, quotations), in hexadecimal."),
    UniqueConstraint("ref", "kind"),
    comment="The log's rows as leaves of a Merkle tree (RFC 9162), in the order in which they were written.",
)

subtrees = Table(
    "subtrees",
    metadata,
    Column(
        "level", Integer, primary_key=True, autoincrement=False, comment="1: over 256 leaves; 2: over 256 of these…"
    ),
    Column("number", Count, primary_key=True, autoincrement=False, comment="Which of that level, from 0."),
    Column("hash", LargeBinary, nullable=False, comment="Root hash of these leaves (RFC 9162 2.1)."),
    comment="Inner nodes of the Merkle tree, so that a proof reads hundreds of hashes, not millions.",
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the checkpoint."),
    Column("at", Instant, nullable=False, comment="When it was signed (UTC)."),
    Column("size", Count, nullable=False, index=True, comment="How many leaves of the chain it covers."),
    Column("root", Text, nullable=False, comment="Root hash over them (RFC 9162 2.1), in hexadecimal."),
    Column("note", Text, nullable=False, comment="The signed note (C2SP tlog-checkpoint), as sent to witnesses."),
    Column(
        "timestamp", Text, comment="An authority's RFC 3161 response for the note, DER in base64; empty: not asked."
    ),
    comment="The chain's state, signed with the operator's key, so that nothing before it can be changed unseen.",
)

events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the event."),
    Column("at", Instant, nullable=False, comment="When it happened (UTC)."),
    Column("event", Text, nullable=False, comment="erasure, document, corpus version, listing ended, listing let in."),
    Column("content", JSON, nullable=False, comment="What exactly: reason, condition, positions in the chain."),
    comment="What was done to the log itself.",
)

list_sources = Table(
    "list_sources",
    metadata,
    Column("sha256", Text, primary_key=True, comment="SHA-256 of the publication as it was imported, in hexadecimal."),
    Column("layout", Text, nullable=False, comment="Which publication it is an issue of: denmark, austria, …"),
    Column("name", SafeText, nullable=False, comment="Name of the file that was imported."),
    Column("published", Date, nullable=False, comment="Its date, as given by the person who imported it."),
    Column("at", Instant, nullable=False, comment="When it was imported (UTC)."),
    Column("whole", Boolean, nullable=False, comment="True: what it does not name is out; false: it adds."),
    Column("named", Count, nullable=False, comment="How many sites it names."),
    Column("unread", JSON, nullable=False, comment="Rows in which no site was found, as published."),
    Column("content", LargeBinary, nullable=False, comment="The file, compressed with zlib (RFC 1950)."),
    comment="Lists of infringing sites as authorities published them: one row for each file imported.",
)

list_entries = Table(
    "list_entries",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the entry."),
    Column("layout", Text, nullable=False, comment="Which publication names it."),
    Column("domain", Text, nullable=False, comment="The domain, in A-labels; its subdomains are meant too."),
    Column("country", Text, nullable=False, comment="Country of the authority (ISO 3166), or EU."),
    Column("authority", SafeText, nullable=False, comment="Who recognised the site as infringing."),
    Column("basis", SafeText, nullable=False, comment="Legal basis, and the case if published."),
    Column("decided", Date, comment="When it was decided; empty where the publication does not say."),
    Column("since", Date, nullable=False, comment="The day of the first publication that names it."),
    Column("until", Date, comment="The day of the first publication without it; empty while it is listed."),
    Column("source", Text, ForeignKey("list_sources.sha256"), nullable=False, comment="That first publication."),
    Column("held", SafeText, nullable=False, comment="Why it waits for a person; empty: nothing spoke against it."),
    Column("accepted_at", Instant, comment="When a person accepted it (UTC); empty: nobody did."),
    Column("accepted_by", SafeText, comment="Who accepted it."),
    Column("accepted_why", SafeText, comment="Why."),
    _index("layout", "domain"),
    comment="Sites that courts or authorities recognised as infringing (measure 1.2(1)(b)), with provenance.",
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True, comment="UUIDv7 of the run."),
    Column("step", Text, nullable=False, comment="Name of the step in the timetable of forbear run."),
    Column("words", JSON, nullable=False, comment="The command with its words, as a list."),
    Column("started_at", Instant, nullable=False, comment="When it began (UTC)."),
    Column("finished_at", Instant, comment="When it ended (UTC); empty if it was cut short, or runs still."),
    Column("code", Integer, comment="Its exit code; empty as finished_at is."),
    _index("step", "started_at"),
    comment="What ran on the timetable, and how it ended.",
)

queues = Table(
    "queues",
    metadata,
    Column("id", Count, primary_key=True, comment="Number of the queue."),
    Column("crawl", Text, ForeignKey("crawls.id"), nullable=False, comment="The crawl."),
    Column("host", Text, ForeignKey("hosts.host"), nullable=False, index=True, comment="The host."),
    Column("ready_at", Instant, comment="When this host is next looked at (UTC); empty: nothing is left to do."),
    UniqueConstraint("crawl", "host"),
    comment="One row for each host of a crawl: hosts take turns, the one ready longest is next.",
)
# Choosing the next hosts reads only as many rows of this index as hosts are asked for.
Index(
    "ix_queues_ready",
    queues.c.crawl,
    queues.c.ready_at,
    sqlite_where=queues.c.ready_at.is_not(None),
    postgresql_where=queues.c.ready_at.is_not(None),
)

frontier = Table(
    "frontier",
    metadata,
    Column("id", Count, primary_key=True, comment="Number of the entry; lower is older."),
    Column("queue", Count, ForeignKey("queues.id"), nullable=False, comment="Which crawl and host it belongs to."),
    Column("key", LargeBinary, nullable=False, unique=True, comment="16-byte BLAKE2b digest of crawl and URL."),
    Column("url", SafeText, nullable=False, comment="Canonical URL."),
    Column("depth", Integer, nullable=False, comment="Number of links between a seed and this URL."),
    Column("found_on", Count, comment="Number of the entry whose page has the link; empty for seeds."),
    Column("redirects", Integer, nullable=False, comment="How many redirects in a row led here."),
    Column("state", Text, nullable=False, comment="waiting, deferred, allowed (being fetched), or how it ended."),
    Column("due_at", Instant, comment="When a deferred URL is asked about again (UTC)."),
    Column("attempts", Integer, nullable=False, comment="How often it was deferred."),
    Column("decision", Text, ForeignKey("decisions.id"), comment="The latest decision about it."),
    Column(
        "deaths", Integer, nullable=False, comment="Processes that died with it: 1 for each, 10 for one reading it."
    ),
    comment="What each crawl found and has still to do: one row for each URL of a crawl.",
)
for _name, _state, _columns in (
    ("waiting", "waiting", (frontier.c.queue, frontier.c.depth, frontier.c.id)),
    ("deferred", "deferred", (frontier.c.queue, frontier.c.due_at)),
    ("in_flight", "allowed", (frontier.c.queue,)),
):
    _where = frontier.c.state == _state
    Index(f"ix_frontier_{_name}", *_columns, sqlite_where=_where, postgresql_where=_where)

urls = Table(
    "urls",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="16-byte BLAKE2b digest of the canonical URL."),
    Column("url", SafeText, nullable=False, comment="Canonical URL."),
    Column("host", Text, nullable=False, comment="Its host."),
    Column("verdict", Text, nullable=False, comment="The latest verdict: allowed, excluded or deferred."),
    Column("at", Instant, nullable=False, comment="When that was decided (UTC)."),
    Column("decision", Text, ForeignKey("decisions.id"), nullable=False, comment="The latest decision."),
    Column("first_at", Instant, nullable=False, comment="When a decision was first made about it (UTC)."),
    Column("kept_at", Instant, comment="When a copy was last kept (UTC); empty if none ever was."),
    _index("host", "verdict", "at"),
    comment="Sum over decisions and pages: the current state of every URL.",
)
Index(
    "ix_urls_kept",
    urls.c.host,
    urls.c.kept_at,
    sqlite_where=urls.c.kept_at.is_not(None),
    postgresql_where=urls.c.kept_at.is_not(None),
)

_reserved_since = (urls.c.verdict == "excluded") & urls.c.kept_at.is_not(None)
Index(
    "ix_urls_before_optout",
    urls.c.host,
    sqlite_where=_reserved_since,
    postgresql_where=_reserved_since,
)

host_outcomes = Table(
    "host_outcomes",
    metadata,
    Column("host", Text, primary_key=True, comment="The host."),
    Column(
        "outcome",
        Text,
        primary_key=True,
        comment="kept (a copy exists), removed (one did), or the latest verdict on a URL.",
    ),
    Column("urls", Count, nullable=False, comment="How many of its URLs have this outcome now; removed: ever had it."),
    Column(
        "first_at", Instant, nullable=False, comment="When a URL first had this outcome; removed: was first kept (UTC)."
    ),
    Column("last_at", Instant, nullable=False, comment="When one last did (UTC)."),
    comment="Sum over urls: how many URLs of a host were kept, allowed, excluded, deferred.",
)

host_reasons = Table(
    "host_reasons",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="16-byte BLAKE2b digest of host, verdict and words."),
    Column("host", Text, nullable=False, comment="The host that was decided about."),
    Column("verdict", Text, nullable=False, comment="excluded or deferred."),
    Column("protocol", Text, nullable=False, comment="The protocol of the words."),
    Column("quote", SafeText, nullable=False, comment="The words of the site; or the failure's name."),
    Column("source", SafeText, nullable=False, comment="URL that the words come from."),
    Column("place", SafeText, nullable=False, comment="Where in the source."),
    Column("measure", Text, nullable=False, comment="Paragraph of the Copyright chapter that is served."),
    Column("first_at", Instant, nullable=False, comment="When these words first decided (UTC)."),
    Column("last_at", Instant, nullable=False, comment="When they last decided (UTC)."),
    Column("decisions", Count, nullable=False, comment="How many decisions rest on them."),
    _index("host", "verdict", "last_at"),
    comment="Sum over reasons: whose words excluded or deferred which host, since when, how often.",
)
