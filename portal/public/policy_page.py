"""The summary of the operator's copyright policy (measure 1.1(2)): each paragraph with the mechanism that serves it.

It is made from the configuration and the policy in force, and claims nothing about the law: beside each mechanism, it
says what is left to people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from forbear.portal.public.card import UNREACHABLE, effect
from forbear.portal.web.context import Portal, portal_of
from forbear.portal.web.rendering import render
from forbear.portal.web.settings import Settings
from forbear.storage.log.complaints import WITHIN, ComplaintState

router = APIRouter(include_in_schema=False)

Here = Annotated[Portal, Depends(portal_of)]


@dataclass(frozen=True, slots=True)
class Point:
    """A paragraph of the Copyright chapter: what the software does about it, and what is left to people."""

    measure: str
    asks: str
    does: tuple[str, ...]
    people: str = ""


def summary(settings: Settings) -> Iterator[Point]:
    """Returns the points of the policy, in the order of the chapter."""
    entries = [entry for name, entry in settings.policy.protocols.items() if name != UNREACHABLE]

    def of(measure: str) -> tuple[str, ...]:
        titles: dict[str, list[str]] = {}
        for entry in entries:
            if entry.measure == measure:
                titles.setdefault(effect(entry, settings.profile), []).append(entry.title)
        return tuple(f"{does} So for: {'; '.join(some)}." for does, some in titles.items())

    read, examined, decided = (
        WITHIN[state].days for state in (ComplaintState.RECEIVED, ComplaintState.ACKNOWLEDGED, ComplaintState.IN_REVIEW)
    )
    answered = (
        f"A complaint is read within {read} days, examined within {examined} more, and answered within {decided} days"
        " after that, with reasons. What is accepted is left alone from the next decision on."
    )
    yield Point("1.2(1)(a)", "Technical protection is not circumvented.", of("1.2(1)(a)"), "Licences for what is shut.")
    yield Point("1.3(1)(a)", "robots.txt is read and followed.", of("1.3(1)(a)"))
    yield Point("1.3(1)(b)", "Other machine-readable reservations are identified and followed.", of("1.3(1)(b)"))
    yield Point("1.3(2)", "Reservations in other words are not touched by this.", of("1.3(2)"), "Their legal weight.")
    yield Point(
        "1.3(4)",
        "Rightsholders learn about the crawlers, and are told of changes.",
        ("The page of our crawlers, the same for programs, a feed, and mails for whoever asks.",),
    )
    yield Point(
        "1.3(5)",
        "A reservation does not hurt search.",
        (f"Every decision is about one use, here {settings.use}; what is excluded from it is not so for search.",),
    )
    yield Point(
        "1.5",
        "There is a point of contact, and complaints are handled in time.",
        (
            f"The contact {settings.contact} stands in every request of the crawler and on every page here.",
            answered,
            *of("1.5"),
        ),
        "The decision about each complaint.",
    )


@router.get("/policy")
def page(request: Request, portal: Here) -> HTMLResponse:
    """The summary."""
    settings = portal.settings
    overrides = settings.policy.overrides
    return render(request, "policy.html", points=list(summary(settings)), overrides=overrides)
