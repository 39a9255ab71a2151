"""Path patterns: RFC 9309 2.2.2, 2.2.3; TDMRep 2024-05-10 6.1.1."""

from __future__ import annotations

import pytest

from forbear.optout.readers.pattern import Pattern, Target
from tests.line_counter import steps

CASES = [
    # section, pattern, path and query, matches
    ("RFC 9309 2.2.2", "/fish", "/fishing/nets", True),
    ("RFC 9309 2.2.2", "/nets/", "/nets", False),
    ("RFC 9309 2.2.2, case counts", "/Letters", "/letters", False),
    ("RFC 9309 2.2.2, table", "/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
    ("RFC 9309 2.2.2, table", "/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
    ("RFC 9309 2.2.2, table", "/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84", True),
    ("RFC 9309 2.2.2, table", "/foo/bar/%62%61%7A", "/foo/bar/baz", True),
    ("RFC 9309 2.2.2, unreserved", "/~olsen/", "/%7Eolsen/1", True),
    ("RFC 9309 2.2.2, reserved", "/a/b", "/a%2Fb", False),
    ("RFC 9309 2.2.3", "/report$", "/report", True),
    ("RFC 9309 2.2.3", "/report$", "/report.html", False),
    ("RFC 9309 2.2.3", "/report$", "/report?a=1", False),
    ("RFC 9309 2.2.3", "/*.pdf$", "/deep/down/tides.pdf", True),
    ("RFC 9309 2.2.3", "/*.pdf$", "/tides.pdf.html", False),
    ("RFC 9309 2.2.3, pieces do not overlap", "/ab*ba$", "/aba", False),
    ("RFC 9309 2.2.3, pieces do not overlap", "/a*b*b$", "/ab", False),
    ("RFC 9309 2.2.3", "/issues/*/supplement/", "/issues/2026/may/supplement/4", True),
    ("RFC 9309 2.2.3, ** is *", "/a**b", "/ab", True),
    ("RFC 9309 2.2.3, leftmost is not last", "/*a$", "/aba", True),
    ("RFC 9309 2.2.3", "/*", "/", True),
    ("RFC 9309 5.1", "*.gif$", "/a.gif", True),
    ("RFC 9309 2.2.3, a star is matched literally", "/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
    ("RFC 9309 2.2.3, and not as any run", "/path/file-with-a-%2A.html", "/path/file-with-a-x.html", False),
    ("RFC 9309 2.2.3, a dollar sign is matched literally", "/path/foo-%24", "/path/foo-$", True),
    ("RFC 9309 2.2.3, and not as the end", "/path/foo-%24", "/path/foo-", False),
    ("RFC 9309 2.2.3, $ is special at the end only", "/a$b", "/a$b", True),
    ("RFC 9309 2.2.3, $ is special at the end only", "/a$b", "/a", False),
    ("TDMRep 6.1.1, no regular expressions", "/a.b+(c)", "/a.b+(c)", True),
    ("TDMRep 6.1.1, no regular expressions", "/a.b", "/axb", False),
    ("RFC 9309 2.2.2, must start with a slash", "letters", "/letters", False),
]


@pytest.mark.parametrize(("section", "pattern", "path", "expected"), CASES)
def test_match(section: str, pattern: str, path: str, expected: bool) -> None:
    assert Pattern(pattern.encode()).matches(Target(path).octets) is expected, section


@pytest.mark.parametrize(
    ("pattern", "octets"), [("/a", 2), ("/a*", 3), ("/a$", 3), ("/%61", 2), ("/ツ", 10), ("/a$b", 4), ("/%24", 4)]
)
def test_length_counts_the_octets_of_the_normalised_pattern(pattern: str, octets: int) -> None:
    assert Pattern(pattern.encode()).length == octets


@pytest.mark.parametrize("end", ["", "$", "b$", "b"])
def test_thousands_of_stars_cost_a_few_steps_each(end: str) -> None:
    path = Target("/" + "a" * 20_000).octets
    pattern = Pattern(b"/" + b"*a" * 4_000 + b"*" + end.encode())
    assert pattern.matches(path) is ("b" not in end)
    assert steps(lambda: pattern.matches(path)) < 20 * 4_000
