"""Decides about a URL, and fetches what the decision asks for until there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forbear.optout.model import Decision, Stage, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from forbear.optout.captures import Captures
    from forbear.optout.model import Place


async def decide_and_fetch(
    captures: Captures,
    decide: Callable[[], Awaitable[Decision | tuple[Place, ...]]],
    fetch: Callable[[Sequence[str]], Awaitable[None]],
    *,
    page: bool = False,
) -> Decision:
    """Calls ``decide``, and ``fetch`` for what it wants added to ``captures``, until there is a decision.

    With ``page``, a page that may be requested is fetched as well, and the decision is about what came. Raises
    RuntimeError rather than fetch a URL twice: a fault in Forbear must not keep a server busy.
    """
    fetched: set[str] = set()
    while True:
        result = await decide()
        if not isinstance(result, Decision):
            wanted = list(dict.fromkeys(place.url for place in result))
        elif page and result.stage is Stage.REQUEST and result.verdict is Verdict.ALLOWED:
            wanted = [result.url]
        else:
            return result
        if any(url in fetched or captures.get(url) for url in wanted):
            raise RuntimeError(f"{wanted} would be fetched twice, because of a fault in Forbear: please report it.")
        fetched.update(wanted)
        await fetch(wanted)
