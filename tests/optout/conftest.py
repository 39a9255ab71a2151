"""How the tests of one protocol ask it: an answer of a site in, statements and gaps out."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from forbear.optout.captures import Captures, Hop
from forbear.optout.model import Capture, Gap, Question, Statement
from forbear.optout.readers import url as urls

PAGE = "https://archive.example/letters/1"


class Site:
    """A site with a page at PAGE; ``ask`` gives the statements and gaps of a protocol about it."""

    def page(
        self,
        body: bytes | str = b"",
        headers: tuple[tuple[str, str], ...] = (),
        media_type: str = "text/html",
        **more: Any,
    ) -> Capture:
        octets = body.encode() if isinstance(body, str) else body
        content_type = (("Content-Type", media_type),) if media_type else ()
        return Capture(PAGE, more.get("status", 200), (*content_type, *headers), octets)

    def file(self, path: str, body: bytes | str) -> Capture:
        octets = body.encode() if isinstance(body, str) else body
        return Capture(f"https://archive.example{path}", 200, (("Content-Type", "application/json"),), octets)

    def ask(
        self, protocol: ModuleType, *captures: Capture, url: str = PAGE, agent: str = "ForbearBot"
    ) -> tuple[list[Statement], list[Gap]]:
        known = Captures(captures, complete=True)
        own = known.get(url)
        kept = own if own is not None and own.status is not None and 200 <= own.status < 300 else None
        found = list(protocol.read(Hop(Question(url, agent=agent), urls.parse(url), known, kept)))
        return [one for one in found if isinstance(one, Statement)], [one for one in found if isinstance(one, Gap)]


@pytest.fixture
def site() -> Site:
    return Site()
