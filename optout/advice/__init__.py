"""Advises rightsholders about a site's reservations: what is understood, what is not and why, the corrected text.

Pure, as all of optout: captures in, findings out. A rule is a function with ``@rule`` in one of _MODULES.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forbear.optout.advice import informal_optouts, page, robots, rsl, rule_files, tdmrep, words
from forbear.optout.advice.finding import Finding, Fix, Level, Placement, Rule, Site
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question
from forbear.optout.policy import Policy

__all__ = ["RULES", "UNDERSTOOD", "Finding", "Fix", "Level", "Placement", "Rule", "advise", "is_unread"]

_MODULES = (words, tdmrep, robots, rule_files, rsl, page, informal_optouts)

_LEFT_OVER = (
    Rule(
        words.NOT_UNDERSTOOD,
        Level.ERROR,
        "-",
        "All words about training are those of a specification.",
        lambda _: iter(()),
    ),
    Rule(words.DOUBTFUL, Level.WARNING, "-", "Nothing is doubtful to careful crawlers.", lambda _: iter(())),
    Rule(words.REMARK, Level.NOTE, "-", "What crawlers note, and do not mind.", lambda _: iter(())),
)

RULES: tuple[Rule, ...] = (
    *(item for module in _MODULES for item in vars(module).values() if isinstance(item, Rule)),
    *_LEFT_OVER,
)
"""All rules, in the order in which they are asked."""

UNDERSTOOD = words.understood.id
"""The rule whose findings are not faults: what crawlers understand."""

_WEIGHT = {Level.ERROR: 1, Level.WARNING: 2, Level.NOTE: 3}


def advise(
    question: Question, captures: Iterable[Capture], policy: Policy, *, complete: bool = False
) -> tuple[Finding, ...]:
    """Returns findings for the owner of a page: what is understood, then errors, warnings, notes.

    ``complete``: what is not among the captures is not there (Captures). Raises readers.url.NotAUrl; ValueError if
    places are not looked at yet.
    """
    looked_at = tuple(captures)
    known = Captures(looked_at, complete=complete)
    decisions: dict[Profile, Decision] = {}
    for profile in Profile:
        asked = Question(question.url, question.agent, question.use, profile, question.at)
        decision = decide(asked, known, policy)
        if not isinstance(decision, Decision):
            raise ValueError(f"{decision[0].url} has not been looked at yet")
        decisions[profile] = decision
    return tuple(sorted(dict.fromkeys(_found(Site(question, looked_at, known, decisions))), key=_weight))


def is_unread(finding: Finding) -> bool:
    """Returns whether it reports a place that could not be read, not a fault in its content."""
    return finding.rule == page.not_read.id


def _found(site: Site) -> Iterator[Finding]:
    findings = [finding for rule in RULES for finding in rule.findings(site)]
    yield from findings
    yield from words.remaining(site, findings)


def _weight(finding: Finding) -> int:
    return 0 if finding.rule == UNDERSTOOD else _WEIGHT[finding.level]
