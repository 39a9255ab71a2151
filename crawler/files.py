"""Files that are there whole or not at all, and locks that end with the process that has them (flock)."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def hidden(path: Path) -> Path:
    """Where a file is while it is not finished."""
    return path.with_name(f".{path.name}.part")


def atomic_rename(part: Path, path: Path) -> None:
    """Gives a finished file its name, when it is safely on disk; what had the name before is gone then."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def put(path: Path, octets: bytes) -> bool:
    """Writes a new file; False if there is one of this name already, which stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    except FileExistsError:
        return False
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Makes names that were given in a folder survive a power cut."""
    entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def lock(path: Path) -> int | None:
    """A descriptor that holds the lock of a file; None if another process has it, or the file is gone."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    if os.fstat(file).st_nlink:
        return file
    os.close(file)  # another file has the name by now
    return None


def unlock(lock: int) -> None:
    """Gives a lock back."""
    os.close(lock)
