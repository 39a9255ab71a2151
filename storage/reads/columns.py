"""The columns of everything the log exports: names, kinds and meanings, for every format and for JSON Schema."""

from __future__ import annotations

from typing import Any, NamedTuple

from forbear.optout.model import Preference, Stage, Verdict


class Column(NamedTuple):
    """A column; ``kind`` is text, url, time, whole, reasons or the allowed words."""

    name: str
    kind: str | tuple[str, ...]
    about: str
    empty: bool = False


class Shape(NamedTuple):
    """The columns of an answer, in order; columns are only ever added, never renamed or reordered."""

    title: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Returns the names of the columns."""
        return tuple(column.name for column in self.columns)


_VERDICTS = tuple(map(str, Verdict))
_STAGES = tuple(map(str, Stage))

REASON = (
    Column("protocol", "text", "Which protocol the words are of: robots, tdmrep, …; unreachable: a failure."),
    Column("preference", tuple(map(str, Preference)), "What they want."),
    Column("quote", "text", "The site's own words, byte for byte; or the name of the failure."),
    Column("source", "url", "The URL that they come from."),
    Column("where", "text", "The line, header, element or metadata field there."),
    Column("measure", "text", "The paragraph of the Code of Practice's Copyright chapter that is served."),
)
"""The keys of a reason."""

LOG = Shape(
    "Decisions of the audit log",
    (
        Column("id", "text", "UUIDv7 of the decision; kept pages carry it in WARC and Parquet."),
        Column("at", "time", "When it was decided."),
        Column("crawl", "text", "UUIDv7 of the crawl."),
        Column("url", "url", "The URL as it was asked about."),
        Column("host", "text", "Host of the URL decided about (A-labels)."),
        Column("domain", "text", "Its registrable domain (Public Suffix List)."),
        Column("verdict", _VERDICTS, "What followed."),
        Column("reasons", "reasons", "Whose words decided; empty if nothing was reserved."),
        Column("stage", _STAGES, "request: before the page was asked for; page: before it was kept."),
        Column("status", "whole", "HTTP status of the page.", empty=True),
        Column("content_sha256", "text", "SHA-256 of the page, in hexadecimal.", empty=True),
        Column("bytes", "whole", "Bytes of the page.", empty=True),
        Column("engine", "text", "Version of Forbear that decided."),
        Column("policy", "text", "Digest of the policy that was in force."),
        Column("verdict_standard", _VERDICTS, "What profile standard makes of the same."),
        Column("verdict_strict", _VERDICTS, "What profile strict makes of the same."),
    ),
)

MEASURES = Shape(
    "Decisions by measure of the Code of Practice",
    (
        Column("measure", "text", "Paragraph of the Copyright chapter."),
        Column("protocol", "text", "The protocol whose words decided."),
        Column("verdict", _VERDICTS, "What followed."),
        Column("decisions", "whole", "How many decisions have such a reason."),
        Column("hosts", "whole", "About how many hosts."),
        Column("first_at", "time", "The first of them."),
        Column("last_at", "time", "The last of them."),
    ),
)

CHANGES = Shape(
    "What changed between two crawls",
    (
        Column("change", ("new", "withdrawn", "changed"), "What became of the words that excluded."),
        Column("host", "text", "The host that was decided about."),
        Column("domain", "text", "Its registrable domain."),
        Column("protocol", "text", "The protocol of the words."),
        Column("quote_then", "text", "The words that decided in the first crawl.", empty=True),
        Column("source_then", "url", "The URL that they came from.", empty=True),
        Column("quote_now", "text", "The words that decided in the second crawl.", empty=True),
        Column("source_now", "url", "The URL that they came from.", empty=True),
    ),
)

BEFORE_OPTOUT = Shape(
    "Pages kept before they were reserved",
    (
        Column("url", "url", "The page."),
        Column("host", "text", "Its host."),
        Column("domain", "text", "Its registrable domain."),
        Column("kept_at", "time", "When the copy was kept."),
        Column(
            "excluded_at", "time", "When it was last found to be reserved; of a removed copy, by which it had to leave."
        ),
        Column("decision", "text", "The decision that found so."),
        Column("reasons", "reasons", "Whose words reserve it."),
        Column("page", "text", "The decision that allowed the copy; its WARC record and its Parquet row carry it."),
        Column("crawl", "text", "The crawl that kept it."),
        Column("warc_file", "text", "Name of the WARC file that it was written to."),
        Column("warc_offset", "whole", "Where its response record begins there, in bytes; removed: where it began."),
        Column("warc_length", "whole", "Length of that record as compressed, in bytes."),
        Column(
            "removed_at", "time", "When it was put on record that it leaves the corpus; empty: it is there.", empty=True
        ),
    ),
)

UNREADABLE = Shape(
    "Sites whose robots.txt could not be read",
    (
        Column("host", "text", "The host that could not be decided about."),
        Column("domain", "text", "Its registrable domain."),
        Column("source", "url", "The robots.txt."),
        Column("failure", "text", "Why it could not be read: timeout, dns, 503, …"),
        Column("first_at", "time", "When that first deferred a decision."),
        Column("last_at", "time", "When it last did."),
        Column("decisions", "whole", "How many decisions it deferred."),
    ),
)

DISAGREEMENTS = Shape(
    "Decisions where protocols disagreed",
    (
        Column("decision", "text", "The decision, which excluded."),
        Column("at", "time", "When it was made."),
        Column("crawl", "text", "The crawl."),
        Column("url", "url", "The URL as it was asked about."),
        Column("host", "text", "Host of the URL decided about."),
        Column("domain", "text", "Its registrable domain."),
        Column("allowed_by", "text", "The protocol that allows the use."),
        Column("allowed_quote", "text", "Its words."),
        Column("allowed_source", "url", "The URL that they come from."),
        Column("allowed_where", "text", "Where in the source."),
        Column("reserved_by", "text", "The protocol that reserves it, and decided."),
        Column("reserved_quote", "text", "Its words."),
        Column("reserved_source", "url", "The URL that they come from."),
        Column("reserved_where", "text", "Where in the source."),
    ),
)

SHAPES = {
    "log": LOG,
    "measures": MEASURES,
    "changes": CHANGES,
    "before-optout": BEFORE_OPTOUT,
    "unreadable": UNREADABLE,
    "disagreements": DISAGREEMENTS,
}
"""Every answer, by its name on the command line."""

_KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "url": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "whole": {"type": "integer"},
}


def schema(name: str) -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of a line of an answer."""
    shape = SHAPES[name]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": shape.title,
        **_object(shape.columns),
    }


def _object(columns: tuple[Column, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {column.name: {**_type(column), "description": column.about} for column in columns},
        "required": [column.name for column in columns],
        "additionalProperties": False,
    }


def _type(column: Column) -> dict[str, Any]:
    if column.kind == "reasons":
        return {"type": "array", "items": _object(REASON)}
    if isinstance(column.kind, tuple):
        return {"enum": [*column.kind, *([None] if column.empty else [])]}
    kind = _KINDS[column.kind]
    return {**kind, "type": [kind["type"], "null"]} if column.empty else kind
