"""Advice for the owner of a site that was asked just now, within the limits of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.bounded import given_up
from crawler.workers import TooCostly
from optout.advice import advise
from optout.captures import Captures
from optout.readers.heavy import is_heavy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.bounded import BoundedReader
    from optout.advice import Finding
    from optout.model import Capture, Question
    from optout.policy import Policy


async def advise_later(
    question: Question, seen: Sequence[Capture], policy: Policy, reader: BoundedReader
) -> tuple[Finding, ...]:
    """What ``optout.advice.advise`` tells; heavy answers count as unread if all takes too much. Raises TooCostly."""
    if reader.is_ready(Captures(seen)) and not reader.everything:
        return advise(question, seen, policy)
    try:
        return await reader.pool.call(advise, question, seen, policy)
    except TooCostly as error:
        light = [given_up(capture, error) if is_heavy(capture) else capture for capture in seen]
        return await reader.pool.call(advise, question, light, policy)
