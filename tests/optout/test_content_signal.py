"""Content Signals Policy, 24 September 2025: what the vectors leave out."""

from __future__ import annotations

import pytest

from forbear.optout.model import ALWAYS, IN_STRICT, NEVER, Preference, StatementStatus, Use
from forbear.optout.protocols import content_signal

ALLOW, DISALLOW, UNKNOWN = Preference.ALLOW, Preference.DISALLOW, Preference.UNKNOWN
STANDING, MALFORMED, FLAGGED = StatementStatus.STANDING, StatementStatus.MALFORMED, StatementStatus.FLAGGED
TRAIN, SEARCH, INPUT, NOTHING = ({Use.TRAIN_AI}, {Use.SEARCH}, {Use.AI_USE}, set())

SIGNALS = [
    # what, value, [(preference, uses, force)]
    (
        "each key its use",
        "search=yes, ai-input=no,ai-train=no",
        [(ALLOW, SEARCH, STANDING), (DISALLOW, INPUT, STANDING), (DISALLOW, TRAIN, STANDING)],
    ),
    ("blanks and capitals", "AI-Train = NO", [(DISALLOW, TRAIN, STANDING)]),
    ("a level of use is recorded", "use=reference", [(UNKNOWN, NOTHING, STANDING)]),
    ("another vocabulary", "train-ai=no, robots=no", [(DISALLOW, TRAIN, FLAGGED)]),
    ("a key alone", "ai-train", [(DISALLOW, TRAIN, MALFORMED)]),
    ("a Token of AIPREF", "ai-train=n", [(DISALLOW, TRAIN, MALFORMED)]),
    ("no comma: neither can be trusted", "search=yes ai-train=no", [(DISALLOW, SEARCH | TRAIN, MALFORMED)]),
    ("a comma too many", "ai-train=no,,", [(DISALLOW, TRAIN, STANDING)]),
    ("part of a longer word", "ai-training=no", [(DISALLOW, TRAIN, FLAGGED)]),
    ("empty", "", []),
]


@pytest.mark.parametrize(("what", "value", "expected"), SIGNALS)
def test_signals(site, what, value, expected):
    statements, gaps = site.ask(content_signal, site.file("/robots.txt", f"User-agent: *\nContent-Signal: {value}\n"))
    assert [(s.preference, set(s.uses), s.force) for s in statements] == expected, what
    assert all((s.quote, s.where) == (f"Content-Signal: {value}".strip(), "line 2") for s in statements)
    assert [gap.defers for gap in gaps] == [NEVER] * sum(force is MALFORMED for _, _, force in expected)


GROUPS = [
    ("RFC 9309 2.1, in no group", "Content-Signal: ai-train=no\nUser-agent: *\nAllow: /\n", 1, [IN_STRICT]),
    (
        "the last group of a list is another's",
        "User-agent: *\nAllow: /\nUser-agent: a\nContent-Signal: ai-train=no\n",
        1,
        [],
    ),
    (
        "between names: those before it",
        "User-agent: *\nContent-Signal: ai-train=no\nUser-agent: a\nDisallow: /\n",
        1,
        [],
    ),
    ("bounded", "User-agent: *\n" + "Content-Signal: ai-train=no\n" * 70, content_signal.MOST, [ALWAYS]),
    ("bounded", "User-agent: *\nContent-Signal: " + "ai-train=no," * 70, content_signal.MOST, [ALWAYS]),
]


@pytest.mark.parametrize(("section", "robots", "count", "defers"), GROUPS, ids=range(len(GROUPS)))
def test_groups(site, section, robots, count, defers):
    statements, gaps = site.ask(content_signal, site.file("/robots.txt", robots))
    assert (len(statements), [gap.defers for gap in gaps]) == (count, defers), section


ELSEWHERE = [
    # what, robots.txt, [(preference, uses)] of the flagged statements
    ("in no group", "Content-Signal: ai-train=no\nUser-agent: *\nAllow: /\n", [(DISALLOW, TRAIN)]),
    ("of another", "User-agent: a\nContent-Signal: ai-train=no, search=yes\n", [(DISALLOW, TRAIN), (ALLOW, SEARCH)]),
    ("said to us", "User-agent: *\nContent-Signal: ai-train=yes\nUser-agent: a\nContent-Signal: ai-train=no\n", []),
    ("a file that names us", "User-agent: ForbearBot\nAllow: /\nUser-agent: a\nContent-Signal: ai-train=no\n", []),
]


@pytest.mark.parametrize(("what", "robots", "expected"), ELSEWHERE)
def test_signals_that_are_not_for_us_are_flagged(site, what, robots, expected):
    statements, _ = site.ask(content_signal, site.file("/robots.txt", robots))
    assert [(s.preference, set(s.uses)) for s in statements if s.force is FLAGGED] == expected, what
