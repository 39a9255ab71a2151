"""The one decision: a question, what is known, a policy; out comes a decision, or the places still to look at."""

from __future__ import annotations

from collections.abc import Iterable

from optout.captures import MAX_REDIRECTS, Asked, Captures, failure, redirect
from optout.model import (
    Capture,
    Decision,
    Gap,
    Place,
    Preference,
    Question,
    Reading,
    Reason,
    Stage,
    Statement,
    Verdict,
)
from optout.policy import OPERATOR, Policy
from optout.protocols import PROTOCOLS, Protocol, robots
from optout.readers import url as urls

UNREACHABLE = "unreachable"


def decide(question: Question, captures: Captures, policy: Policy) -> Decision | tuple[Place, ...]:
    """Answers the question from the captures, or names the places that must be looked at before it can be answered.

    Raises readers.url.NotAUrl if the question's URL is no http(s) URL. A decision of stage ``request`` is about
    ``decision.url``, which is not among the captures: whether it may be requested now. With its capture added, ask
    again; stage ``page`` is the last word: whether the copy may be kept.
    """
    steps, stage, found = _chain(question, captures)
    for step in steps:
        for protocol in PROTOCOLS:
            found += _read(protocol, step)
    found = list(dict.fromkeys(found))
    statements = tuple(item for item in found if isinstance(item, Statement))
    gaps = tuple(item for item in found if isinstance(item, Gap))
    places = [item for item in found if isinstance(item, Place)]
    refused = any(s.protocol == OPERATOR and policy.counts(s, question.use, question.profile) for s in statements)
    if places and not refused:
        wanted, shut = _may_look(places, question, captures, policy)
        if wanted:
            return wanted
        gaps += tuple(gap for gap in shut if (gap.quote, gap.source) not in {(g.quote, g.source) for g in gaps})
    return _judge(question, policy, stage, steps[-1].url.href, statements, gaps)


def _judge(
    question: Question,
    policy: Policy,
    stage: Stage,
    url: str,
    statements: tuple[Statement, ...],
    gaps: tuple[Gap, ...],
) -> Decision:
    """Any standing reservation excludes; else any place that could not be read defers; else nothing was reserved.

    In ``strict``, a plain wish in words that no specification carries is a doubt that defers too.
    """
    lifted = policy.lifted(statements)

    def decision(verdict: Verdict, reasons: Iterable[Reason] = ()) -> Decision:
        return Decision(verdict, stage, url, tuple(dict.fromkeys(reasons)), statements, gaps)

    standing = [s for s in statements if policy.counts(s, question.use, question.profile) and s.protocol not in lifted]
    if standing:
        return decision(Verdict.EXCLUDED, (_because(s, s.protocol, s.preference, policy) for s in standing))
    doubts: list[Statement | Gap] = [g for g in gaps if question.profile in g.defers]
    doubts += (s for s in statements if policy.defers(s, question.use, question.profile))
    blocking = [doubt for doubt in doubts if doubt.protocol not in lifted]
    if blocking:
        return decision(Verdict.DEFERRED, (_because(d, UNREACHABLE, Preference.UNKNOWN, policy) for d in blocking))
    return decision(Verdict.ALLOWED)


def _because(item: Statement | Gap, protocol: str, preference: Preference, policy: Policy) -> Reason:
    measure = policy.measure(item.protocol)
    return Reason(protocol, preference, item.quote, item.source, item.where, measure)


def _chain(question: Question, captures: Captures) -> tuple[list[Asked], Stage, list[Statement | Gap | Place]]:
    """The steps from the URL asked about along its redirects; every step is bound by the rules of its own place."""
    url = urls.parse(question.url)
    steps: list[Asked] = []
    for _ in range(MAX_REDIRECTS + 1):
        capture = captures.get(url.href)
        target = redirect(capture) if capture else None
        if target is None:
            gap = failure(capture, UNREACHABLE) if capture else None
            steps.append(Asked(question, url, captures, capture if _is_copy(capture) and not gap else None))
            return steps, Stage.PAGE if capture else Stage.REQUEST, [gap] if gap else []
        steps.append(Asked(question, url, captures))
        if any(target.href == step.url.href for step in steps):
            break
        url = target
    last = steps[-1].url.href
    gap = Gap(UNREACHABLE, "too many redirects", last, "header location", f"More than {MAX_REDIRECTS} redirects.")
    return steps, Stage.PAGE, [gap]


def _is_copy(capture: Capture | None) -> bool:
    return capture is not None and capture.status is not None and 200 <= capture.status < 300


def _read(protocol: Protocol, step: Asked) -> Reading:
    """What a protocol finds; a reader that fails leaves a gap that defers, whatever its failure was."""
    try:
        yield from protocol.read(step)
    except Exception as error:  # noqa: BLE001 - a bug in one reader must neither open a door nor end the crawl
        source = step.page.url if step.page else step.url.href
        detail = f"The reader of {protocol.NAME} failed: {type(error).__name__}: {error}"
        yield Gap(protocol.NAME, "unreadable", source, "reader", detail)


def _may_look(
    places: list[Place], question: Question, captures: Captures, policy: Policy
) -> tuple[tuple[Place, ...], tuple[Gap, ...]]:
    """Which places may be requested now, robots.txt first; one that robots.txt shuts is a place that cannot be read.

    Rules bind whatever is accessed (RFC 9309 2.2.2), files that hold reservations included. What a robots.txt names
    or redirects to is followed as RFC 9309 2.3.1.2 has it.
    """
    rules = tuple(place for place in places if place.protocol == robots.NAME)
    if rules:
        return rules, ()
    wanted: list[Place] = []
    shut: list[Gap] = []
    for place in places:
        for item in _read(robots, Asked(question, urls.parse(place.url), captures)):
            if isinstance(item, Place):
                return (item,), ()
            if isinstance(item, Gap) and question.profile in item.defers:
                shut.append(Gap(place.protocol, item.quote, item.source, item.where, f"{place.url}: {item.detail}"))
                break
            if isinstance(item, Statement) and policy.counts(item, question.use, question.profile):
                detail = f"robots.txt shuts {place.url}, so it was not asked for."
                shut.append(Gap(place.protocol, item.quote, item.source, item.where, detail))
                break
        else:
            wanted.append(place)
    return tuple(dict.fromkeys(wanted)), tuple(shut)
