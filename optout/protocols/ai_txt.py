"""Reads Spawning's ``/ai.txt``: rules in the form of robots.txt, for kinds of files.

The format has no grammar, so it is read as its generator writes it. Of rules with the same length, all count.

As of 30 May 2023.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import islice

from forbear.optout.captures import Hop
from forbear.optout.model import ALWAYS, IN_STRICT, Capture, Gap, Preference, Reading, Statement, StatementStatus, Use
from forbear.optout.readers import informal_optouts, prose, robots_txt
from forbear.optout.readers.pattern import Target
from forbear.optout.readers.robots_txt import LIMIT, Match, RobotsTxt, Rules
from forbear.optout.readers.text import human_size, readable, to_utf8

NAME = "ai-txt"
PLACES: tuple[str, ...] = ("/ai.txt",)

MOST_STATEMENTS = 64
"""Matching rules, and rules that cannot match, that are listed for one URL."""

# Anything but blank lines and comments.
_WORDS = re.compile(rb"^[ \t]*+[^\s#]", re.MULTILINE)
_TRAINING = frozenset({Use.TRAIN_AI})


def read(hop: Hop) -> Reading:
    """Yields the rules for the asking agent that cover the URL; the longest decides, of the same length a Disallow."""
    capture = yield from hop.look(NAME, hop.url.origin + PLACES[0])
    if capture is None:
        return
    file = robots_txt.parse(capture)
    rules = file.rules_for(hop.question.agent)
    yield from _doubts(capture, file, rules)
    if file.foreign in ("", "malformed"):
        yield from _flagged(capture, is_prose=not file.groups)
    if file.foreign:
        return
    matches = _matches(rules, *hop.of_target(partial(_covering, rules)))
    for match in matches[:MOST_STATEMENTS]:
        # Nothing says which rule wins at the same length, so all of that length count, and a no beats a yes.
        force = StatementStatus.STANDING if match.length == matches[0].length else StatementStatus.SUPERSEDED
        preference = Preference.ALLOW if match.allows else Preference.DISALLOW
        yield Statement(NAME, preference, file.quote(match.line), file.source, file.where(match.line), _TRAINING, force)


def _flagged(capture: Capture, *, is_prose: bool) -> tuple[Statement, ...]:
    """Yields wishes in another form than Spawning's: dialects (``Training: deny``), other drafts, plain prose."""
    if NAME not in capture.memo:
        found = [(wish.preference, wish.quote, wish.line) for wish in informal_optouts.in_lines(capture.body)]
        body = re.sub(rb"\r\n?", b"\n", to_utf8(capture.body[:LIMIT])) if is_prose else b""
        for at, sentence in islice(prose.reserving(body), MOST_STATEMENTS):
            found.append((Preference.DISALLOW, readable(sentence), body.count(b"\n", 0, at) + 1))
        note = "Spawning's form has User-Agent, Disallow and Allow with patterns alone."
        capture.memo[NAME] = tuple(
            Statement(NAME, preference, quote, capture.url, f"line {line}", _TRAINING, StatementStatus.FLAGGED, note)
            for preference, quote, line in found
        )
    known: tuple[Statement, ...] = capture.memo[NAME]
    return known


def _covering(rules: Rules, target: Target) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the rules that cover a target, and those that cover it in small letters."""
    lower = target.text.lower()
    return rules.covering(target), rules.covering(Target(lower)) if target.text != lower else ()


def _matches(rules: Rules, covering: tuple[int, ...], in_small_letters: tuple[int, ...]) -> list[Match]:
    """Returns the matching rules, the deciding one first; a no about ``.jpg`` covers ``.JPG`` too."""
    matches = rules.matches(covering)
    known = {match.line.start for match in matches}
    lower = (match for match in rules.matches(in_small_letters) if match.line.value.startswith(b"*."))
    matches += (match for match in lower if not match.allows and match.line.start not in known)
    matches.sort(key=lambda match: match.rank, reverse=True)
    return matches


def _doubts(capture: Capture, file: RobotsTxt, rules: Rules) -> Reading:
    if file.foreign:
        detail = "It is something other than an ai.txt: it has no rules."
        yield Gap(NAME, file.foreign, file.source, "beginning of the file", detail, IN_STRICT)
    elif not file.groups and _WORDS.search(capture.body):
        detail = "The file has no User-agent line: it is in another form than Spawning's."
        yield Gap(NAME, "malformed", file.source, "whole file", detail, IN_STRICT)
    if file.too_large:
        yield Gap(
            NAME, "too-large", file.source, f"octet {LIMIT}", f"Only the first {human_size(LIMIT)} are read.", ALWAYS
        )
    for line in rules.unmatchable[:MOST_STATEMENTS]:
        if line.key == b"disallow":
            detail = "A pattern that begins with neither / nor * covers no URL (RFC 9309 2.2.3)."
            yield Gap(NAME, file.quote(line), file.source, file.where(line), detail, IN_STRICT)
