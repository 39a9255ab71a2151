"""Writes the corpus of a crawl: WARC files, and the text of their pages as Parquet (WARC 1.1, ISO 28500:2017).

``warc/NAME.warc.gz`` and ``pages/NAME.parquet`` belong together. Names sort by time. A WARC file that is being
written is locked (flock), so that a repair by another process leaves it alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import OrderedDict
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from forbear.crawler.corpus import warc
from forbear.crawler.corpus.repair import RepairResult, repair
from forbear.crawler.corpus.table import Table, row
from forbear.crawler.corpus.warc import Original, WarcPage
from forbear.crawler.limits.in_progress import DISK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forbear.crawler.limits.bounded import BoundedReader

__all__ = ["Corpus", "Original", "RepairResult", "WarcPage", "WarcPosition", "repair"]

MAX_BYTES = 1_000_000_000
"""Bytes after which a new WARC file is started, as the WARC standard recommends (annex A)."""
_REMEMBERED = 50_000


class WarcPosition(NamedTuple):
    """Where a page was written: ``offset`` of its first record, ``length`` of all of them, in bytes.

    ``warc_file`` is relative to the folder of the corpus; ``sha256`` is that of the body, in hexadecimal.
    """

    warc_file: str
    offset: int
    length: int
    sha256: str


class Corpus:
    """Writes the pages that may be kept; not thread-safe.

    ``write`` is called after the decision is committed, and the row about the page is committed after that, in the
    order of writing: then ``repair`` finds every page whole. ``worker`` is the number of this process among those that
    share the folder; ``seen`` finds content already in the corpus by its SHA-256, besides what this object remembers;
    ``reader`` reads the text of pages. Raises OSError; a page that could not be written leaves nothing behind.
    """

    def __init__(
        self,
        out: Path,
        worker: str,
        *,
        software: str,
        user_agent: str = "",
        max_bytes: int = MAX_BYTES,
        seen: Callable[[str], Original | None] | None = None,
        reader: BoundedReader | None = None,
    ) -> None:
        self._out, self._worker, self._max_bytes = out, worker, max_bytes
        self._software, self._user_agent = software, user_agent
        self._seen, self._reader = seen, reader
        self._known: OrderedDict[str, Original] = OrderedDict()
        self._serial = 0
        self._part: _Part | None = None
        self._full: int | None = None

    def write(self, page: WarcPage) -> WarcPosition:
        """Writes a page, and returns when the operating system has it."""
        if self._part and self._part.end >= self._max_bytes:
            self._rotate()
        part = self._part = self._part or self._begin()
        with self._reader.note_reading(page.url, DISK) if self._reader else nullcontext():
            return self._write(part, page)

    def _write(self, part: _Part, page: WarcPage) -> WarcPosition:
        sha256 = hashlib.sha256(page.capture.body).hexdigest()
        original = self._original(sha256) if page.capture.body else None
        part.table.flush()  # may fail, so it comes before this page is written
        entry, offset = row(page, sha256, part.name, part.end, self._reader), part.end
        part.append(warc.pack(page, sha256, part.warcinfo, original))
        part.table.add(entry)
        self._remember(sha256, original or Original(page.url, page.fetched_at, part.name, offset))
        return WarcPosition(part.name, offset, part.end - offset, sha256)

    def take_back(self, decision_id: str, stored: WarcPosition) -> bool:
        """Removes the last page, whose row was not committed; False if another was written after it."""
        part = self._part
        if part is None or (part.name, part.end) != (stored.warc_file, stored.offset + stored.length):
            return False
        if not part.table.take_back(decision_id):
            return False
        part.cut(stored.offset)
        original = self._known.get(stored.sha256)
        if original and (original.warc_file, original.warc_offset) == (stored.warc_file, stored.offset):
            del self._known[stored.sha256]
        return True

    def sync(self) -> None:
        """Syncs everything to disk, so that it survives a power cut."""
        if self._part:
            os.fdatasync(self._part.file)

    def close(self) -> None:
        """Completes both files and releases their locks, after all rows are committed."""
        self._rotate()
        self._rotate()

    def _rotate(self) -> None:
        """Completes both files. The lock stays until the next file is full, as rows may not be committed yet."""
        if self._part:
            self._part.table.finish()
            self.sync()
        if self._full is not None:
            os.close(self._full)
        self._full, self._part = self._part.file if self._part else None, None

    def _original(self, sha256: str) -> Original | None:
        return self._known.get(sha256) or (self._seen(sha256) if self._seen else None)

    def _remember(self, sha256: str, original: Original) -> None:
        self._known[sha256] = original
        self._known.move_to_end(sha256)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _begin(self) -> _Part:
        folder = self._out / "warc"
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            stem = f"forbear-{datetime.now(UTC):%Y%m%d%H%M%S%f}-{self._worker}-{self._serial:05}"
            self._serial += 1
            path = folder / f"{stem}.warc.gz"
            try:
                file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                continue
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():  # a repair may have removed the empty file as torn
                break
            os.close(file)
        record, warcinfo = warc.info(
            {
                "software": self._software,
                "http-header-user-agent": self._user_agent,
                "format": "WARC File Format 1.1",
                "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
                "robots": "obeyed (RFC 9309)",
            }
        )
        part = _Part(
            f"warc/{path.name}", file, warcinfo, Table(self._out / "pages" / f"{stem}.parquet", self._software)
        )
        part.append(record)
        return part


class _Part:
    """A WARC file being written, and its table. ``end`` is its length in bytes."""

    def __init__(self, name: str, file: int, warcinfo: str, table: Table) -> None:
        self.name, self.file, self.warcinfo, self.table = name, file, warcinfo, table
        self.end = 0

    def append(self, octets: bytes) -> None:
        """Writes everything or, if that fails, nothing."""
        rest = memoryview(octets)
        try:
            while rest:
                rest = rest[os.write(self.file, rest) :]
        except OSError:
            self.cut(self.end)
            raise
        self.end += len(octets)

    def cut(self, end: int) -> None:
        """Truncates the file."""
        os.ftruncate(self.file, end)
        os.lseek(self.file, end, os.SEEK_SET)
        self.end = end
