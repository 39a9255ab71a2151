from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from forbear.crawler.engine.decision_loop import decide_and_fetch
from forbear.optout.captures import Captures
from forbear.optout.model import Capture, Decision, Place

URL = "https://a.example/robots.txt"


@pytest.mark.parametrize(
    ("known", "comes", "times"),
    [
        ((Capture(URL, 404),), URL, 0),
        ((), URL, 1),
        ((), "https://a.example/other", 1),
    ],
)
def test_a_fault_of_ours_fetches_nothing_twice(known: tuple[Capture, ...], comes: str, times: int) -> None:
    """A reader wants what is here already, or what was fetched and came under another URL."""
    captures, fetched = Captures(known), []

    async def decide() -> Decision | tuple[Place, ...]:
        return (Place("robots", URL),)

    async def fetch(wanted: Sequence[str]) -> None:
        fetched.extend(wanted)
        captures.add(Capture(comes, 404))

    with pytest.raises(RuntimeError, match=r"would be fetched twice"):
        asyncio.run(decide_and_fetch(captures, decide, fetch))
    assert fetched == [URL] * times
