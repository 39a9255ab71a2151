"""The one thread that writes: takes what is queued, commits it as a group, and then says so to each caller."""

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
"""Seconds to wait before a group is tried again after the database failed: locked, in a deadlock, or away."""

PATIENCE = 120.0
"""Seconds that a server may be away, as while it is restarted, before what is to be written is given up."""

_PASSING = ("starting up", "shutting down", "recovery", "too many", "remaining connection slots", "terminating")
"""Words of PostgreSQL when it refuses a connection that it will take later."""

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
    """Writes jobs in the order they come. A future is done only after its job is committed.

    Jobs that come while a group is being written form the next group, so nobody waits longer than for two groups. A
    job that is refused (a decision that is there already) fails alone; when the database fails, the group is tried
    again a few times, as long as ``patience`` while a server is away, then its futures raise StorageError. A job once
    taken is answered, and cannot be cancelled.

    A process that ends without ``close`` is not kept alive by it: nobody has acted on what was not yet committed.
    """

    def __init__(
        self, engine: Engine, *, patience: float = PATIENCE, watch: Callable[[float], None] | None = None
    ) -> None:
        """``watch`` is told of each transaction how many seconds it took; ``failures`` are those not taken.

        ``limit``: seconds that PostgreSQL lets a transaction take, its waiting included (before version 17: each
        statement); None: as many as it takes. A process that is paused in the middle would keep all others waiting.
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
        """Begins to write."""
        self._open = True
        self._thread.start()

    def close(self) -> None:
        """Writes what is queued, then ends; what comes later is refused."""
        with self._lock:
            was_open, self._open = self._open, False
            if was_open:
                self._requests.put(None)
        if was_open:
            self._thread.join()

    def submit(self, job: Job) -> Future[int]:
        """Queues a job; the future gives how many URLs it added to the frontier. Raises StorageError when closed."""
        return self._enqueue(job)

    def call(self, function: Callable[[Connection], T]) -> Future[T]:
        """Queues a function for the writer's connection; the future gives what it returns, once that is committed.

        It may be run again if its transaction fails, so it should do nothing but talk to the database.
        """
        return self._enqueue(_Call(function))

    def _enqueue(self, work: Job | _Call[Any]) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # from here on a cancelled caller does not undo what it asked for
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
        """Writes and answers a group; if it is refused, each of its jobs is tried alone, to find the one to blame."""
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
                if away and number and not lost:  # a connection that was cut is made again without a word
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
        """``again``: it was tried before, and a connection that broke may have hidden that it was committed."""
        jobs: list[Job] = [work for work in works if not isinstance(work, _Call)]
        results: list[Any] = []
        entries: list[NewLeaf] = []  # appended last: on PostgreSQL, one writer at a time does so
        cache, self._cache = self._cache, WriteCache()  # which is forgotten unless this is committed
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
    """Whether the server cannot be reached, or somebody was waited for in vain.

    It has said nothing then that SQL has a code for, or that it goes, comes, or waits no longer: classes 08, 57
    and 25P of PostgreSQL's error codes.
    """
    state = getattr(error.orig, "sqlstate", "")  # SQLite's errors have none at all
    if state is None:  # nor has a connection that is refused: a database that was removed is not waited for
        said = str(error.orig)
        return "FATAL" not in said or any(word in said for word in _PASSING)
    return bool(state.startswith(("08", "57", "25P")))
