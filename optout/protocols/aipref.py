"""Reads AIPREF: ``Content-Usage``, as a response header and, with paths, in robots.txt.

Each use has its own preference; a use that is not mentioned is not reserved.

"attach" is draft-ietf-aipref-attach-05 (19 August 2026), "vocab" is draft-ietf-aipref-vocab-08 (14 September 2026).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from forbear.optout.captures import Hop
from forbear.optout.model import (
    AI_USES,
    EVERY_USE,
    IN_STRICT,
    NEVER,
    Capture,
    Gap,
    Preference,
    Reading,
    Statement,
    StatementStatus,
    Use,
)
from forbear.optout.protocols import robots
from forbear.optout.readers import informal_optouts, robots_txt, structured_headers
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.pattern import Pattern, Target
from forbear.optout.readers.robots_txt import Line, RobotsTxt
from forbear.optout.readers.text import field_octets, readable

NAME = "aipref"
PLACES: tuple[str, ...] = ()

_FIELD = "content-usage"
# vocab-08 4: the categories; -07 has the first two of them.
_LABELS = {"train-ai": Use.TRAIN_AI, "search": Use.SEARCH, "ai-use": Use.AI_USE}
# Labels of vocab-00 to -06 that vocab-08 has not; those of a parent spoke for its children unless a child had its own.
_TRAINING = frozenset({Use.TRAIN_AI})
_OLD_LABELS = {"train-genai": _TRAINING, "genai": _TRAINING, "ai": _TRAINING}
_OLD_PARENTS = {"tdm": AI_USES, "all": EVERY_USE, "bots": EVERY_USE}
_PREFERENCES = {"y": Preference.ALLOW, "n": Preference.DISALLOW}
_PATH = re.compile(rb"(/[^ \t]*)[ \t]*(.*)", re.DOTALL)
_SAID_NO = re.compile(rb"(?:^|,)[ \t]*(train-ai|search|ai-use)=n(?=[ \t]*(?:[;,]|$))")

MOST_RULES = 5_000
"""Rules of one group that are read."""
MOST_STATEMENTS = 64
"""Rules that are listed for one URL."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of a dictionary; ``written`` is found in the field."""

    written: bytes
    preference: Preference
    uses: frozenset[Use]
    force: StatementStatus = StatementStatus.STANDING
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Usage:
    """What one field or rule says; ``error`` is why it says nothing, or empty."""

    members: tuple[_Member, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of robots.txt (attach 3.2); no pattern for a rule without a path, which is the shortest of all."""

    pattern: Pattern | None
    usage: _Usage
    quote: str
    where: str

    @property
    def length(self) -> int:
        """Returns the length of the path in bytes."""
        return self.pattern.length if self.pattern else 0

    def covers(self, target: Target) -> bool:
        """Returns whether it is about this target."""
        return self.pattern is None or self.pattern.matches(target.octets)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of the agent's groups, what is doubtful about them, and the rules in other groups."""

    own: tuple[_Rule, ...]
    gaps: tuple[Gap, ...]
    others: tuple[_Rule, ...]

    def covering(self, target: Target) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns the positions of those that are about a target, of its own and of the others."""
        own, others = (
            tuple(number for number, rule in enumerate(rules) if rule.covers(target))
            for rules in (self.own, self.others)
        )
        return own, others


def read(hop: Hop) -> Reading:
    """Yields what robots.txt says of the URL and the header of the answer; any disallow counts (vocab 5.1)."""
    capture = robots.capture_of(hop)
    if capture is not None:
        yield from _in_robots_txt(hop, capture)
    if hop.page is not None:
        yield from _header(hop.page)


def _in_robots_txt(hop: Hop, capture: Capture) -> Reading:
    """Yields what the rules of robots.txt say: the longest path decides, all rules with it apply (attach 3.1)."""
    file, agent = robots_txt.parse(capture), hop.question.agent
    memo = f"{NAME} {agent}"
    if memo not in capture.memo:
        capture.memo[memo] = _rules(file, agent)
    rules: _Rules = capture.memo[memo]
    yield from rules.gaps
    if not rules.own and not rules.others:
        return
    access = file.rules_for(agent)
    decisive = access.matches(hop.of_target(access.covering)[:1])
    if decisive and not decisive[0].allows and not hop.of_target(robots.is_robots_txt):
        return  # Attach 3: a path that may not be crawled has no usage preference.
    own, others = hop.of_target(rules.covering)
    covering = sorted((rules.own[number] for number in own), key=lambda rule: rule.length, reverse=True)
    longest = next((rule.length for rule in covering if not rule.usage.error), -1)
    for rule in covering[:MOST_STATEMENTS]:
        if rule.usage.error:
            # Absent, by RFC 9651 4.2; and no doubt either where a longer path decides.
            if rule.length >= longest:
                yield from _unread(rule.usage.error, rule.quote, file.source, rule.where)
            continue
        for member in rule.usage.members:
            force = member.force if rule.length == longest else StatementStatus.SUPERSEDED
            yield _statement(member, rule.quote, file.source, rule.where, force)
    spoken = frozenset(use for rule in covering for member in rule.usage.members for use in member.uses)
    yield from _elsewhere([rules.others[number] for number in others], spoken, file)


def _elsewhere(rules: list[_Rule], spoken: frozenset[Use], file: RobotsTxt) -> Iterator[Statement]:
    """Yields rules of other groups, or of none, about uses that our own groups do not mention."""
    note = "It is in a group of other crawlers, or in none, and so is not for this one (RFC 9309 2.2.1)."
    for rule in rules[:MOST_STATEMENTS]:
        for member in rule.usage.members:
            if member.uses - spoken:
                flagged = replace(member, uses=member.uses - spoken, note=note)
                yield _statement(flagged, rule.quote, file.source, rule.where, StatementStatus.FLAGGED)


def _rules(file: RobotsTxt, agent: str) -> _Rules:
    """Returns the rules of the agent's groups (attach 3.2), and the others."""
    rules: list[_Rule] = []
    gaps: list[Gap] = []
    for line in file.records(_FIELD, agent):
        if len(rules) == MOST_RULES:
            detail = f"The file has more than {MOST_RULES} such rules for this crawler."
            gaps.append(Gap(NAME, file.quote(line), file.source, file.where(line), detail))
            break
        rules.append(_rule(line, file))
    misplaced = next(file.ungrouped(_FIELD), None)
    if misplaced is not None:
        detail = "A rule before the first User-agent line is in no group, and so for nobody (RFC 9309 2.1)."
        gaps.append(Gap(NAME, file.quote(misplaced), file.source, file.where(misplaced), detail, IN_STRICT))
    others = (_rule(line, file) for line in islice(file.elsewhere(_FIELD, agent), MOST_RULES))
    return _Rules(tuple(rules), tuple(gaps), tuple(others))


def _rule(line: Line, file: RobotsTxt) -> _Rule:
    match = _PATH.match(line.value)
    path, value = (Pattern(match[1]), match[2]) if match else (None, line.value)
    return _Rule(path, _usage(value), file.quote(line), file.where(line))


def _header(page: Capture) -> Reading:
    """Yields what the response header says of this very answer; several field lines are one field (attach 2)."""
    lines = [field_octets(line.strip(" \t")) for line in page.header(_FIELD)]
    usage = _usage(b", ".join(lines))
    where = f"header {_FIELD}"
    if usage.error:
        for line in filter(None, lines):
            yield from _unread(usage.error, readable(line), page.url, where)
    for member in usage.members:
        line = next(line for line in reversed(lines) if member.written in line)
        yield _statement(member, readable(line), page.url, where, member.force)


def _usage(field: bytes) -> _Usage:
    """Yields what a field says: y allows, n disallows, anything else is unknown and not an error (vocab 6)."""
    try:
        members = structured_headers.dictionary(field)
    except Unreadable as error:
        return _Usage(error=str(error))
    spoken = frozenset(_LABELS[label] for label, value in members.items() if label in _LABELS and value in _PREFERENCES)
    known = (_member(label, value, spoken) for label, value in members.items())
    return _Usage(tuple(chain(known, _taken_back(field, members))))


def _member(label: str, value: str | None, spoken: frozenset[Use]) -> _Member:
    preference = _PREFERENCES.get(value or "", Preference.UNKNOWN)
    if preference is Preference.UNKNOWN:
        note = f"The value of {label} is neither the Token y nor n, and so unknown (vocab 6.5)."
        meant = informal_optouts.of(label, value or "") if label in _LABELS else None
        if meant:
            return _Member(
                f"{label}={value}".encode(), meant, frozenset({_LABELS[label]}), StatementStatus.FLAGGED, note
            )
        return _Member(label.encode(), preference, frozenset(), note=note)
    written = f"{label}={value}".encode()
    if label in _LABELS:
        return _Member(written, preference, frozenset({_LABELS[label]}))
    note = f"{label} is not a category of the vocabulary (vocab 6.4)."
    uses = _OLD_LABELS.get(label) or _OLD_PARENTS.get(label, frozenset()) - spoken
    return _Member(written, preference, uses, StatementStatus.FLAGGED if uses else StatementStatus.STANDING, note)


def _taken_back(field: bytes, members: dict[str, str | None]) -> Iterator[_Member]:
    """Yields a no that a later value of the same key puts aside (vocab 6.5.1): a contradiction all the same."""
    for label in dict.fromkeys(match[1].decode() for match in _SAID_NO.finditer(field)):
        if members.get(label, "n") != "n":
            note = "A later value of the same key counts instead (vocab 6.5.1)."
            uses = frozenset({_LABELS[label]})
            yield _Member(f"{label}=n".encode(), Preference.DISALLOW, uses, StatementStatus.CONTRADICTED, note)


def _statement(member: _Member, quote: str, source: str, where: str, force: StatementStatus) -> Statement:
    return Statement(NAME, member.preference, quote, source, where, member.uses, force, member.note)


def _unread(error: str, quote: str, source: str, where: str) -> Iterator[Statement | Gap]:
    """Yields what a field that fails to parse leaves: it does not count (RFC 9651 4.2), its meaning is unknown."""
    yield Statement(NAME, Preference.DISALLOW, quote, source, where, EVERY_USE, StatementStatus.MALFORMED, error)
    yield Gap(NAME, quote, source, where, error, NEVER)
