"""Data that others collected, read a few items at a time, and written again without some of them.

WARC (1.0 and 1.1, each record compressed by itself, with gzip or Zstandard, or none; Common Crawl's WARC, WET and WAT
as they are), Parquet with a column of URLs (Common Crawl's columnar index as it is), and lists of URLs. What stays is
copied octet for octet, or row for row with all its columns.
"""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from crawler.files import hidden, settle
from optout.model import Capture, Failure
from optout.readers import url as urls
from optout.readers.url import NotAUrl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

ITEMS = 1_000
"""Items in memory at once, at most."""
OCTETS = 32 * 1024 * 1024
"""Octets of items in memory at once; a larger item comes alone."""
MAX_BODY = 64 * 1024 * 1024
COLUMNS = ("url", "source_url", "page_url", "image_url", "uri", "link", "warc-target-uri")
"""Columns that hold the URL, the first that is there; in any case."""
_CRAWLERS = "X-Crawler-"


class BadInput(ValueError):
    """Data that cannot be filtered; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a URL. ``page`` is what stood there, where the data has it; ``where`` is for people."""

    where: str
    url: str | None
    page: Capture | None = None
    octets: int = 0
    content: Any = None


class Source(ABC):
    """Data in a file or folder, and the same without what may not be used; that gets its name when it is complete."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path, self.target = path, target
        self.part = hidden(target)
        target.parent.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """What is there, in order. Raises BadInput and OSError."""

    @abstractmethod
    def keep(self, item: Item) -> None:
        """Writes an item again; the items come in order."""

    @abstractmethod
    def finish(self) -> None:
        """Completes what was written."""

    def batches(self) -> Iterator[list[Item]]:
        """The items, as many at a time as fit into memory."""
        batch: list[Item] = []
        octets = 0
        for item in self.items():
            if batch and (len(batch) == ITEMS or octets + item.octets > OCTETS):
                yield batch
                batch, octets = [], 0
            batch.append(item)
            octets += item.octets
        if batch:
            yield batch


class UrlList(Source):
    """A text file with a URL a line, compressed with gzip if its name says so; comments (#) are copied."""

    def items(self) -> Iterator[Item]:
        """A line each."""
        self._out = self._open(self.part, "wb")
        with self._open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = line.strip()
                if not text or text.startswith(b"#"):
                    self._out.write(line)
                else:
                    yield Item(f"line {number}", text.decode("utf-8", "replace"), None, len(line), line)

    def _open(self, path: Path, mode: str) -> IO[bytes]:
        packed = self.path.suffix == ".gz"
        return cast("IO[bytes]", gzip.open(path, mode) if packed else path.open(mode))

    def keep(self, item: Item) -> None:
        """The line as it was."""
        self._out.write(item.content)

    def finish(self) -> None:
        """Completes the list."""
        self._out.close()
        settle(self.part, self.target)


class Rows(Source):
    """A Parquet file with a column of URLs; all columns, the schema and its metadata stay."""

    def __init__(self, path: Path, target: Path, column: str | None) -> None:
        super().__init__(path, target)
        self._file = pq.ParquetFile(path)
        self._column = url_column(self._file.schema_arrow.names, column, path)

    def items(self) -> Iterator[Item]:
        """A row each; a row group is written for each batch that was read."""
        self._writer = pq.ParquetWriter(self.part, self._file.schema_arrow, compression="zstd")
        self._batch: pa.RecordBatch | None = None
        self._kept: list[int] = []
        first = 0
        for batch in self._file.iter_batches(batch_size=16 * ITEMS):
            octets = batch.nbytes // max(batch.num_rows, 1)
            for number, url in enumerate(batch[self._column].to_pylist()):
                yield Item(
                    f"row {first + number}", url if isinstance(url, str) else None, None, octets, (batch, number)
                )
            first += batch.num_rows

    def keep(self, item: Item) -> None:
        """The row as it was."""
        batch, number = item.content
        if batch is not self._batch:
            self._write()
            self._batch = batch
        self._kept.append(number)

    def _write(self) -> None:
        if self._batch is not None and self._kept:
            self._writer.write_batch(self._batch.take(pa.array(self._kept)))
        self._kept = []

    def finish(self) -> None:
        """Completes the file."""
        self._write()
        self._writer.close()
        self._file.close()
        settle(self.part, self.target)


def url_column(names: Sequence[str], wanted: str | None, path: Path) -> str:
    """The column that holds the URL; raises BadInput."""
    if wanted is not None:
        if wanted in names:
            return wanted
        raise BadInput(f"{path} has no column {wanted!r}: it has {', '.join(names)}")
    lower = {name.lower(): name for name in reversed(names)}
    for name in COLUMNS:
        if name in lower:
            return lower[name]
    raise BadInput(f"{path} has no column of URLs that is known as such: name it with --url-column")


class Archive(Source):
    """A WARC file; records in a row about one URL stay or leave together, other records stay."""

    def items(self) -> Iterator[Item]:
        """A group of records each: request, response and metadata of a page, or the text of one alone."""
        self._out = self.part.open("wb")
        self._in = self.path.open("rb")
        group: list[tuple[int, int]] = []
        about: str | None = None
        page: Capture | None = None
        for number, (record, start, end) in enumerate(_records(self.path)):
            if number == 0:
                self._copy([(0, start)])  # the dictionary that the records of a .warc.zst are compressed with
            url = record.headers.get("WARC-Target-URI")
            if url is None:
                self._copy([(start, end)])
                continue
            url = url.strip("<>")
            if group and url != about:
                yield self._item(about, page, group)
                group, page = [], None
            about = url
            group.append((start, end))
            if record.record_type in (WarcRecordType.response, WarcRecordType.revisit, WarcRecordType.resource):
                page = capture_of(record, url)
        if group:
            yield self._item(about, page, group)

    def _item(self, url: str | None, page: Capture | None, group: list[tuple[int, int]]) -> Item:
        octets = group[-1][1] - group[0][0] + (len(page.body) if page else 0)
        return Item(f"octet {group[0][0]}", url, page, octets, group)

    def keep(self, item: Item) -> None:
        """The records as they were."""
        self._copy(item.content)

    def _copy(self, spans: list[tuple[int, int]]) -> None:
        for start, end in spans:
            self._in.seek(start)
            self._out.write(self._in.read(end - start))

    def finish(self) -> None:
        """Completes the file."""
        self._out.close()
        self._in.close()
        settle(self.part, self.target)


def _records(path: Path) -> Iterator[tuple[WarcRecord, int, int]]:
    """Each record with where it begins and ends in the file; of an HTTP response, the body is decoded.

    Raises BadInput for a file that is compressed as a whole, and OSError for one that is damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        before: WarcRecord | None = None
        for record in ArchiveIterator(file, parse_http=False):
            if before is not None:
                if record.stream_pos <= before.stream_pos:
                    raise BadInput(
                        f"{path} is compressed as a whole: compress each record, as `warcio recompress` does"
                    )
                yield before, before.stream_pos, record.stream_pos
            if record.record_type in (WarcRecordType.response, WarcRecordType.revisit, WarcRecordType.resource):
                record.freeze()  # its content is read while the next record is looked for
            before = record
        if before is not None:
            yield before, before.stream_pos, size


def capture_of(record: WarcRecord, url: str) -> Capture | None:
    """What a record says that stood at a URL; nothing for a revisit, whose content is elsewhere.

    A record that was cut off (WARC-Truncated) or that cannot be read is no answer: then nothing is known.
    """
    try:
        href = urls.parse(url).href
    except NotAUrl:
        return None
    if record.record_type == WarcRecordType.revisit:
        return None
    if record.headers.get("WARC-Truncated"):
        return Capture(href, error=Failure.TRUNCATED, memo={"detail": "the record in the archive was cut off"})
    try:
        if record.record_type == WarcRecordType.resource:
            kind = (("Content-Type", record.headers.get("Content-Type") or ""),)
            return Capture(href, 200, kind, record.reader.read())
        record.parse_http(auto_decode="all")
        status = record.http_headers.status_code
        body = record.reader.read(MAX_BODY + 1)
    except (OSError, ValueError, AttributeError):
        return Capture(href, error=Failure.PROTOCOL, memo={"detail": "the record in the archive cannot be read"})
    if len(body) > MAX_BODY:
        return Capture(href, error=Failure.TOO_LARGE)
    headers = tuple((name.removeprefix(_CRAWLERS), value) for name, value in record.http_headers.astuples())
    return Capture(href, status, headers, body)


def responses(path: Path) -> Iterator[tuple[str, datetime, int]]:
    """The canonical URL, time and offset of each HTTP response in a WARC file."""
    for record, start, _ in _records(path):
        if record.record_type == WarcRecordType.response:
            try:
                url = urls.parse((record.headers.get("WARC-Target-URI") or "").strip("<>")).href
            except NotAUrl:
                continue
            yield url, record.record_date, start


def response_at(path: Path, offset: int, url: str) -> Capture | None:
    """The response that begins at an offset of a WARC file."""
    with path.open("rb") as file:
        file.seek(offset)
        for record in ArchiveIterator(file, parse_http=False):
            return capture_of(record, url)
    return None
