"""Notes which page a process is reading in a file that outlives it, so that the next one knows what killed it.

An answer can kill the whole process, by a fault in a library or by using up memory. That page must not be tried for
ever, and pages that were merely in flight must not be blamed. So a page's key is written to a file before the page is
read, and cleared afterwards. That costs two system calls. Nothing is synced: the process may die here, not the machine.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from forbear.storage.db.hostnames import digest
from forbear.storage.db.records import new_id
from forbear.storage.frontier.process_id import is_dead, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOP, DISK = 0, 1
"""The threads that read: each has a place of its own in the file."""

_FOLDER = ".reading"
_OWNER = 512
"""Bytes at the beginning of a file that say whose it is."""
_KEY = len(digest("", ""))
_NOTHING = bytes(_KEY)


class ReadingNow:
    """The file of this process, in the folder of the corpus. It stays behind if the process ends while it reads."""

    def __init__(self, out: Path, crawl: str) -> None:
        """Raises OSError."""
        self._crawl, folder = crawl, out / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / new_id()
        self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        os.pwrite(self._file, this_process().encode().ljust(_OWNER)[:_OWNER] + 2 * _NOTHING, 0)
        self._dying = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._file)
        if not self._dying:
            self._path.unlink(missing_ok=True)

    @contextmanager
    def page(self, url: str, thread: int = LOOP) -> Iterator[None]:
        """Notes the canonical URL of an entry while it is read; for good, if memory runs out meanwhile."""
        os.pwrite(self._file, digest(self._crawl, url), _OWNER + thread * _KEY)
        try:
            yield
        except MemoryError:
            self._dying = True
            raise
        finally:
            if not self._dying:
                os.pwrite(self._file, _NOTHING, _OWNER + thread * _KEY)


def fatal_pages(out: Path) -> list[bytes]:
    """Returns and forgets the keys of entries that processes were reading when they died, one for each death."""
    found: list[bytes] = []
    for path in (out / _FOLDER).glob("*"):
        with suppress(FileNotFoundError):
            octets = path.read_bytes()
            if is_dead(octets[:_OWNER].decode().rstrip()):
                path.unlink()  # first, so that only one of two processes that start now counts it
                keys = (octets[at : at + _KEY] for at in (_OWNER, _OWNER + _KEY))
                found += (key for key in keys if key not in (_NOTHING, b""))
    return found
