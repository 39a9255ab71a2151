"""Advice for the owner of a site that was just fetched, made within the limits of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forbear.crawler.limits.bounded import given_up
from forbear.crawler.limits.workers import TooCostly
from forbear.optout.advice import advise
from forbear.optout.captures import Captures
from forbear.optout.readers.heavy import is_heavy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forbear.crawler.limits.bounded import BoundedReader
    from forbear.optout.advice import Finding
    from forbear.optout.model import Capture, Question
    from forbear.optout.policy import Policy


async def advise_later(
    question: Question, seen: Sequence[Capture], policy: Policy, reader: BoundedReader
) -> tuple[Finding, ...]:
    """Returns what ``advise`` finds; heavy answers count as unread if it all takes too much. Raises TooCostly."""
    if reader.is_ready(Captures(seen)) and not reader.everything:
        return advise(question, seen, policy)
    try:
        return await reader.pool.call(advise, question, seen, policy)
    except TooCostly as error:
        light = [given_up(capture, error) if is_heavy(capture) else capture for capture in seen]
        return await reader.pool.call(advise, question, light, policy)
