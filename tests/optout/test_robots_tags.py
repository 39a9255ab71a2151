"""X-Robots-Tag and robots meta elements: which rules, for whom (draft-illyes-repext-03 3; Google's documentation)."""

from __future__ import annotations

import pytest

from forbear.optout.readers import robots_tags

FIELDS = [
    # a field, the rules that bind ForbearBot
    ("noindex, noai", "noindex noai"),
    ("noindex nofollow", "noindex nofollow"),
    ("NoIndex;NoAI", "noindex noai"),
    ("*: noai", "noai"),
    ("robots: noai", "noai"),
    ("ForbearBot: noai", "noai"),
    ("forbearbot/1.0 : noai", "noai"),
    ("otherbot: noai", ""),
    ("otherbot: noindex, noai", ""),
    ("otherbot: noindex, forbearbot: noai", "noai"),
    ("noai, otherbot: noindex", "noai"),
    ("noindex otherbot: noai", "noindex"),
    ("Other Bot/2.1: noai", ""),
    ("max-snippet: -1, max-image-preview:large noai", "max-snippet max-image-preview noai"),
    ("unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT, noai", "unavailable_after noai"),
    ("unavailable_after: Wednesday, 25-Jun-31 15:00:00 GMT, noai", "unavailable_after noai"),
    ("unavailable_after: Wed Jun 25 15:00:00 2031, noai", "unavailable_after noai"),
    ("unavailable_after: Wednesday, Jun 25 2031 15:00:00 GMT, noai", "unavailable_after noai"),
    ("unavailable_after: June 25, 2031 15:00:00 GMT; noai", "unavailable_after noai"),
    ("unavailable_after: 2031-06-25T15:00:00+02:00 noai", "unavailable_after noai"),
    ("unavailable_after: 25 Jun 2031 15:00:00 PST, otherbot: noai", "unavailable_after"),
    ("unavailable_after: noai", "unavailable_after noai"),
    ("max-snippet: noai", "max-snippet noai"),
    ("noai:1", "noai"),
    ("noindex|noai", "noindex noai"),
    ("noai/noimageai", "noai noimageai"),
    ("noindex + noai", "noindex noai"),
    ("[noai]", "noai"),
    ('"noindex", "noai"', "noindex noai"),
    ("X-Robots-Tag: noai", "noai"),
    ("User-agent: noai", "noai"),
    ("mozilla/5.0 ForbearBot: noai", "noai"),
    ("ForbearBot/1.0 (+https://op.example/bot): noai", "noai"),
    ("otherbot/1.0 (+https://op.example/bot): noai", ""),
    ("new-rule:20, noai", "new-rule noai"),
    (":: ,, noai", "noai"),
    ("", ""),
]


@pytest.mark.parametrize(("field", "expected"), FIELDS)
def test_rules(field, expected):
    assert robots_tags.for_agent(field, "ForbearBot") == frozenset(expected.split())


@pytest.mark.parametrize(
    "unit", ["a ", "a:", "unavailable_after:", "mon, ", ": ", "a/", "a(", "a a (", "a/b (c) ", "noai,"]
)
def test_a_long_field_is_read_once(unit):
    """A reader whose work grew with the square of the field would need minutes, and be ended."""
    list(robots_tags.rules(unit * 200_000))
