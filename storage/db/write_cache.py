"""Remembers what the writer knows to be in the database, so that it need not ask for every page."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

MOST = 65_536
"""Entries remembered of each kind: some ten megabytes at most."""


class Seen(set[T]):
    """A set that forgets everything when it is full."""

    def note(self, things: Iterable[T]) -> None:
        """Adds things; empties the set first if it is full."""
        if len(self) > MOST:
            self.clear()
        self.update(things)


class WriteCache:
    """Valid for committed transactions only: after one that failed, start with a new cache.

    ``captures`` are ids, ``links`` pairs of crawl and URL, ``speaking`` triples of protocol, preference and host;
    ``measured`` and ``words`` are keys of crawl_sums.py. None of these rows goes away during a crawl, except URLs that
    are erased: a page that links to one does not bring it back.
    """

    def __init__(self) -> None:
        self.captures = Seen[str]()
        self.links = Seen[tuple[str, str]]()
        self.speaking = Seen[tuple[str, str, str]]()
        self.measured = Seen[tuple[str, ...]]()
        self.words = Seen[tuple[str, ...]]()
