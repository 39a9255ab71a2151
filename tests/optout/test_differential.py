"""The robots.txt reader against google/robotstxt and Protego on real files: every difference has a cause."""

from __future__ import annotations

from pathlib import Path

from forbear.optout.model import Capture
from forbear.optout.readers.robots_txt import RobotsTxt
from forbear.optout.readers.text import readable, to_utf8
from tests.optout import differential
from tests.optout.differential import ESCAPED_LETTER, LOWER_CASE, Forbear, Scrapys

BODIES = differential.files()


def test_nothing_is_allowed_that_the_reference_disallows() -> None:
    opened = [found.case for found in differential.compare(Forbear(BODIES)) if not found.case.allowed]
    assert opened == []


def test_what_is_shut_beyond_the_reference_has_a_written_reason() -> None:
    """RFC 9309 2.2.2 and RFC 3986 6.2.2.1: escapes in the URL alone."""
    differences = differential.compare(Forbear(BODIES))
    assert [found for found in differences if not found.causes] == []
    assert {cause for found in differences for cause in found.causes} == {ESCAPED_LETTER, LOWER_CASE}


def test_what_protego_reads_otherwise_has_a_cause() -> None:
    differences = differential.compare(Scrapys(BODIES))
    assert len(differences) > 100
    assert [found for found in differences if not found.causes] == []


def test_the_page_says_what_the_readers_do() -> None:
    page = Path(__file__).parents[2] / "docs" / "explanation" / "differential.md"
    assert page.read_text(encoding="utf-8") == differential.page()


def test_every_real_file_is_read_and_quoted_line_by_line() -> None:
    """RFC 9309 2.2: each rule's quotation is its own line, and its number is that of the line."""
    for host, body in BODIES.items():
        file = RobotsTxt(Capture(f"https://{host}/robots.txt", 200, (), body))
        lines = to_utf8(body).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for rule in (rule for group in file.groups for rule in group.rules):
            line = lines[int(file.where(rule).removeprefix("line ")) - 1]
            assert file.quote(rule) == readable(line.partition(b"#")[0].strip(b" \t"))


def test_the_speed_of_both_readers_is_compared_in_one_run() -> None:
    """The comparison of speed runs; its figures are for people, since they depend on the machine."""
    assert differential.speed().count("ratio") == 2
