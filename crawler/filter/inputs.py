"""Inputs of the filter: data that others collected, read in batches and written again without some items.

Parquet with a column of URLs (such as Common Crawl's columnar index), and lists of URLs; other kinds have their own
modules. What is kept is copied byte for byte, or row for row with all its columns.
"""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from forbear.crawler.files import atomic_rename, part_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from forbear.crawler.archives.warc_records import Damage
    from forbear.optout.model import Capture

ITEMS = 1_000
"""The most items in memory at once."""
OCTETS = 32 * 1024 * 1024
"""The most bytes of items in memory at once; a larger item comes alone."""
COLUMNS = ("url", "source_url", "page_url", "image_url", "uri", "link", "warc-target-uri")
"""Names of the column with the URL, in order of preference; case does not matter."""


class BadInput(ValueError):
    """Data cannot be filtered; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a URL. ``page`` is what was served there, if the data has it; ``where`` is for people.

    ``damage`` is what of it is not whole in the data.
    """

    where: str
    url: str | None
    page: Capture | None = None
    octets: int = 0
    content: Any = None
    damage: tuple[Damage, ...] = ()


class Source(ABC):
    """Data in a file or folder, and a copy without what may not be used, which gets its name when complete."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path, self.target = path, target
        self.part = part_path(target)
        target.parent.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """Yields the items in order. Raises BadInput and OSError."""

    @abstractmethod
    def keep(self, item: Item) -> None:
        """Writes an item to the copy; items come in order."""

    @abstractmethod
    def finish(self) -> None:
        """Completes the copy."""

    def batches(self) -> Iterator[list[Item]]:
        """Yields the items in batches that fit into memory."""
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
        """Yields the lines."""
        self._out = self._open(self.part, "wb")
        with self._open(self.path, "rb") as file:
            for number, line in enumerate(self._lines(file), 1):
                text = line.strip()
                if not text or text.startswith(b"#"):
                    self._out.write(line)
                else:
                    yield Item(f"line {number}", text.decode("utf-8", "replace"), None, len(line), line)

    def _lines(self, file: IO[bytes]) -> Iterator[bytes]:
        try:
            yield from file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadInput(f"{self.path} is damaged or cut off: {error}") from None

    def _open(self, path: Path, mode: str) -> IO[bytes]:
        packed = self.path.suffix == ".gz"
        return cast("IO[bytes]", gzip.open(path, mode) if packed else path.open(mode))

    def keep(self, item: Item) -> None:
        """Writes the line unchanged."""
        self._out.write(item.content)

    def finish(self) -> None:
        """Completes the list."""
        self._out.close()
        atomic_rename(self.part, self.target)


class Rows(Source):
    """A Parquet file with a column of URLs; all columns, the schema and its metadata stay."""

    def __init__(self, path: Path, target: Path, column: str | None) -> None:
        super().__init__(path, target)
        self._file = pq.ParquetFile(path)
        self._column = url_column(self._file.schema_arrow.names, column, path)

    def items(self) -> Iterator[Item]:
        """Yields the rows; each batch read becomes a row group."""
        self._writer = pq.ParquetWriter(self.part, self._file.schema_arrow, compression="zstd")
        self._batch: pa.RecordBatch | None = None
        self._kept: list[int] = []
        first = 0
        for batch in self._batches():
            octets = batch.nbytes // max(batch.num_rows, 1)
            for number, url in enumerate(batch[self._column].to_pylist()):
                yield Item(
                    f"row {first + number}", url if isinstance(url, str) else None, None, octets, (batch, number)
                )
            first += batch.num_rows

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._file.iter_batches(batch_size=16 * ITEMS)
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{self.path} is damaged: {error}") from None

    def keep(self, item: Item) -> None:
        """Writes the row unchanged."""
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
        atomic_rename(self.part, self.target)


def url_column(names: Sequence[str], wanted: str | None, path: Path) -> str:
    """Returns the column with the URL. Raises BadInput."""
    if wanted is not None:
        if wanted in names:
            return wanted
        raise BadInput(f"{path} has no column {wanted!r}: it has {', '.join(names)}")
    lower = {name.lower(): name for name in reversed(names)}
    for name in COLUMNS:
        if name in lower:
            return lower[name]
    raise BadInput(f"{path} has no column with a known name for URLs: name it with --url-column")
