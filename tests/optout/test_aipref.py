"""AIPREF, attach-05 and vocab-08: what the vectors leave out."""

from __future__ import annotations

import pytest

from forbear.optout.model import ALWAYS, EVERY_USE, IN_STRICT, NEVER, Preference, StatementStatus, Use
from forbear.optout.protocols import aipref
from tests.line_counter import PER_OCTET, steps

ALLOW, DISALLOW, UNKNOWN = Preference.ALLOW, Preference.DISALLOW, Preference.UNKNOWN
STANDING, SUPERSEDED, MALFORMED, CONTRADICTED = (
    StatementStatus.STANDING,
    StatementStatus.SUPERSEDED,
    StatementStatus.MALFORMED,
    StatementStatus.CONTRADICTED,
)
FLAGGED = StatementStatus.FLAGGED
TRAIN, SEARCH, AI_USE, NOTHING = ({Use.TRAIN_AI}, {Use.SEARCH}, {Use.AI_USE}, set())

FIELDS = [
    # section, field, [(preference, uses, force)]
    ("vocab 6.5", "train-ai=n", [(DISALLOW, TRAIN, STANDING)]),
    ("vocab 4", "ai-use=n, search=y", [(DISALLOW, AI_USE, STANDING), (ALLOW, SEARCH, STANDING)]),
    ("vocab 6.5, a Token in another case", "train-ai=N", [(DISALLOW, TRAIN, FLAGGED)]),
    ("vocab 6.5, another Token", "train-ai=no, search=no", [(DISALLOW, TRAIN, FLAGGED), (UNKNOWN, NOTHING, STANDING)]),
    ("vocab 6.5, an inner list", "train-ai=(n)", [(UNKNOWN, NOTHING, STANDING)]),
    ("vocab 6.5, a Boolean", "train-ai=?0", [(UNKNOWN, NOTHING, STANDING)]),
    ("vocab 6.5, a number", "train-ai=0", [(UNKNOWN, NOTHING, STANDING)]),
    ("vocab 6.4, labels of older drafts", "tdm=n", [(DISALLOW, TRAIN | AI_USE, FLAGGED)]),
    ("vocab 6.4, labels of older drafts", "train-genai=n", [(DISALLOW, TRAIN, FLAGGED)]),
    ("vocab 6.4, a label of nobody's", "train-robots=n", [(DISALLOW, NOTHING, STANDING)]),
    (
        "vocab-05 5, a parent leaves what its children say",
        "all=n, train-ai=y",
        [(DISALLOW, SEARCH | AI_USE, FLAGGED), (ALLOW, TRAIN, STANDING)],
    ),
    (
        "vocab 6.5.1, the last value",
        "train-ai=n, train-ai=y",
        [(ALLOW, TRAIN, STANDING), (DISALLOW, TRAIN, CONTRADICTED)],
    ),
    (
        "vocab 6.5.1, the last value",
        "train-ai=n,train-ai",
        [(UNKNOWN, NOTHING, STANDING), (DISALLOW, TRAIN, CONTRADICTED)],
    ),
    ("RFC 9651 4.2, empty", "", []),
    (
        "RFC 9651 3.3.7, a date beyond the library's",
        "x=@999999999999999, train-ai=n",
        [(UNKNOWN, NOTHING, STANDING), (DISALLOW, TRAIN, STANDING)],
    ),
    ("RFC 9651 4.2.2, no comma", "train-ai=n search=y", [(DISALLOW, EVERY_USE, MALFORMED)]),
    ("RFC 9651 4.2, no ASCII", "train-ai=ñ", [(DISALLOW, EVERY_USE, MALFORMED)]),
    ("RFC 9651 4.2.2, a semicolon at the end", "train-ai=n;", [(DISALLOW, EVERY_USE, MALFORMED)]),
    ("bounded", "a=n, " * 20_000 + "a=n", [(DISALLOW, EVERY_USE, MALFORMED)]),
]


@pytest.mark.parametrize(("section", "field", "expected"), FIELDS, ids=range(len(FIELDS)))
def test_header(site, section, field, expected):
    statements, gaps = site.ask(aipref, site.page(headers=(("Content-Usage", field),)))
    assert [(s.preference, set(s.uses), s.force) for s in statements] == expected, section
    assert all((s.quote, s.where) == (field, "header content-usage") for s in statements)
    assert [gap.defers for gap in gaps] == [NEVER] * sum(force is MALFORMED for _, _, force in expected)


@pytest.mark.parametrize(("section", "field", "expected"), FIELDS, ids=range(len(FIELDS)))
def test_the_same_in_robots_txt(site, section, field, expected):
    statements, _ = site.ask(aipref, site.file("/robots.txt", f"User-agent: *\nContent-Usage: {field}\n"))
    assert [(s.preference, set(s.uses), s.force) for s in statements] == expected, section
    assert all((s.quote, s.where) == (f"Content-Usage: {field}", "line 2") for s in statements)


def test_of_several_field_lines_the_one_that_says_it_is_quoted(site):
    lines = ("train-ai=n", "search=y", "train-ai=y")
    statements, _ = site.ask(aipref, site.page(headers=tuple(("Content-Usage", line) for line in lines)))
    assert [(s.quote, s.preference) for s in statements] == [
        ("train-ai=y", ALLOW),
        ("search=y", ALLOW),
        ("train-ai=n", DISALLOW),
    ]


def test_one_bad_field_line_spoils_the_good_ones(site):
    page = site.page(headers=(("Content-Usage", "train-ai=n"), ("Content-Usage", "Search=y")))
    statements, _ = site.ask(aipref, page)
    assert [(s.quote, s.force) for s in statements] == [("train-ai=n", MALFORMED), ("Search=y", MALFORMED)]


RULES = [
    # section, the lines of the group, [(quoted rule, force)]
    (
        "3.1, the longest path",
        "train-ai=n\n/letters/ train-ai=y",
        [("/letters/ train-ai=y", STANDING), ("train-ai=n", SUPERSEDED)],
    ),
    (
        "3.1, the same path: both",
        "/letters/ train-ai=y\n/letters/ train-ai=n",
        [("/letters/ train-ai=y", STANDING), ("/letters/ train-ai=n", STANDING)],
    ),
    (
        "3.1, a longer path that says nothing of it",
        "train-ai=n\n/letters/ search=n",
        [("/letters/ search=n", STANDING), ("train-ai=n", SUPERSEDED)],
    ),
    ("3.2, a path with an empty statement", "/letters/train-ai=n", []),
    ("3.2, an empty statement decides too", "train-ai=n\n/letters/", [("train-ai=n", SUPERSEDED)]),
    ("3.2, a path begins with a slash", "*.jpg train-ai=n", [("*.jpg train-ai=n", MALFORMED)]),
    (
        "RFC 9651 4.2, a broken rule decides nothing",
        "train-ai=y\n/letters/ train-ai:n",
        [("/letters/ train-ai:n", MALFORMED), ("train-ai=y", STANDING)],
    ),
    (
        "and where it would not decide it leaves no doubt",
        "Train-AI=n\n/letters/ train-ai=y",
        [("/letters/ train-ai=y", STANDING)],
    ),
    ("RFC 9309 2.2.2, escapes", "/%6cetters/ train-ai=n", [("/%6cetters/ train-ai=n", STANDING)]),
    ("another path", "/essays/ train-ai=n", []),
]


@pytest.mark.parametrize(("section", "rules", "expected"), RULES)
def test_rules(site, section, rules, expected):
    body = "User-agent: *\n" + "".join(f"Content-Usage: {rule}\n" for rule in rules.split("\n"))
    statements, _ = site.ask(aipref, site.file("/robots.txt", body))
    assert [(s.quote.removeprefix("Content-Usage: "), s.force) for s in statements] == expected, section


GROUPS = [
    # section, robots.txt, statements, what the gaps defer
    ("RFC 9309 2.1, in no group", "Content-Usage: train-ai=n\nUser-agent: *\nAllow: /\n", 1, [IN_STRICT]),
    (
        "RFC 9309 2.2.4, before the crawler's name",
        "User-agent: a\nContent-Usage: train-ai=n\nUser-agent: ForbearBot\n",
        0,
        [],
    ),
    ("RFC 9309 2.2.4, after it", "User-agent: ForbearBot\nContent-Usage: train-ai=n\nUser-agent: a\n", 1, []),
    ("attach 3, shut", "User-agent: *\nDisallow: /letters\nContent-Usage: train-ai=n\n", 0, []),
    ("attach 3, opened again", "User-agent: *\nDisallow: /\nAllow: /letters\nContent-Usage: train-ai=n\n", 1, []),
    ("bounded", "User-agent: *\n" + "Content-Usage: /x a=n\n" * (aipref.MOST_RULES + 1), 0, [ALWAYS]),
]


@pytest.mark.parametrize(("section", "robots", "count", "defers"), GROUPS, ids=range(len(GROUPS)))
def test_groups(site, section, robots, count, defers):
    statements, gaps = site.ask(aipref, site.file("/robots.txt", robots))
    assert (len(statements), [gap.defers for gap in gaps]) == (count, defers), section


ELSEWHERE = [
    # what, robots.txt, [(preference, uses)] of the flagged statements
    ("in no group", "Content-Usage: train-ai=n\nUser-agent: *\nAllow: /\n", [(DISALLOW, TRAIN)]),
    ("of another", "User-agent: a\nContent-Usage: /letters/ train-ai=n\n", [(DISALLOW, TRAIN)]),
    ("of another, about another path", "User-agent: a\nContent-Usage: /essays/ train-ai=n\n", []),
    ("said to us", "User-agent: *\nContent-Usage: train-ai=y\nUser-agent: a\nContent-Usage: train-ai=n\n", []),
    ("a file that names us", "User-agent: ForbearBot\nAllow: /\nUser-agent: a\nContent-Usage: train-ai=n\n", []),
]


@pytest.mark.parametrize(("what", "robots", "expected"), ELSEWHERE)
def test_rules_that_are_not_for_us_are_flagged(site, what, robots, expected):
    statements, _ = site.ask(aipref, site.file("/robots.txt", robots))
    assert [(s.preference, set(s.uses)) for s in statements if s.force is FLAGGED] == expected, what


def test_a_file_of_many_rules_is_read_once(site):
    file = site.file("/robots.txt", "User-agent: *\n" + "Content-Usage: /letters/ train-ai=n\n" * 4_000)
    site.ask(aipref, file)
    read = dict(file.memo)
    assert steps(lambda: site.ask(aipref, file)) < PER_OCTET * len(file.body) // 10  # the rules are compared, not read
    assert all(file.memo[name] is made for name, made in read.items())
