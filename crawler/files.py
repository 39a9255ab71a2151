"""Writes files that are complete or absent, and locks files for as long as a process lives (flock)."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def part_path(path: Path) -> Path:
    """Returns the path of a file while it is unfinished."""
    return path.with_name(f".{path.name}.part")


def atomic_rename(part: Path, path: Path) -> None:
    """Syncs a finished file to disk and gives it its name, replacing any file of that name."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def write_new(path: Path, octets: bytes) -> bool:
    """Writes a new file; returns False, and changes nothing, if the name is taken."""
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
    """Syncs a folder, so that new names in it survive a power cut."""
    entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def lock(path: Path) -> int | None:
    """Locks a file and returns the descriptor that holds the lock; None if it is locked already, or gone."""
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
    """Releases a lock."""
    os.close(lock)
