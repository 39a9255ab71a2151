"""The first and the last rules: what is understood, and whatever no other rule reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forbear.optout import policy
from forbear.optout.advice.finding import Finding, Fix, Level, Placement, Remark, Site, rule
from forbear.optout.model import NEVER, Gap, Preference, Profile, Statement, StatementStatus, Use
from forbear.optout.policy import Effect

_FIXES = {
    "aipref": Fix("Content-Usage: train-ai=n", Placement.LINE),
    "content-signal": Fix("Content-Signal: ai-train=no", Placement.LINE),
    "trust-txt": Fix("datatrainingallowed=no", Placement.LINE),
}


@rule("words/understood", Level.NOTE, "-", "What crawlers understand, and what they do then.")
def understood(site: Site) -> Iterator[Remark]:
    """Reports each statement that counts by its own protocol's rules."""
    for statement in site.statements:
        if statement.force is StatementStatus.STANDING:
            effect = _effect(statement)
            title = policy.load().protocols[statement.protocol]
            message = f"{title.title} ({title.specification}, {title.version}): {effect}"
            yield Remark(message, statement.quote, statement.source, statement.where)


def _effect(statement: Statement) -> str:
    effects = policy.load().protocols[statement.protocol].effects
    heard = effects[Profile.STANDARD, StatementStatus.STANDING] is Effect.EXCLUDES
    careful = "crawlers that read it" if heard else "careful crawlers"
    uses = ", ".join(sorted(statement.uses))
    if statement.protocol == "robots" and statement.preference is Preference.ALLOW:
        return "crawlers may fetch the page; this does not say what they may use it for."
    if statement.preference is Preference.ALLOW:
        return f"it gives leave, as far as this protocol goes ({uses})."
    if statement.preference is Preference.UNKNOWN or not uses:
        return f"it is recorded, and decides nothing here. {statement.note}".rstrip()
    if statement.uses == frozenset(Use):
        return f"{careful} leave the page alone, whatever for."
    return f"{careful} do not use the page for {uses}."


@rule("words/nothing-said", Level.NOTE, "-", "The site says something about training.")
def nothing_said(site: Site) -> Iterator[Remark]:
    """Reports that no place says anything about AI training, in any form."""
    speaks_of_training = any(Use.TRAIN_AI in s.uses and s.protocol != "robots" for s in site.statements)
    if not speaks_of_training and not any(decision.reasons for decision in site.decisions.values()):
        message = "No place says anything about AI training of this page: crawlers may take it."
        yield Remark(message, "", site.question.url, "whole site")


NOT_UNDERSTOOD = "words/not-understood"
DOUBTFUL = "words/doubtful"
REMARK = "words/remark"


def remaining(site: Site, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Reports what no other rule has reported: whatever a protocol learns to doubt is reported at once."""
    reported = {(finding.source, finding.where) for finding in findings if finding.rule != "words/understood"}
    sources = {finding.source for finding in findings if finding.level is not Level.NOTE}
    protocols = policy.load().protocols
    for statement in site.missed():
        if not _is_reported(statement, reported, sources):
            level = Level.ERROR if statement.preference is Preference.DISALLOW else Level.WARNING
            if statement.force is StatementStatus.FLAGGED and site.reserving():
                level = Level.NOTE  # crawlers are reported the same elsewhere
            message = statement.note or "The words are none of the specification's, whatever their wish."
            fix = _FIXES.get(statement.protocol) if statement.preference is Preference.DISALLOW else None
            section = protocols[statement.protocol].specification
            reported.add((statement.source, statement.where))
            yield Finding(
                NOT_UNDERSTOOD, level, message, section, statement.quote, statement.source, statement.where, fix
            )
    # What keeps crawlers from a place leaves no doubt if it keeps them from the page as well.
    reported |= {(statement.source, statement.where) for statement in site.statements}
    for gap in site.gaps:
        if not _is_reported(gap, reported, sources):
            reported.add((gap.source, gap.where))
            doubtful = gap.defers != NEVER
            name, level = (DOUBTFUL, Level.WARNING) if doubtful else (REMARK, Level.NOTE)
            section = protocols[gap.protocol].specification
            yield Finding(name, level, gap.detail, section, gap.quote, gap.source, gap.where)


def _is_reported(item: Statement | Gap, reported: set[tuple[str, str]], sources: set[str]) -> bool:
    """Returns whether another finding covers it; robots.txt and pages hold words of several protocols."""
    own_file = item.protocol in ("tdmrep", "ai-txt", "trust-txt", "rsl") and "header" not in item.where
    whole = item.where in ("whole file", "beginning of the file")
    return (item.source, item.where) in reported or (item.source in sources and (own_file or whole))
