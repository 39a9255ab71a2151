"""Repairs the corpus of a killed crawl: nothing stays that the log does not know."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any

from forbear.crawler.corpus import warc
from forbear.crawler.corpus.table import Table, row
from forbear.crawler.files import part_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from forbear.crawler.corpus.warc import StoredPage
    from forbear.crawler.limits.bounded import BoundedReader

_SOFTWARE = "Forbear, repaired after an interruption"


@dataclass(slots=True)
class RepairResult:
    """Files that were ``cut`` or ``removed``, by name relative to the folder.

    ``short`` files end before the last page in the log: the disk lost what a process had written. ``pages`` counts the
    pages in rebuilt tables.
    """

    cut: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    pages: int = 0


def repair(
    out: Path,
    ends: Callable[[str], int | None],
    leave: Collection[str] = (),
    reader: BoundedReader | None = None,
) -> RepairResult:
    """Truncates each WARC file that nobody is writing after the last page in the log, and rebuilds its table.

    ``ends`` gives the offset at which the last committed page of a file ends, None if the log knows no page of it: an
    unfinished file of that kind is removed, a finished one is another log's and left alone. A folder is for
    one log, and files to ``leave`` are not touched. ``reader`` reads the text of pages. It can be interrupted and
    repeated, and runs beside other crawls. Raises OSError.
    """
    done = RepairResult()
    for path in sorted((out / "warc").glob("*.warc.gz")):
        if f"warc/{path.name}" in leave:
            continue
        with path.open("r+b") as file:
            if _locked(file):
                _repair(out, path, file, ends, done, reader)
    for left in sorted((out / "pages").glob(".*.parquet.part")):
        if not (out / "warc" / left.name[1:].replace(".parquet.part", ".warc.gz")).exists():
            left.unlink(missing_ok=True)
    return done


def _locked(file: IO[bytes]) -> bool:
    """Takes the lock, which is released with the file; False if somebody is writing."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file.fileno()).st_nlink > 0


def _repair(
    out: Path,
    path: Path,
    file: IO[bytes],
    ends: Callable[[str], int | None],
    done: RepairResult,
    reader: BoundedReader | None,
) -> None:
    name, table = f"warc/{path.name}", out / "pages" / path.name.replace(".warc.gz", ".parquet")
    size, end = os.fstat(file.fileno()).st_size, ends(name)
    if table.exists() and end in (None, size):
        return
    table.unlink(missing_ok=True)  # first: a table must never list more than its WARC file has
    pages = _rebuild(out, name, file, table, end, reader) if end else 0
    if not pages:
        part_path(table).unlink(missing_ok=True)
        path.unlink()
        done.removed.append(name)
        return
    done.pages += pages
    left = os.fstat(file.fileno()).st_size
    if left < size:
        done.cut.append(name)
    if end and left < end:
        done.short.append(name)


def _rebuild(out: Path, name: str, file: IO[bytes], path: Path, end: int, reader: BoundedReader | None) -> int:
    """Truncates the file after its last whole page before ``end``, writes the table, and returns its page count."""
    if os.fstat(file.fileno()).st_size > end:
        file.truncate(end)
    table, pages, last = Table(path, _SOFTWARE), 0, 0
    for kept in warc.read(file):
        table.add(_row(out, name, kept, reader))
        table.flush()
        pages, last = pages + 1, kept.end
    if pages:
        file.truncate(last)
        os.fsync(file.fileno())
    table.finish()
    if not pages:
        path.unlink()
    return pages


def _row(out: Path, name: str, kept: StoredPage, reader: BoundedReader | None) -> dict[str, Any]:
    if kept.original is None:
        return row(kept.page, kept.sha256, name, kept.offset, reader)
    body = _body(out, kept)
    page = replace(kept.page, capture=replace(kept.page.capture, body=body or b"", memo={}))
    entry = row(page, kept.sha256, name, kept.offset, reader)
    if body is None:
        entry |= {"title": None, "text": None, "text_sha256": None, "bytes": None}
    return entry


def _body(out: Path, kept: StoredPage) -> bytes | None:
    """Returns the body that a revisit refers to; None if it is gone."""
    try:
        return warc.original_of(out, kept)
    except (FileNotFoundError, ValueError):
        return None
