"""Decides: a question, captures and a policy give a decision, or the places that must be looked at first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forbear.optout.captures import MAX_REDIRECTS, Captures, Hop, failure, is_refusal, redirect
from forbear.optout.model import (
    Capture,
    Decision,
    Gap,
    Place,
    Preference,
    Profile,
    Question,
    Reading,
    Reason,
    Stage,
    Statement,
    Use,
    Verdict,
)
from forbear.optout.policy import OPERATOR, Effect, Policy
from forbear.optout.protocols import PROTOCOLS, Protocol, infringing_list, operator, robots
from forbear.optout.readers import url as urls

UNREACHABLE = "unreachable"

_LISTS = frozenset({OPERATOR, infringing_list.NAME})
"""A site that they exclude gets no request at all."""


def decide(question: Question, captures: Captures, policy: Policy) -> Decision | tuple[Place, ...]:
    """Answers the question from the captures, or names the places that must be looked at before it can be answered.

    Raises readers.url.NotAUrl if the question's URL is not an http(s) URL. A decision of stage ``request`` is about
    ``decision.url``, which is not among the captures: whether it may be requested now. With its capture added, ask
    again; stage ``page`` is the last word: whether the copy may be kept.
    """
    steps, stage, failures = _chain(question, captures, policy)
    return decide_of(steps, stage, steps[-1].url.href, failures)


def decide_of(
    steps: Sequence[Hop], stage: Stage, url: str, failures: Iterable[Gap] = ()
) -> Decision | tuple[Place, ...]:
    """Like ``decide``, for a resolved redirect chain that ends at ``url``; ``failures`` are the gaps on the way."""
    question, captures, policy = steps[0].question, steps[0].captures, steps[0].policy
    found: list[Statement | Gap | Place] = list(failures)
    for step in steps:
        for protocol in PROTOCOLS:
            if protocol.NAME in policy.protocols:  # a policy of old does not know what came later
                found += _read(protocol, step)
    found = list(dict.fromkeys(found))
    statements = tuple(item for item in found if isinstance(item, Statement))
    gaps = tuple(item for item in found if isinstance(item, Gap))
    places = [item for item in found if isinstance(item, Place)]
    refused = any(s.protocol in _LISTS and policy.counts(s, question.use, question.profile) for s in statements)
    if places and not refused:
        wanted, shut = _may_look(places, question, captures, policy)
        if wanted:
            return wanted
        gaps += tuple(gap for gap in shut if (gap.quote, gap.source) not in {(g.quote, g.source) for g in gaps})
    return _judge(question, policy, stage, url, statements, gaps)


def judge_again(
    question: Question, captures: Captures, policy: Policy, url: str, read_then: Iterable[Statement | Gap]
) -> Decision:
    """Judges a page whose content was not kept, by the statements and gaps that were read in it then.

    ``url`` is the canonical URL that the decision ended at. What a licence of the operator lifts is not among what was
    read then, so the list is read again.
    """
    of_list: list[Statement | Gap] = []
    for step in dict.fromkeys((urls.parse(question.url).href, url)):
        hop = Hop(question, urls.parse(step), captures, policy=policy)
        of_list += (item for item in _read(operator, hop) if not isinstance(item, Place))
    known = policy.protocols.keys() - {OPERATOR}
    found = dict.fromkeys([*of_list, *(item for item in read_then if item.protocol in known)])
    statements = tuple(item for item in found if isinstance(item, Statement))
    gaps = tuple(item for item in found if isinstance(item, Gap))
    return _judge(question, policy, Stage.PAGE, url, statements, gaps)


def _judge(
    question: Question,
    policy: Policy,
    stage: Stage,
    url: str,
    statements: tuple[Statement, ...],
    gaps: tuple[Gap, ...],
) -> Decision:
    """Returns the verdict of the question's profile with its reasons, and beside it that of the other profile."""
    lifted = policy.lifted(statements)
    found: list[Gap | Statement] = [item for item in gaps if item.protocol not in lifted]
    found += (item for item in statements if item.protocol not in lifted)
    judged = {profile: _verdict(found, question.use, profile, policy) for profile in Profile}
    verdict, because = judged[question.profile]
    unread = {(gap.protocol, gap.source) for gap in because if isinstance(gap, Gap) and not is_refusal(gap)}
    reasons = dict.fromkeys(_because(item, (item.protocol, item.source) in unread, policy) for item in because)
    verdicts = {profile: verdict for profile, (verdict, _) in judged.items()}
    return Decision(verdict, stage, url, tuple(reasons), statements, gaps, verdicts)


def _verdict(
    found: list[Gap | Statement], use: Use, profile: Profile, policy: Policy
) -> tuple[Verdict, list[Gap | Statement]]:
    """Excludes for any standing reservation, else defers for any place that could not be read, else allows.

    In ``strict``, a plain wish in words that no specification carries is a doubt that defers too.
    """
    effects = [(item, policy.effect(item, use, profile)) for item in found]
    for effect, verdict in ((Effect.EXCLUDES, Verdict.EXCLUDED), (Effect.DEFERS, Verdict.DEFERRED)):
        because = [item for item, its in effects if its is effect]
        if because:
            return verdict, because
    return Verdict.ALLOWED, []


def _because(item: Statement | Gap, unread: bool, policy: Policy) -> Reason:
    """Returns the reason that a statement or gap gives, under the name of its protocol.

    ``unread``: the place could not be read properly, and what can be seen in it is a part of that doubt.
    """
    name = UNREACHABLE if unread else item.protocol
    preference = item.preference if isinstance(item, Statement) and not unread else Preference.UNKNOWN
    return Reason(name, preference, item.quote, item.source, item.where, policy.measure(item.protocol))


def _chain(question: Question, captures: Captures, policy: Policy) -> tuple[list[Hop], Stage, list[Gap]]:
    """Returns the hops from the URL asked about along its redirects, each bound by the rules of its own host."""
    url = urls.parse(question.url)
    steps: list[Hop] = []
    for _ in range(MAX_REDIRECTS + 1):
        capture = captures.get(url.href)
        target = redirect(capture) if capture else None
        if target is None:
            gap = failure(capture, UNREACHABLE) if capture else None
            page = capture if _is_copy(capture) and not gap else None
            steps.append(Hop(question, url, captures, page, policy))
            return steps, Stage.PAGE if capture else Stage.REQUEST, [gap] if gap else []
        steps.append(Hop(question, url, captures, policy=policy))
        if any(target.href == step.url.href for step in steps):
            break
        url = target
    last = steps[-1].url.href
    gap = Gap(UNREACHABLE, "too many redirects", last, "header location", f"More than {MAX_REDIRECTS} redirects.")
    return steps, Stage.PAGE, [gap]


def _is_copy(capture: Capture | None) -> bool:
    return capture is not None and capture.status is not None and 200 <= capture.status < 300


def _read(protocol: Protocol, step: Hop) -> Reading:
    """Yields what a protocol finds; a reader that fails leaves a gap that defers, whatever its failure was."""
    try:
        yield from protocol.read(step)
    except MemoryError:
        raise  # says more of the machine than of the site
    except Exception as error:  # noqa: BLE001 - a bug in one reader must neither open a door nor end the crawl
        source = step.page.url if step.page else step.url.href
        detail = f"The reader of {protocol.NAME} failed: {type(error).__name__}: {error}"
        yield Gap(protocol.NAME, "unreadable", source, "reader", detail)


def _may_look(
    places: list[Place], question: Question, captures: Captures, policy: Policy
) -> tuple[tuple[Place, ...], tuple[Gap, ...]]:
    """Returns the places that may be requested now, robots.txt first; one that robots.txt shuts is a gap.

    Rules bind whatever is accessed (RFC 9309 2.2.2), files that hold reservations included. What a robots.txt names
    or redirects to is followed as RFC 9309 2.3.1.2 has it.
    """
    rules = tuple(place for place in places if place.protocol == robots.NAME)
    if rules:
        return rules, ()
    wanted: list[Place] = []
    shut: list[Gap] = []
    for place in places:
        for item in _read(robots, Hop(question, urls.parse(place.url), captures, policy=policy)):
            if isinstance(item, Place):
                return (item,), ()
            if isinstance(item, Gap) and policy.defers(item, question.use, question.profile):
                of = item.protocol if is_refusal(item) else place.protocol
                shut.append(Gap(of, item.quote, item.source, item.where, f"{place.url}: {item.detail}"))
                break
            if isinstance(item, Statement) and policy.counts(item, question.use, question.profile):
                detail = f"robots.txt shuts {place.url}, so it was not asked for."
                shut.append(Gap(place.protocol, item.quote, item.source, item.where, detail))
                break
        else:
            wanted.append(place)
    return tuple(dict.fromkeys(wanted)), tuple(shut)
