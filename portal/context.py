"""What every page is made with: the database, the settings, the templates, the limits; one for each application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request
from jinja2 import Environment
from sqlalchemy import Connection, Engine

from portal.limits import Limits
from portal.settings import Settings
from storage.database import translated, writing


@dataclass(frozen=True, slots=True)
class Portal:
    """What every page is made with."""

    engine: Engine
    settings: Settings
    templates: Environment
    limits: Limits

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with; raises StorageError."""
        with translated(self.engine.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end; raises StorageError."""
        with translated(self.engine.url), writing(self.engine) as connection:
            yield connection

    def address(self, path: str) -> str:
        """The public address of a path of the portal."""
        return self.settings.base_url + path


def portal_of(request: Request) -> Portal:
    """The portal that a request came to; FastAPI's dependency."""
    portal: Portal = request.app.state.portal
    return portal
