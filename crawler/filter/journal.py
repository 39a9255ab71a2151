"""The journal of a run: what it has decided about an input, so that a killed run resumes without deciding twice.

A file of JSON lines beside the reasons: what the run is, then a line for each batch whose rows are all in the log. What
was decided after the last of them is found in the log itself: a row there is taken for the item that it is about.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from forbear.storage.db.records import now
from forbear.storage.reads import queries
from forbear.storage.reads.queries import Filter

if TYPE_CHECKING:
    from pathlib import Path

    from forbear.crawler.filter.inputs import Item
    from forbear.storage.log.writer import Writer

LeftOut = dict[int, dict[str, Any]]
"""What was left out of a batch: rows of the file of reasons, by position in the batch."""


class Journal:
    """The journal of one input; ``about`` identifies input and settings, and another journal is replaced."""

    def __init__(self, path: Path, about: dict[str, Any], crawl: str) -> None:
        self.path, self._crawl = path, crawl
        self._about = about | {"crawl": crawl}
        self._since, self._size = _end(path, self._about)
        self._logged: dict[tuple[str, str | None], deque[dict[str, Any]]] = defaultdict(deque)
        self._file: IO[bytes] | None = None

    def open(self, writer: Writer) -> None:
        """Opens the journal to append; decisions in the log that it lacks are kept for ``logged``."""
        if self._since is None:
            self._file = self.path.open("wb")
            self._write(self._about | {"at": now().isoformat()})
            return
        self._file = self.path.open("r+b")
        self._file.truncate(self._size)
        self._file.seek(self._size)
        wanted = Filter(crawl=self._crawl, since=self._since)
        for row in writer.call(lambda connection: list(queries.log(connection, wanted))).result():
            self._logged[row["url"], row["content_sha256"]].append(row)

    def done(self) -> Iterator[tuple[int, LeftOut]]:
        """Yields the batches of earlier runs, in order: how many items, and what was left out."""
        if self._since is not None:
            for line, _ in islice(_lines(self.path), 1, None):
                yield line["count"], {int(place): row for place, row in line["left"].items()}

    def logged(self, item: Item) -> dict[str, Any] | None:
        """Returns the log row about an item that an earlier run decided but did not journal; each once."""
        if not self._logged:
            return None
        page = item.page
        sha256 = hashlib.sha256(page.body).hexdigest() if page and not page.error else None
        rows = self._logged.get((item.url or "", sha256))
        return rows.popleft() if rows else None

    def add(self, count: int, left: LeftOut) -> None:
        """Records a batch whose rows are committed."""
        self._write({"at": now().isoformat(), "count": count, "left": left})

    def close(self) -> None:
        """Closes it; the next run goes on from here."""
        if self._file:
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()


def _end(path: Path, about: dict[str, Any]) -> tuple[datetime | None, int]:
    """Returns the time of the last whole line, and the offset of its end.

    Returns None and 0 without a journal about this input.
    """
    since, size = None, 0
    for number, (line, octets) in enumerate(_lines(path)):
        at = datetime.fromisoformat(line.pop("at"))
        if number == 0 and line != about:
            break
        since, size = at, size + octets
    return since, size


def _lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yields the whole lines, each with its length in bytes."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for text in file:
            if not text.endswith(b"\n"):
                return
            yield json.loads(text), len(text)
