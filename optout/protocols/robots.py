"""Reads robots.txt: the rules for the crawler's own product token, or else for ``*``.

The longest match in the group decides. In ``strict``, a robots.txt that is an HTML page, that is answered
with 401 or 403, or that is larger than what is read defers; in ``standard`` it contains no rules.

RFC 9309.
"""

from __future__ import annotations

from collections.abc import Iterator

from forbear.optout.captures import Hop
from forbear.optout.model import (
    EVERY_USE,
    IN_STRICT,
    NEVER,
    Capture,
    Gap,
    Preference,
    Reading,
    Statement,
    StatementStatus,
)
from forbear.optout.readers import robots_mended, robots_txt
from forbear.optout.readers.pattern import Target
from forbear.optout.readers.robots_txt import LIMIT, Match, RobotsTxt, Rules
from forbear.optout.readers.text import human_size

NAME = "robots"
PLACES: tuple[str, ...] = ("/robots.txt",)

MOST_STATEMENTS = 64
"""Matching rules that are listed for one URL; a file can hold tens of thousands that match, and one decides."""


def read(hop: Hop) -> Reading:
    """Yields the rules for the asking agent that cover the URL, and what is doubtful about the file."""
    capture = yield from hop.look(NAME, hop.url.origin + PLACES[0])
    if capture is None:
        return
    file = robots_txt.parse(capture)
    rules = file.rules_for(hop.question.agent)
    yield from _doubts(file, rules)
    if hop.of_target(is_robots_txt):
        return  # RFC 9309 2.2.2: /robots.txt is implicitly allowed.
    covering = hop.of_target(rules.covering)
    matches = rules.matches(covering[: MOST_STATEMENTS + 1])
    for position, match in enumerate(matches[:MOST_STATEMENTS]):
        yield _statement(file, match, StatementStatus.SUPERSEDED if position else StatementStatus.STANDING)
    for match in matches[MOST_STATEMENTS:]:
        detail = (
            f"{len(covering) - MOST_STATEMENTS} more rules cover this URL and are not listed; none of them decides."
        )
        yield Gap(NAME, file.quote(match.line), file.source, "further lines", detail, NEVER)
    if not matches or matches[0].allows:
        yield from _meant(hop, capture)


def _meant(hop: Hop, capture: Capture) -> Iterator[Statement]:
    """Yields a rule that plainly shuts the URL, in a form that RFC 9309 does not read so."""
    mended = robots_mended.of(capture)
    if mended is None:
        return
    rules = mended.file.rules_for(hop.question.agent)
    decisive = next(iter(rules.matches(hop.of_target(rules.covering)[:1])), None)
    if decisive and not decisive.allows:
        quote, where = mended.quote(decisive.line), mended.where(decisive.line)
        note = "It plainly shuts this URL, though not in the form of RFC 9309 2.2, so that no crawler obeys it."
        source = mended.file.source
        yield Statement(NAME, Preference.DISALLOW, quote, source, where, EVERY_USE, StatementStatus.FLAGGED, note)


def is_robots_txt(target: Target) -> bool:
    """Returns whether it is the rules' own file."""
    return target.text == PLACES[0]


def file_of(hop: Hop) -> RobotsTxt | None:
    """Returns the robots.txt of the URL's authority, if it is known and there is one."""
    capture = capture_of(hop)
    return robots_txt.parse(capture) if capture else None


def capture_of(hop: Hop) -> Capture | None:
    """Returns the capture of that robots.txt; gaps on the way to it are left to this protocol's ``read``."""
    look = hop.look(NAME, hop.url.origin + PLACES[0])
    try:
        while True:
            next(look)
    except StopIteration as end:
        capture: Capture | None = end.value
        return capture


def _statement(file: RobotsTxt, match: Match, force: StatementStatus) -> Statement:
    preference = Preference.ALLOW if match.allows else Preference.DISALLOW
    where = file.where(match.line)
    return Statement(NAME, preference, file.quote(match.line), file.source, where, EVERY_USE, force)


def _doubts(file: RobotsTxt, rules: Rules) -> Reading:
    if file.foreign:
        detail = "It is something other than a robots.txt (RFC 9309 2.3.1.5: what can be parsed is used)."
        yield Gap(NAME, file.foreign, file.source, "beginning of the file", detail, IN_STRICT)
    if file.too_large:
        detail = f"Only the first {human_size(LIMIT)} are read (RFC 9309 2.5)."
        yield Gap(NAME, "too-large", file.source, f"octet {LIMIT}", detail, IN_STRICT)
    for line in rules.unmatchable[:MOST_STATEMENTS]:
        detail = "A pattern that begins with neither / nor * covers no URL (RFC 9309 2.2.3)."
        yield Gap(NAME, file.quote(line), file.source, file.where(line), detail, NEVER)
