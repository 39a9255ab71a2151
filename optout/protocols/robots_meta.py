"""Reads ``noai`` and ``noimageai`` in ``X-Robots-Tag`` and ``<meta name="robots">``.

``noimageai`` on a page reserves its images, not its text. No standard defines the words.

They are DeviantArt's (11 November 2022), carried as in draft-illyes-repext-03 (18 April 2026) and Google's page
on robots meta tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from forbear.optout.captures import Hop
from forbear.optout.model import AI_USES, Capture, Gap, Preference, Reading, Statement, StatementStatus
from forbear.optout.readers import container, html, informal_optouts, robots_tags
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.html import Element
from forbear.optout.readers.text import quoted

NAME = "robots-meta"
PLACES: tuple[str, ...] = ()

_RULES = ("noai", "noimageai")
_NAMES = frozenset({"robots", "robot", "x-robots-tag"})
_ATTRIBUTES = ("name", "property", "http-equiv")
_NO = frozenset({"false", "no", "0", "off", "none"})
_NOT_READ = "The attribute is name, and its value robots: in this form no crawler reads it."


def read(hop: Hop) -> Reading:
    """Yields what the page's header and markup say to everybody and to the crawler by name: all of it adds up (3.1)."""
    page = hop.page
    if page is None:
        return
    agent = hop.question.agent
    for field in page.header("x-robots-tag"):
        quote = quoted(field.strip())
        yield from _statements(robots_tags.for_agent(field, agent), quote, page, "header x-robots-tag")
    try:
        markup = html.read(page)
    except Unreadable as error:
        yield Gap(NAME, "unreadable", page.url, "body", str(error))
        return
    for element, rules in robots_tags.in_page(markup.elements, agent):
        yield from _statements(rules, element.quote, page, element.where)
    for element, rules in robots_tags.in_page(markup.doubtful, agent):
        yield from _flagged(rules, element, page, html.DOUBTFUL)
    for element in markup.elements:
        if element.name == "meta":
            yield from _flagged(_meant(element, agent), element, page, _NOT_READ)


def _meant(element: Element, agent: str) -> frozenset[str]:
    """Returns what a meta element plainly means for the crawler, whose name is not robots or that of the crawler."""
    content = element.attributes.get("content", "")
    if element.attributes.get("name", "").strip().lower() in ("robots", agent.lower()):
        return frozenset()
    names = {each for key in _ATTRIBUTES for each in re.split(r"[\s,]+", element.attributes.get(key, "").lower())}
    if names & _NAMES or agent.lower() in names:
        return robots_tags.for_agent(content, agent)
    return frozenset(_RULES).intersection(names if content.strip().lower() not in _NO else ())


def _flagged(rules: frozenset[str], element: Element, page: Capture, note: str) -> Iterator[Statement]:
    """Yields what is meant by an element that no crawler has to read."""
    for statement in _statements(rules, element.quote, page, element.where):
        yield replace(statement, force=StatementStatus.FLAGGED, note=note)


def _statements(words: frozenset[str], quote: str, page: Capture, where: str) -> Iterator[Statement]:
    unknown = sorted(
        word for word in words if word not in _RULES and informal_optouts.in_line(word) is Preference.DISALLOW
    )
    if unknown:
        note = f"The word is noai; {', '.join(unknown)} is known to no crawler."
        yield Statement(NAME, Preference.DISALLOW, quote, page.url, where, AI_USES, StatementStatus.FLAGGED, note)
    for rule in _RULES:
        if rule not in words:
            continue
        if rule == "noai" or container.is_image(page):
            yield Statement(NAME, Preference.DISALLOW, quote, page.url, where, AI_USES)
        else:
            note = "It speaks about images, and this is none."
            yield Statement(NAME, Preference.DISALLOW, quote, page.url, where, frozenset(), note=note)
