"""What the storage room raises for people to read."""

from __future__ import annotations


class StorageError(Exception):
    """The database cannot be used; the message is one sentence: what happened, to what, what to do."""


class OutOfDate(StorageError):
    """The database was made by an older Forbear."""


class NoDatabase(StorageError):
    """There is no database, or nothing in it yet."""
