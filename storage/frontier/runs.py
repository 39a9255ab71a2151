"""Records when each step of a timetable ran and how it ended; locks a database so that one run at a time uses it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select, text, update

from forbear.storage.db.records import new_id
from forbear.storage.db.schema import runs

_LOCK = 0x666F7264


class StepRun(NamedTuple):
    """The latest run of a step; without ``finished_at``, it was interrupted. ``code`` is its exit code."""

    id: str
    started_at: datetime
    finished_at: datetime | None
    code: int | None


@contextmanager
def exclusive_lock(engine: Engine) -> Iterator[bool]:
    """Yields whether this process may run steps on the database; the lock ends with the process."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            yield bool(connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}))
        return
    with Path(f"{engine.url.database}.run").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def latest(connection: Connection, step: str) -> StepRun | None:
    """Returns the latest run of a step; None if it never ran."""
    newest = select(runs).where(runs.c.step == step).order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(1)
    row = connection.execute(newest).first()
    return StepRun(row.id, row.started_at, row.finished_at, row.code) if row else None


def begin(connection: Connection, step: str, words: Sequence[str], at: datetime) -> str:
    """Records that a step begins; returns the id of its run."""
    row = {"id": new_id(), "step": step, "words": list(words), "started_at": at}
    connection.execute(runs.insert(), row)
    return str(row["id"])


def end(connection: Connection, run: str, code: int, at: datetime) -> None:
    """Records how a run ended."""
    connection.execute(update(runs).where(runs.c.id == run).values(finished_at=at, code=code))
