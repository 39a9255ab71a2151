"""The one thread that writes: commits queued jobs in groups, then answers each caller."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError

from forbear.storage.chain import chain
from forbear.storage.chain.leaves import NewLeaf
from forbear.storage.database import StorageError, storage_error, writing
from forbear.storage.db.records import Job
from forbear.storage.db.write_cache import WriteCache
from forbear.storage.log import log, rollups

T = TypeVar("T")

logger = logging.getLogger(__name__)

BATCH = 500
"""Most jobs in one transaction: it takes well under half a second, which is what a crash may lose."""

PAUSES = (0.1, 0.5, 2.0)
"""Seconds before a group is tried again after the database failed: locked, in a deadlock, or away."""

PATIENCE = 120.0
"""Seconds that a server may be away, as during a restart, before the writer gives up."""

_PASSING = ("starting up", "shutting down", "recovery", "too many", "remaining connection slots", "terminating")
"""Words with which PostgreSQL refuses a connection that it will accept later."""

_OUTSIDE = (OperationalError, InterfaceError, InternalError)


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    """A function that runs on the writer's connection, between the jobs before and after it."""

    function: Callable[[Connection], T]


@dataclass(frozen=True, slots=True)
class _Request:
    work: Job | _Call[Any]
    future: Future[Any]


class Writer:
    """Writes jobs in the order they arrive. A future is done only after its job is committed.

    Jobs that arrive while a group is being written form the next group, so nobody waits longer than two groups take. A
    job that is refused (a duplicate decision) fails alone. If the database fails, the group is tried again a few times,
    for up to ``patience`` while a server is away; then its futures raise StorageError. A queued job cannot be
    cancelled.

    It does not keep a process alive that ends without ``close``: nobody has acted on what was not committed yet.
    """

    def __init__(
        self, engine: Engine, *, patience: float = PATIENCE, watch: Callable[[float], None] | None = None
    ) -> None:
        """Takes ``watch``, which gets the seconds of each transaction; ``failures`` counts the failed ones.

        ``limit``: seconds that PostgreSQL lets a transaction take, including waits (before version 17: each statement);
        None is without limit. A process that is paused in the middle would block all others.
        """
        self.failures = 0
        self.limit: float | None = None
        self._engine = engine
        self._patience = patience
        self._watch = watch
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._cache = WriteCache()
        self._open = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="forbear-writer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._open = True
        self._thread.start()

    def close(self) -> None:
        """Writes what is queued, then ends; later jobs are refused."""
        with self._lock:
            was_open, self._open = self._open, False
            if was_open:
                self._requests.put(None)
        if was_open:
            self._thread.join()

    def submit(self, job: Job) -> Future[int]:
        """Queues a job; its future returns how many URLs it added to the frontier. Raises StorageError if closed."""
        return self._enqueue(job)

    def call(self, function: Callable[[Connection], T]) -> Future[T]:
        """Queues a function for the writer's connection; its future returns the result once that is committed.

        It may run again if its transaction fails, so it should only use the database.
        """
        return self._enqueue(_Call(function))

    def _enqueue(self, work: Job | _Call[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # from here on, a cancelled caller does not cancel its job
        with self._lock:
            if not self._open:
                raise StorageError("The log is closed: nothing more is written in this run.")
            self._requests.put(_Request(work, future))
        return future

    def _run(self) -> None:
        ends = False
        while not ends:
            group, ends = self._next_group()
            if group:
                self._write(group)

    def _next_group(self) -> tuple[list[_Request], bool]:
        group: list[_Request] = []
        asked = self._requests.get()
        while asked is not None:
            group.append(asked)
            if len(group) == BATCH:
                return group, False
            try:
                asked = self._requests.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _write(self, group: Sequence[_Request]) -> None:
        """Writes and answers a group; if it is refused, tries each of its jobs alone, to find the cause."""
        try:
            results = self._with_retries([asked.work for asked in group])
        except Exception as error:  # noqa: BLE001 - whatever it was, the callers hear of it
            if len(group) > 1 and not isinstance(error, StorageError):
                for asked in group:
                    self._write([asked])
                return
            failure = storage_error(self._engine.url, error) if isinstance(error, SQLAlchemyError) else error
            for asked in group:
                asked.future.set_exception(failure)
        else:
            for asked, result in zip(group, results, strict=True):
                asked.future.set_result(result)

    def _with_retries(self, works: Sequence[Job | _Call[Any]]) -> list[Any]:
        began, lost = time.monotonic(), False
        for number in count():
            start = time.monotonic()
            try:
                results = self._transaction(works, again=number > 0)
            except _OUTSIDE as error:
                self.failures += 1
                away = _is_away(error)
                if start - began >= self._patience if away else number >= len(PAUSES):
                    raise storage_error(self._engine.url, error) from error
                if away and number and not lost:  # a dropped connection is reopened silently
                    lost = True
                    self._warn("database_lost", f"{storage_error(self._engine.url, error)} It is waited for.")
                time.sleep(PAUSES[min(number, len(PAUSES) - 1)])  # a connection that broke is not used again
            else:
                if lost:
                    self._warn("database_back", f"The database answers again after {start - began:.1f} seconds.")
                if self._watch:
                    self._watch(time.monotonic() - start)
                return results
        raise AssertionError("counted to the end")

    def _warn(self, event: str, sentence: str) -> None:
        logger.warning("%s", sentence, extra={"event": event})

    def _transaction(self, works: Sequence[Job | _Call[Any]], *, again: bool) -> list[Any]:
        """Writes one group; with ``again``, checks first whether a broken connection hid an earlier commit."""
        jobs: list[Job] = [work for work in works if not isinstance(work, _Call)]
        results: list[Any] = []
        entries: list[NewLeaf] = []  # appended last: on PostgreSQL, one writer at a time does so
        cache, self._cache = self._cache, WriteCache()  # dropped unless this commits
        with writing(self._engine) as connection:
            if self.limit and connection.dialect.name == "postgresql":
                what = "transaction" if (connection.dialect.server_version_info or ()) >= (17,) else "statement"
                connection.exec_driver_sql(f"SET LOCAL {what}_timeout = {round(1000 * self.limit)}")
            done = again and log.is_written(connection, jobs)
            for is_call, some in groupby(works, lambda work: isinstance(work, _Call)):
                if is_call:
                    results += [work.function(connection) for work in some]  # type: ignore[union-attr]
                elif done:
                    results += [0 for _ in some]
                else:
                    written = log.write_rows(connection, list(some), cache)  # type: ignore[arg-type]
                    results += written.added
                    entries += written.entries
            chain.append(connection, entries)
            rollups.update(connection, [] if done else jobs, cache)
        self._cache = cache
        return results


def _is_away(error: DBAPIError) -> bool:
    """Checks whether the server is unreachable, or stopped waiting for a client.

    It then sends no SQL error code, or one of PostgreSQL's classes 08, 57 and 25P (it goes, comes, or waits no longer).
    """
    state = getattr(error.orig, "sqlstate", "")  # SQLite's errors have none
    if state is None:  # nor has a refused connection; do not wait for a deleted database
        message = str(error.orig)
        return "FATAL" not in message or any(word in message for word in _PASSING)
    return bool(state.startswith(("08", "57", "25P")))
