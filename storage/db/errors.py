"""Errors of storage, with messages for people."""

from __future__ import annotations


class StorageError(Exception):
    """The database cannot be used; the message is one sentence: what happened, to what, what to do next."""


class OutOfDate(StorageError):
    """The database was made by an older Forbear."""


class NoDatabase(StorageError):
    """The database does not exist, or is still empty."""
