"""Named views of the log, for SQL users: their names and columns stay, even if the tables change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from forbear.storage.db import schema
from forbear.storage.db.errors import StorageError


class View(NamedTuple):
    """A view: what it holds, its query, and the meaning of each column, in order."""

    about: str
    query: str
    columns: dict[str, str]


_DECISION = {
    "decision": "The decision.",
    "at": "When it was made (UTC).",
    "crawl": "The crawl.",
    "url": "The URL as it was asked about.",
    "canonical": "The URL decided about.",
    "host": "Its host (A-labels).",
    "domain": "Its registrable domain.",
    "verdict": "allowed, excluded or deferred.",
    "stage": "request: before the page was asked for; page: before it was kept.",
}
_OF_DECISION = "d.id AS decision, d.at, d.crawl, d.url, d.canonical, d.host, d.domain, d.verdict, d.stage"
_WORDS = {
    "protocol": "The protocol of the words.",
    "quote": "The site's own words; or the name of a failure.",
    "source": "The URL that they come from.",
    "place": "Where in the source.",
}
_OF_WORDS = "w.protocol, w.quote, w.source, w.place"

VIEWS = {
    "log_decisions": View(
        "One row for each decision.",
        f"SELECT {_OF_DECISION}, d.status, d.content_sha256, d.bytes, d.engine, d.policy, d.profile, d.use, d.agent,"
        " d.verdict_standard, d.verdict_strict FROM decisions d",
        _DECISION
        | {
            "status": "HTTP status of the page; empty at stage request.",
            "content_sha256": "SHA-256 of the page, in hexadecimal.",
            "bytes": "Bytes of the page.",
            "engine": "Version of Forbear that decided.",
            "policy": "Digest of the policy in force.",
            "profile": "standard or strict.",
            "use": "The use that was asked for.",
            "agent": "The robots product token that was asked for.",
            "verdict_standard": "What profile standard makes of the same.",
            "verdict_strict": "What profile strict makes of the same.",
        },
    ),
    "log_reasons": View(
        "One row for each reason of a decision: whose words decided.",
        f"SELECT {_OF_DECISION}, {_OF_WORDS}, w.preference, w.measure"
        " FROM decisions d JOIN reasons w ON w.decision = d.id",
        _DECISION
        | _WORDS
        | {
            "preference": "allow, disallow or unknown.",
            "measure": "Paragraph of the Copyright chapter that is served.",
        },
    ),
    "log_statements": View(
        "One row for each statement that was read for a decision, whether it decided or not.",
        f"SELECT {_OF_DECISION}, {_OF_WORDS}, w.preference, w.force, w.note"
        " FROM decisions d JOIN statements w ON w.decision = d.id",
        _DECISION
        | _WORDS
        | {
            "preference": "allow, disallow or unknown.",
            "force": "standing, superseded, contradicted, malformed or flagged.",
            "note": "A remark of the engine.",
        },
    ),
    "log_gaps": View(
        "One row for each place that could not be read for a decision.",
        f"SELECT {_OF_DECISION}, {_OF_WORDS}, w.detail FROM decisions d JOIN gaps w ON w.decision = d.id",
        _DECISION | _WORDS | {"detail": "What happened, in one sentence."},
    ),
    "log_evidence": View(
        "One row for each capture that a decision rests on.",
        "SELECT w.decision, c.id AS capture, c.url, c.fetched_at, c.status, c.error, c.body_sha256, c.body_bytes"
        " FROM decision_captures w JOIN captures c ON c.id = w.capture",
        {
            "decision": "The decision.",
            "capture": "The capture.",
            "url": "The URL that was requested.",
            "fetched_at": "When the answer came (UTC).",
            "status": "HTTP status; empty if there was no answer.",
            "error": "Why there was none.",
            "body_sha256": "SHA-256 of the content received.",
            "body_bytes": "Its bytes.",
        },
    ),
    "log_pages": View(
        "One row for each page that was kept.",
        "SELECT p.decision, p.crawl, p.url, p.kept_at, p.warc_file, p.warc_offset, p.sha256, p.media_type, p.bytes"
        " FROM pages p",
        {
            "decision": "The decision that allowed it.",
            "crawl": "The crawl that kept it.",
            "url": "Canonical URL of the page.",
            "kept_at": "When it was written to the corpus (UTC).",
            "warc_file": "The WARC file that holds it.",
            "warc_offset": "Where its record begins there, in bytes.",
            "sha256": "SHA-256 of the page, in hexadecimal.",
            "media_type": "Its type.",
            "bytes": "Its bytes.",
        },
    ),
    "log_crawls": View(
        "One row for each crawl.",
        "SELECT c.id AS crawl, c.started_at, c.finished_at, c.state, c.engine, c.agent, c.user_agent, c.contact, c.use,"
        " c.profile, c.shadow, c.policy FROM crawls c",
        {
            "crawl": "The crawl.",
            "started_at": "When it began (UTC).",
            "finished_at": "When it ended (UTC).",
            "state": "running, stopped or finished.",
            "engine": "Version of Forbear.",
            "agent": "The robots product token.",
            "user_agent": "The whole User-Agent header.",
            "contact": "How to reach the operator, as sent.",
            "use": "What the copies are for.",
            "profile": "standard or strict.",
            "shadow": "Whether it was a rehearsal.",
            "policy": "Digest of the policy.",
        },
    ),
}
"""Every view, by name."""


TABLES = tuple(table for table in vars(schema).values() if isinstance(table, Table))
"""The tables of the log behind the views."""


_READERS = """
    SELECT DISTINCT grantee FROM information_schema.role_table_grants
    WHERE table_schema = 'public' AND table_name = 'decisions' AND privilege_type = 'SELECT'
    AND grantee <> grantor AND grantee <> 'PUBLIC'
"""


def create(connection: Connection) -> None:
    """Creates all views, replacing existing ones."""
    drop(connection)
    for name, view in VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {view.query}")
    if connection.dialect.name == "postgresql":  # roles that may read the log keep reading its views
        for role in connection.exec_driver_sql(_READERS).scalars().all():
            for name in VIEWS:
                connection.exec_driver_sql(f'GRANT SELECT ON {name} TO "{role}"')


def drop(connection: Connection) -> None:
    """Drops all views, so that the tables behind them can be changed."""
    for name in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


class QueryResult(NamedTuple):
    """The result of a query: column names, and the rows as they arrive."""

    columns: Sequence[str]
    rows: Iterator[Sequence[Any]]


def run_select(connection: Connection, query: str) -> QueryResult:
    """Runs one SELECT on a connection of ``database.reading_only``. Raises StorageError with a sentence."""
    query = query.strip().rstrip(";").rstrip()
    if connection.dialect.name == "postgresql":
        return _postgresql(connection, query)
    try:
        found = connection.exec_driver_sql(query)
    except DBAPIError as error:
        raise StorageError(f"The query failed: {_first_line(error.orig)}.") from error
    if not found.returns_rows:
        raise StorageError("Only SELECT statements are allowed.")
    return QueryResult(list(found.keys()), map(tuple, found))


def _postgresql(connection: Connection, query: str) -> QueryResult:
    """Streams by the extended protocol, which takes one statement only."""
    import psycopg  # noqa: PLC0415 not needed for SQLite

    assert connection.connection.driver_connection is not None
    cursor = connection.connection.driver_connection.cursor()
    rows = cursor.stream(query.encode())
    try:
        first = next(rows, None)
    except psycopg.Error as error:
        raise StorageError(f"The query failed: {_first_line(error)}.") from error
    if cursor.description is None:
        raise StorageError("Only SELECT statements are allowed.")
    return QueryResult([column.name for column in cursor.description], chain(() if first is None else (first,), rows))


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def datasette() -> dict[str, Any]:
    """Builds the metadata for Datasette (1.0): a description of every view, table and column."""
    tables: dict[str, Any] = {
        name: {"description": view.about, "columns": view.columns} for name, view in VIEWS.items()
    }
    for table in TABLES:
        tables[table.name] = {
            "description": table.comment,
            "columns": {column.name: column.comment for column in table.columns},
            "hidden": True,
        }
    return {
        "title": "Forbear: the audit log",
        "description": "What was decided about each URL, when, and in whose words: ask the views log_….",
        "databases": {"forbear": {"tables": tables}},
    }
