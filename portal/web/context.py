"""What every page is made with: the database, the settings, the templates, the limits; one for each application."""

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
    """What every page is made with; ``pool`` reads what strangers' sites answer."""

    engine: Engine
    settings: Settings
    templates: Environment
    limits: Limits
    pool: WorkerPool
    turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with; raises StorageError."""
        with translated(self.engine.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end; raises StorageError.

        On SQLite one transaction writes at a time, and whoever waits sleeps for up to a tenth of a second between two
        tries: threads of one process wait for each other here, and go on at once.
        """
        turn = self.turn if self.engine.dialect.name == "sqlite" else nullcontext()
        with turn, translated(self.engine.url), writing(self.engine) as connection:
            yield connection

    def address(self, path: str) -> str:
        """The public address of a path of the portal."""
        return self.settings.base_url + path


def portal_of(request: Request) -> Portal:
    """The portal that a request came to; FastAPI's dependency."""
    portal: Portal = request.app.state.portal
    return portal
