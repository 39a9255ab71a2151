"""Opens the database for one command, and closes it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from forbear.storage.database import open_database, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forbear.storage.database import Connection, Engine


@contextmanager
def open_engine(db: str, *, create: bool = False, evidence: str | None = None) -> Iterator[Engine]:
    """Opens a database, which has to exist unless ``create``; errors in the block are raised as StorageError."""
    engine = open_database(db, create=create, evidence=evidence)
    try:
        with translated(engine.url):
            yield engine
    finally:
        engine.dispose()


@contextmanager
def open_connection(db: str) -> Iterator[Connection]:
    """Opens an existing database to read from it; errors in the block are raised as StorageError."""
    with open_engine(db) as engine, engine.connect() as connection:
        yield connection
