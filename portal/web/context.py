"""What pages are made with: database, settings, templates, limits. There is one for each application."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from fastapi import Request
from jinja2 import Environment

from forbear.crawler.limits.workers import WorkerPool
from forbear.portal.web.limits import Limits
from forbear.portal.web.settings import Settings
from forbear.storage.database import Connection, Engine, translated, writing


@dataclass(frozen=True, slots=True)
class Portal:
    """What pages are made with; ``pool`` reads answers from other people's sites."""

    engine: Engine
    settings: Settings
    templates: Environment
    limits: Limits
    pool: WorkerPool
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Opens a connection for reading. Raises StorageError."""
        with translated(self.engine.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Opens a connection in a transaction, committed at the end. Raises StorageError.

        SQLite lets one transaction write at a time and polls up to every tenth of a second; threads of this process
        wait on a lock instead, so that the next one starts at once.
        """
        turn = self.turn if self.engine.dialect.name == "sqlite" else nullcontext()
        with turn, translated(self.engine.url), writing(self.engine) as connection:
            yield connection

    def address(self, path: str) -> str:
        """Returns the public URL of a path of the portal."""
        return self.settings.base_url + path


def portal_of(request: Request) -> Portal:
    """Returns the portal that a request came to; for FastAPI's Depends."""
    portal: Portal = request.app.state.portal
    return portal
