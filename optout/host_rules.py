r"""Decides about many URLs of a host quickly: a memo of the one decision, never a second opinion.

How it works. Most URLs of a host get the same answers: the same rules cover them. Of a URL that was not fetched yet,
protocols see the host, and learn of its path and query only by asking (``Hop.of_target``): which rules of robots.txt
cover it, which licences. ``_RecordingHop`` records each question with its answer while ``decide`` runs. Another URL of
the host that gives the same answers to the same questions, in the same order, must get the same decision. So the
records form a tree: a node is a question, its branches are the answers, a leaf is an outcome.

    robots.txt:   User-agent: *            rules that cover it?  ──()──▶ allowed     /b, /c, /d …
                  Disallow: /a                                   ──(0,)─▶ excluded   /a, /a/1, /a/2 …

A lookup walks from the root, asks each question and follows the answer; where no branch fits, ``decide`` is asked, and
its record becomes a new branch. Three things keep it exact:

- A reader that looks at the URL in any other way raises ``_LooksAtUrlError``; that URL is decided by ``decide`` alone.
- So is a URL that has been fetched, and robots.txt itself, for which other rules hold (RFC 9309 2.2.2).
- The memo is bounded (MOST_OUTCOMES, MOST_COVERING); what does not fit is decided by ``decide`` each time.

>>> question = Question("https://a.example/", at=datetime(2026, 11, 1, tzinfo=UTC))
>>> file = Capture("https://a.example/robots.txt", 200, (), b"User-agent: *\nDisallow: /a")
>>> from forbear.optout.policy import load
>>> rules = HostRules(question, Captures([file], complete=True), load())
>>> [str(rules.decide(f"https://a.example/{path}").verdict) for path in ("a", "b", "a/1")]
['excluded', 'allowed', 'excluded']
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NoReturn

from forbear.optout.captures import Captures, Hop
from forbear.optout.decide import decide, decide_of
from forbear.optout.model import Capture, Decision, Place, Profile, Question, Stage, Use
from forbear.optout.policy import Policy
from forbear.optout.protocols import robots
from forbear.optout.readers import url as urls
from forbear.optout.readers.pattern import Target
from forbear.optout.readers.url import NotAUrl, Url

Outcome = Decision | tuple[Place, ...]
"""What ``decide`` answers."""

MOST_OUTCOMES = 1_000
"""How many outcomes are kept for a host; any further one is decided each time."""
MOST_COVERING = 256
"""How many rules an answer may have to be kept."""


class HostRules:
    """The decisions about the URLs of one origin (scheme, host and port), by what is known of it.

    ``question`` says who asks, for which use, in which profile, and which origin: that of its URL. Decisions hold for
    the UTC ``day`` of its time, since entries of the operator's lists begin and end by the day. What is added to
    ``captures`` later is not looked at.
    """

    def __init__(self, question: Question, captures: Captures, policy: Policy) -> None:
        url = urls.parse(question.url)
        self.origin = url.origin
        self.day = question.at.astimezone(UTC).date()
        self._question, self._policy = question, policy
        self._captures = Captures(captures, complete=captures.complete)
        self._host = _HostOnly.of(url)
        answered = (capture.url for capture in captures if capture.url.startswith(f"{url.origin}/"))
        self._answered = {robots.PLACES[0], *(known[len(url.origin) :] for known in answered)}
        self._first: dict[None, _Test | SharedOutcome] = {}
        self._kept = 0

    def decide(self, url: str) -> Outcome:
        """Returns exactly what ``decide`` answers to the question about this URL; raises readers.url.NotAUrl."""
        target = self._target(url)
        found = self._find(target) if target else None
        if target is None or found is None:
            return self._decide(url)
        return _with_url(self.origin + target.text, found.outcome)

    def find(self, url: str) -> SharedOutcome:
        """Like ``decide``, for tables: returns one object for all URLs with the same outcome, as far as it is kept."""
        target = self._target(url)
        return (self._find(target) if target else None) or SharedOutcome(self._decide(url))

    def _decide(self, url: str) -> Outcome:
        return decide(replace(self._question, url=url), self._captures, self._policy)

    def _target(self, url: str) -> Target | None:
        """Returns what the decision depends on; nothing for a URL of another origin, or one that has been asked for."""
        if url.startswith(self.origin):
            target = Target(url[len(self.origin) :])
            if target.is_plain:
                return None if target.text in self._answered else target
        parsed = urls.parse(url)
        return None if parsed.origin != self.origin or parsed.target in self._answered else Target(parsed.target)

    def _find(self, target: Target) -> SharedOutcome | None:
        node = self._first.get(None)
        while type(node) is _Test:
            node = node.then.get(node.test(target))
        return node if type(node) is SharedOutcome else self._learn(target)

    def _learn(self, target: Target) -> SharedOutcome | None:
        hop = _RecordingHop(self._question, self._host, self._captures, self._policy, target)
        try:
            found = SharedOutcome(decide_of([hop], Stage.REQUEST, self.origin + target.text))
        except _LooksAtUrlError:
            return None
        short = all(not isinstance(answer, tuple) or len(answer) <= MOST_COVERING for answer in hop.found.values())
        if short and self._kept < MOST_OUTCOMES:
            self._kept += 1
            self._keep(hop.found, found)
        return found

    def _keep(self, answers: dict[Callable[[Target], Hashable], Hashable], found: SharedOutcome) -> None:
        then: dict[Any, _Test | SharedOutcome] = self._first
        last: Hashable = None
        for test, answer in answers.items():
            following = then.setdefault(last, _Test(test))
            assert isinstance(following, _Test), "the same answers were followed by the same question before"
            then, last = following.then, answer
        then[last] = found


@dataclass(frozen=True, slots=True, eq=False)
class SharedOutcome:
    """An outcome that holds for many URLs; compared by identity. ``outcome.url`` is one of them."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """A node of the tree: a question about a target, and what follows each answer."""

    test: Callable[[Target], Hashable]
    then: dict[Hashable, _Test | SharedOutcome] = field(default_factory=dict)


class _LooksAtUrlError(BaseException):
    """A reader looked at more of the URL than its host. A BaseException, so that no reader catches it as its own."""


class _HostOnly(Url):
    """A URL of which only the host is known."""

    __slots__ = ()

    @classmethod
    def of(cls, url: Url) -> _HostOnly:
        """Returns the scheme, host and port of a URL."""
        made = object.__new__(cls)
        for name in ("scheme", "host", "port", "origin"):
            object.__setattr__(made, name, getattr(url, name))
        return made

    @property
    def href(self) -> NoReturn:
        """Raises _LooksAtUrlError: the rest of the URL is not the same for the whole host."""
        raise _LooksAtUrlError


class _RecordingHop(Hop):
    """A hop that was not fetched yet: shows protocols only the host, and records what they ask of the target."""

    def __init__(self, question: Question, host: Url, captures: Captures, policy: Policy, target: Target) -> None:
        super().__init__(question, host, captures, policy=policy)
        self.target = target

    @property
    def answer(self) -> Capture | None:
        """Returns None: nothing has been fetched yet."""
        return None


def _with_url(url: str, outcome: Outcome) -> Outcome:
    """Returns the outcome, of this URL. ``dataclasses.replace`` would take longer than everything else together."""
    if type(outcome) is not Decision:
        return outcome
    return Decision(
        outcome.verdict, outcome.stage, url, outcome.reasons, outcome.statements, outcome.gaps, outcome.verdicts
    )


@dataclass(frozen=True, slots=True)
class TableDecisions:
    """The outcomes of a table of URLs: ``index`` has for each of them, in order, a position in ``outcomes``.

    ``outcomes[0]`` is None, for text that is not a URL. ``url`` of a decision there is one of those it holds for, all
    else in it is the same for each of them.
    """

    index: array[int]
    outcomes: list[Outcome | None]


class Hosts:
    """The rules of many hosts: the ``most`` that were asked about last.

    ``captures_of`` gives what is known of an origin (``https://a.example``): its files, what they redirect to and the
    licences they name, on whatever host, and the operator's lists. Without ``at`` it is decided as of now.
    """

    def __init__(
        self,
        captures_of: Callable[[str], Captures],
        policy: Policy,
        *,
        agent: str = "ForbearBot",
        use: Use = Use.TRAIN_AI,
        profile: Profile = Profile.STANDARD,
        at: datetime | None = None,
        most: int = 10_000,
    ) -> None:
        self._captures_of, self._policy, self._most = captures_of, policy, most
        self._question = Question("", agent, use, profile, at or datetime.now(UTC))
        self._by_origin: OrderedDict[str, HostRules] = OrderedDict()
        self._last: HostRules | None = None

    def decide(self, url: str) -> Outcome:
        """Returns what ``decide`` answers about this URL by what is known of its origin; raises readers.url.NotAUrl."""
        return self._rules(url).decide(url)

    def decide_all(self, urls: Iterable[str | None]) -> TableDecisions:
        """Returns the outcomes of many URLs; fastest if those of a host come together."""
        decided = TableDecisions(array("I"), [None])
        positions: dict[SharedOutcome, int] = {}
        for url in urls:
            try:
                found = self._rules(url or "").find(url or "")
            except NotAUrl:
                decided.index.append(0)
                continue
            position = positions.get(found)
            if position is None:
                position = positions[found] = len(decided.outcomes)
                decided.outcomes.append(found.outcome)
            decided.index.append(position)
        return decided

    def _rules(self, url: str) -> HostRules:
        slash = url.find("/", 8)  # the one after https://
        rules = self._by_origin.get(url[:slash]) if slash > 0 else None
        if rules is None:
            parsed = urls.parse(url)
            rules = self._by_origin.get(parsed.origin) or self._compile(parsed)
        if rules is not self._last:
            self._last = rules
            self._by_origin.move_to_end(rules.origin)
        return rules

    def _compile(self, url: Url) -> HostRules:
        question = replace(self._question, url=f"{url.origin}/")
        rules = self._by_origin[url.origin] = HostRules(question, self._captures_of(url.origin), self._policy)
        if len(self._by_origin) > self._most:
            self._by_origin.popitem(last=False)
        return rules
