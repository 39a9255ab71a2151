"""The two laws over whatever a crawl has left: no reason without a quotation, no page without a row."""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import Connection, create_engine, text
from warcio.archiveiterator import ArchiveIterator

from forbear.optout.captures import redirect
from forbear.optout.model import Capture
from forbear.optout.readers import representation
from forbear.optout.readers.text import quoted, readable, to_utf8
from forbear.storage.log import evidence

FAILURES = ("too many redirects", "too-large", "html", "text/html", "malformed", "unreadable")
"""What ``unreachable`` quotes where nothing can be quoted, beside error names and statuses (decide.md)."""

NONE = {
    "a kept page without the row that allowed it": """
        SELECT pages.url FROM pages LEFT JOIN decisions ON decisions.id = pages.decision
        WHERE decisions.id IS NULL OR decisions.verdict <> 'allowed' OR decisions.stage <> 'page'""",
    "a page that is kept twice": "SELECT url FROM pages GROUP BY crawl, url HAVING count(*) > 1",
    "a decision without its evidence": """
        SELECT decisions.url FROM decisions WHERE id NOT IN (SELECT decision FROM decision_captures)""",
    "evidence without its body": """
        SELECT url FROM captures WHERE body IS NOT NULL AND body NOT IN (SELECT sha256 FROM bodies)""",
    "a well-known file that is not stored whole": """
        SELECT url FROM captures WHERE expires_at IS NOT NULL AND body IS NULL""",
    "a refusal without a reason": """
        SELECT url FROM decisions WHERE verdict <> 'allowed' AND id NOT IN (SELECT decision FROM reasons)""",
    "a permission with a reason against it": """
        SELECT url FROM decisions WHERE verdict = 'allowed' AND id IN (SELECT decision FROM reasons)""",
    "a page that left without words against it": """
        SELECT page FROM removals JOIN decisions ON decisions.id = removals.decision WHERE verdict = 'allowed'
        OR (SELECT position FROM chain WHERE ref = decisions.id AND kind = 'decision') >=
        (SELECT position FROM chain WHERE ref = page AND kind = 'removal')""",
    "a page that had to leave and did not": "SELECT page FROM removals WHERE erased_at IS NULL",
    "an entry that is kept, but no page": """
        SELECT url FROM frontier WHERE state = 'kept' AND decision NOT IN (SELECT decision FROM pages)""",
    "a page, but an entry that is not kept": """
        SELECT url FROM pages WHERE decision NOT IN (SELECT decision FROM frontier WHERE state = 'kept')""",
    "an entry that was decided about without a row": """
        SELECT url FROM frontier
        WHERE state IN ('deferred', 'allowed', 'excluded', 'abandoned') AND decision IS NULL""",
    "a reserved page whose text is stored": """
        SELECT url FROM decisions WHERE stage = 'page' AND verdict = 'excluded' AND bytes > 0
        AND content_sha256 IN (SELECT sha256 FROM bodies)""",
}


def check_laws(database: str, out: Path) -> None:
    """Asserts both laws over a database and the corpus that its crawls wrote; none of them may be running."""
    engine = create_engine(database)
    try:
        with engine.connect() as connection:
            for name, asked in NONE.items():
                assert connection.execute(text(asked)).all() == [], name
            _check_quotes(connection)
            _check_corpus(connection, out)
    finally:
        engine.dispose()


def _check_quotes(connection: Connection) -> None:
    """Law 1: the words of each reason are in a capture that its decision rests on."""
    rests: dict[str, list[str]] = {}
    for decision, capture in connection.execute(text("SELECT decision, capture FROM decision_captures")):
        rests.setdefault(decision, []).append(capture)
    load = lru_cache(maxsize=None)(partial(evidence.load, connection))
    for row in connection.execute(text("SELECT decision, protocol, quote, source, place FROM reasons")):
        captures = [load(capture) for capture in rests[row.decision]]
        said = [capture for capture in captures if row.source in (capture.url, _target(capture))]
        assert any(_says(capture, row) for capture in said), f"{row} is found in none of {said}"


def _says(capture: Capture, row: Any) -> bool:
    if row.protocol == "unreachable":
        names = (str(capture.error), str(capture.status), *FAILURES)
        if row.quote in names or row.quote in readable(to_utf8(capture.body)):
            return True
    if row.place == "status":
        return bool(row.quote == str(capture.status))
    if row.place.startswith("header "):
        return any(row.quote in quoted(value) for value in capture.header(row.place.removeprefix("header ")))
    text = representation.of(capture).decode(capture.body)
    return row.quote in readable(to_utf8(capture.body)) or row.quote in text


def _target(capture: Capture) -> str | None:
    """Where a redirect leads that was one too many."""
    target = redirect(capture)
    return target.href if target else None


def _check_corpus(connection: Connection, out: Path) -> None:
    """Law 2, seen from the disk: each record and each row of a table is a page of the log, and is where it says."""
    known = {
        row.decision: row
        for row in connection.execute(
            text(
                "SELECT decision, url, warc_file, warc_offset, warc_length, sha256 FROM pages"
                " WHERE decision NOT IN (SELECT page FROM removals)"
            )
        )
    }
    found = {}
    for path in sorted((out / "warc").glob("*.warc.gz")):
        with path.open("rb") as file:
            records = ArchiveIterator(file, check_digests="raise")
            for record in records:
                if record.rec_type in ("response", "revisit"):
                    decision = record.rec_headers["Forbear-Decision"]
                    assert decision not in found, f"{decision} is in the corpus twice"
                    body, url = record.content_stream().read(), record.rec_headers["WARC-Target-URI"]
                    found[decision] = (f"warc/{path.name}", records.get_record_offset(), url)  # reads to its end
                    if record.rec_type == "response":
                        assert hashlib.sha256(body).hexdigest() == known[decision].sha256
    assert found == {key: (row.warc_file, row.warc_offset, row.url) for key, row in known.items()}
    tables = [pq.read_table(path) for path in (out / "pages").glob("*.parquet")]
    rows = [
        row for table in tables for row in table.select(["decision_id", "url", "warc_file", "warc_offset"]).to_pylist()
    ]
    assert len(rows) == len(known)
    assert {row["decision_id"]: (row["warc_file"], row["warc_offset"], row["url"]) for row in rows} == found
    assert not list((out / "pages").glob(".*")), "a table was not finished"
