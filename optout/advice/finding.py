"""Findings for a rightsholder, the rules that make them, and the site that the rules look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from forbear.optout.captures import Captures, Hop
from forbear.optout.model import Capture, Decision, Gap, Preference, Profile, Question, Statement, StatementStatus, Use
from forbear.optout.readers import url as urls
from forbear.optout.readers.url import Url

TDMREP_JSON = "/.well-known/tdmrep.json"
ROBOTS_TXT = "/robots.txt"
MOST = 64
"""Findings of one rule that are reported for a page."""


class Level(StrEnum):
    """Severity of a finding: lost words, words that some readers read differently, or information."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Placement(StrEnum):
    """Where a correction goes."""

    FILE = "the whole file"
    LINE = "in place of this line"
    HEADER = "response header of each page"
    HEAD = "in the head of each page"
    ROBOTS = "robots.txt, before its first User-agent line"


@dataclass(frozen=True, slots=True)
class Fix:
    """A correction ready to copy: in its place, it is read as the site seems to mean it.

    ``where`` is the line that it takes the place of, where that is another than the finding's.
    """

    text: str
    goes: Placement
    where: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """What a rule yields: one sentence for the owner, the site's own words, and their place.

    ``quote`` is in the capture of ``source``; it is empty where something is missing.
    """

    message: str
    quote: str
    source: str
    where: str
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found; ``section`` is the section of the specification."""

    rule: str
    level: Level
    message: str
    section: str
    quote: str
    source: str
    where: str
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A page and the places that reserve it, with the decisions of both profiles."""

    question: Question
    looked_at: tuple[Capture, ...]
    captures: Captures
    decisions: Mapping[Profile, Decision]

    @property
    def url(self) -> Url:
        """Returns the page asked about."""
        return urls.parse(self.question.url)

    @property
    def page(self) -> Capture | None:
        """Returns the page itself, after its redirects, if it was fetched and is there."""
        return self._at(self.question.url)

    def file(self, path: str) -> Capture | None:
        """Returns the file at a path of the site, after its redirects, if it was fetched and exists."""
        return self._at(self.url.origin + path)

    def is_absent(self, path: str) -> bool:
        """Returns whether a path of the site is known to have no file."""
        return Hop(self.question, self.url, self.captures).is_absent(self.url.origin + path)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Returns all that could not be read, in whatever profile."""
        return tuple(dict.fromkeys(gap for decision in self.decisions.values() for gap in decision.gaps))

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Returns all that was read, in whatever profile."""
        return tuple(dict.fromkeys(s for decision in self.decisions.values() for s in decision.statements))

    def reserving(self) -> list[Statement]:
        """Returns the words that reserve the page from training by their protocol's own rules."""
        return [s for s in self.statements if s.preference is Preference.DISALLOW and _stands(s)]

    def allowing(self) -> list[Statement]:
        """Returns the words that give the page to training by their protocol's own rules."""
        return [s for s in self.statements if s.preference is Preference.ALLOW and _stands(s)]

    def missed(self, protocol: str = "") -> list[Statement]:
        """Returns words that miss their specification though a wish can be seen in them; of one protocol or of all."""
        missed = (StatementStatus.MALFORMED, StatementStatus.FLAGGED)
        return [s for s in self.statements if s.force in missed and protocol in ("", s.protocol)]

    def _at(self, url: str) -> Capture | None:
        looking = Hop(self.question, self.url, self.captures).look("", urls.parse(url).href)
        try:
            while True:
                next(looking)
        except StopIteration as end:
            capture: Capture | None = end.value
            return capture


_ABOUT_ACCESS = frozenset({"robots", "robots-intent", "access", "operator", "infringing-list", "unreachable"})


def _stands(statement: Statement) -> bool:
    """Returns whether a statement is about training and in force; rules of access and the operator's lists are not."""
    about_training = Use.TRAIN_AI in statement.uses and statement.protocol not in _ABOUT_ACCESS
    return about_training and statement.force is StatementStatus.STANDING


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is looked for; ``title`` is a sentence for a list of all rules."""

    id: str
    level: Level
    section: str
    title: str
    look: Callable[[Site], Iterator[Remark]]

    def findings(self, site: Site) -> Iterator[Finding]:
        """Yields at most MOST findings of the rule, since more of the same add nothing."""
        for found in islice(self.look(site), MOST):
            yield Finding(
                self.id, self.level, found.message, self.section, found.quote, found.source, found.where, found.fix
            )


def rule(name: str, level: Level, section: str, title: str) -> Callable[[Callable[[Site], Iterator[Remark]]], Rule]:
    """Makes a Rule of the function that looks for it."""
    return lambda look: Rule(name, level, section, title, look)
