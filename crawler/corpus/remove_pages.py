"""Removes pages from the files of a corpus after the log says so; killed at any point, the next run goes on.

Each file is rewritten beside the old one, and replaces it once it is safely on disk: first the WARC file, then its
table. Then the log gets the new offsets of the remaining pages. Only after that are pages marked as erased; until then,
every command that works on the corpus starts over, which changes nothing that is already right.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forbear.crawler.corpus import warc
from forbear.crawler.files import atomic_rename, lock, part_path, unlock
from forbear.storage.db.records import now
from forbear.storage.reads import removals

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from forbear.storage.log.writer import Writer


@dataclass(frozen=True, slots=True)
class RemovalResult:
    """How many pages were removed, how many bytes of files were read for it, and how long it took.

    ``waiting`` are the files of pages that could not leave yet, since a process is writing one of them.
    """

    pages: int = 0
    files: int = 0
    octets: int = 0
    seconds: float = 0.0
    waiting: frozenset[str] = frozenset()


def erase(out: Path, writer: Writer) -> RemovalResult:
    """Rewrites every file of this folder with a page to be removed. Raises OSError and StorageError.

    Content of such a page that others refer to (revisits of the same bytes under another URL) goes over to them.
    """
    leaving = [page for page in writer.call(removals.pending).result() if (out / page.warc_file).exists()]
    if not leaving:
        return RemovalResult()
    digests = {page.sha256 for page in leaving}
    copies = writer.call(lambda connection: removals.files_with(connection, sorted(digests))).result()
    names = {page.warc_file for page in leaving} | {name for name in copies if (out / name).exists()}
    octets, began = 0, monotonic()
    with ExitStack() as held:
        for name in names:
            held_lock = lock(out / name)
            if held_lock is None:
                return RemovalResult(waiting=frozenset(names))
            held.callback(unlock, held_lock)
        for name in sorted(names, reverse=True):  # a revisit is in a later file than its page
            octets += (out / name).stat().st_size
            _rewrite(out, name, digests, writer, held)
        done = [page.decision for page in leaving]
        writer.call(lambda connection: removals.mark_erased(connection, done, now())).result()
    return RemovalResult(len(leaving), len(names), octets, monotonic() - began)


def _rewrite(out: Path, name: str, digests: AbstractSet[str], writer: Writer, held: ExitStack) -> None:
    path = out / name
    stay = writer.call(lambda connection: removals.remaining_pages(connection, name)).result()
    part = part_path(path)
    with path.open("rb") as old, part.open("wb") as new:
        # The new file is locked from before it has its name until the log knows it, so that nobody repairs it.
        lock = os.dup(new.fileno())
        held.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        places = _copy(out, old, new, stay, digests)
    atomic_rename(part, path)
    table = out / "pages" / path.name.replace(".warc.gz", ".parquet")
    if table.exists():
        _filter(table, places)
    writer.call(lambda connection: removals.move_pages(connection, places)).result()


def _copy(
    out: Path, old: IO[bytes], new: IO[bytes], stay: AbstractSet[str], digests: AbstractSet[str]
) -> dict[str, tuple[int, int]]:
    """Copies the start of a file and the pages that stay, byte for byte; returns their new offsets."""
    places: dict[str, tuple[int, int]] = {}
    new.write(warc.beginning(old))
    for kept in warc.read(old):
        if kept.page.decision_id not in stay:
            continue
        octets = os.pread(old.fileno(), kept.end - kept.offset, kept.offset)
        if kept.original and kept.sha256 in digests:
            octets = warc.whole(octets, warc.original_of(out, kept))
        places[kept.page.decision_id] = new.tell(), len(octets)
        new.write(octets)
    return places


def _filter(path: Path, places: dict[str, tuple[int, int]]) -> None:
    """Rewrites a table with only the rows of pages that stay, and their new offsets."""
    ids = pa.array(list(places), pa.string())
    starts = pa.array([start for start, _ in places.values()], pa.int64())
    part = part_path(path)
    with pq.ParquetFile(path) as old, pq.ParquetWriter(part, old.schema_arrow, compression="zstd") as new:
        for number in range(old.num_row_groups):
            rows = old.read_row_group(number)
            rows = rows.filter(pc.is_in(rows["decision_id"], value_set=ids))
            if rows.num_rows:
                offsets = pc.take(starts, pc.index_in(rows["decision_id"], value_set=ids))
                column = rows.schema.get_field_index("warc_offset")
                new.write_table(rows.set_column(column, rows.schema.field(column), offsets))
    atomic_rename(part, path)
