"""What a writer knows to be in the database already, so that it does not ask again for every page."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

MOST = 65_536
"""Things remembered of each kind: some ten megabytes at most."""


class Seen(set[T]):
    """Things that were seen; when there are too many, all are forgotten, and seen anew as they come."""

    def note(self, things: Iterable[T]) -> None:
        """Remembers them."""
        if len(self) > MOST:
            self.clear()
        self.update(things)


class WriteCache:
    """Holds for transactions that were committed: after one that failed, a new cache is begun.

    ``captures`` are ids, ``links`` pairs of crawl and URL, ``speaking`` triples of protocol, preference and host;
    ``measured`` and ``words`` are keys of crawl_sums.py. None of these rows ever goes away while a crawl is at work,
    but for URLs that are erased: a page that links to one does not bring it back.
    """

    def __init__(self) -> None:
        self.captures = Seen[str]()
        self.links = Seen[tuple[str, str]]()
        self.speaking = Seen[tuple[str, str, str]]()
        self.measured = Seen[tuple[str, ...]]()
        self.words = Seen[tuple[str, ...]]()
