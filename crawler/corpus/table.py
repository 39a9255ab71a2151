"""The text of the kept pages as a Parquet file beside each WARC file: one row for each page (Parquet 2, by pyarrow)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from forbear.crawler.corpus.text import extract
from forbear.crawler.files import atomic_rename, part_path
from forbear.optout.readers import representation
from forbear.optout.readers import url as urls
from forbear.storage.db.hostnames import domain_of

if TYPE_CHECKING:
    from pathlib import Path

    from forbear.crawler.corpus.warc import WarcPage
    from forbear.crawler.limits.bounded import BoundedReader

_ROW_GROUP = 32 * 1024 * 1024
"""The most bytes of text in memory before a row group is written."""
_SCHEMA_VERSION = "1"


def _column(name: str, kind: Any, about: str, *, nullable: bool = False) -> Any:
    return pa.field(name, kind, nullable=nullable, metadata={"description": about})


SCHEMA = pa.schema(
    [
        _column("url", pa.string(), "Canonical URL of the page, as it was requested."),
        _column("domain", pa.string(), "Registrable domain of the host (Public Suffix List)."),
        _column("host", pa.string(), "Host of the URL, in A-labels."),
        _column("time", pa.timestamp("us", tz="UTC"), "When the page was fetched (UTC)."),
        _column("status", pa.int16(), "HTTP status."),
        _column("media_type", pa.string(), "Type and subtype of Content-Type in lower case; empty if there was none."),
        _column(
            "language", pa.string(), "Language that the page declares (BCP 47); null if it does not.", nullable=True
        ),
        _column("title", pa.string(), "Title of an HTML page; null if it has none.", nullable=True),
        _column("text", pa.large_string(), "Main text; empty if there is none, null if unreadable.", nullable=True),
        _column("sha256", pa.string(), "SHA-256 of the content, decoded, in hexadecimal."),
        _column("bytes", pa.int64(), "Octets of the content; null if it was lost.", nullable=True),
        _column(
            "text_sha256", pa.string(), "SHA-256 of the text in UTF-8, in hexadecimal; null as text is.", nullable=True
        ),
        _column("decision_id", pa.string(), "The decision that allowed the page: a row of the audit log."),
        _column("warc_file", pa.string(), "WARC file that holds the page, relative to the folder of the corpus."),
        _column("warc_offset", pa.int64(), "Where its response or revisit record begins in that file, in bytes."),
    ]
)


def row(
    page: WarcPage, sha256: str, warc_file: str, warc_offset: int, reader: BoundedReader | None = None
) -> dict[str, Any]:
    """Returns the row of a page; ``reader`` reads title, language and text from its body."""
    url, capture = urls.parse(page.url), page.capture
    found = extract(capture, reader)
    digest = None if found.text is None else hashlib.sha256(found.text.encode()).hexdigest()
    return {
        "url": page.url,
        "domain": domain_of(url.host),
        "host": url.host,
        "time": page.fetched_at,
        "status": capture.status,
        "media_type": representation.of(capture).media_type,
        "language": found.language,
        "title": found.title,
        "text": found.text,
        "sha256": sha256,
        "bytes": len(capture.body),
        "text_sha256": digest,
        "decision_id": page.decision_id,
        "warc_file": warc_file,
        "warc_offset": warc_offset,
    }


class Table:
    """A Parquet file being written: hidden until it is finished, then renamed."""

    def __init__(self, path: Path, software: str) -> None:
        self._path, self._part = path, part_path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {"software": software, "schema_version": _SCHEMA_VERSION}
        self._writer = pq.ParquetWriter(self._part, SCHEMA.with_metadata(about), compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._octets = 0

    def add(self, entry: dict[str, Any]) -> None:
        """Adds a row made by ``row``."""
        self._rows.append(entry)
        self._octets += 512 + len(entry["url"]) + len(entry["text"] or "") + len(entry["title"] or "")

    def take_back(self, decision_id: str) -> bool:
        """Removes the last row if it is this page's and not written yet; returns whether it did."""
        if not self._rows or self._rows[-1]["decision_id"] != decision_id:
            return False
        self._rows.pop()
        return True

    def flush(self) -> None:
        """Writes the buffered rows, if they fill a row group."""
        if self._octets >= _ROW_GROUP:
            self._write()

    def finish(self) -> None:
        """Writes the rest, syncs the file and gives it its name."""
        self._write()
        self._writer.close()
        atomic_rename(self._part, self._path)

    def _write(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, SCHEMA))
            self._rows, self._octets = [], 0
