"""Decides about URLs from a snapshot of host rules alone, with the same decision function as a crawl."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from forbear.batch.snapshot import SnapshotAnswer, SnapshotFile
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.host_rules import Hosts
from forbear.optout.model import SKEW, Capture, Decision, Failure, Profile, Question, Use
from forbear.optout.readers import url as urls

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence
    from pathlib import Path

    from forbear.optout.policy import Policy


@dataclass(frozen=True, slots=True)
class Answers:
    """The decisions about many URLs: ``index`` has, for each URL in order, a position in ``decisions``.

    ``decisions[0]`` is None, for what is not an http(s) URL. URLs with the same verdict and reasons share a decision;
    its ``url`` is one of them.
    """

    index: array[int]
    decisions: list[Decision | None]


class Snapshot:
    """A snapshot that answers questions about URLs, for one product token, use and profile.

    ``path`` is a file written by ``forbear export hosts``, or its URL in a form that fsspec knows. ``at`` is the time
    of the decisions, by default now: answers that had expired by then, or are dated in the future, are not used. A
    place that is missing from the snapshot is deferred as ``unasked``, an expired answer as ``expired``. ``policy`` and
    ``lists`` (captures of the operator's lists) replace those in the snapshot. The rules of the ``hosts`` that were
    asked about last are kept in memory.

    Raises BadSnapshot and OSError, here and in every method.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        agent: str = "ForbearBot",
        use: Use | str = Use.TRAIN_AI,
        profile: Profile | str = Profile.STANDARD,
        at: datetime | None = None,
        policy: Policy | None = None,
        lists: Sequence[Capture] | None = None,
        hosts: int = 10_000,
    ) -> None:
        self._opened = datetime.now(UTC)
        self.at = at or self._opened
        self._question = Question("", agent, Use(use), Profile(profile), self.at)
        self._file = SnapshotFile(path)
        self.path, self.about = self._file.path, self._file.about
        self.policy = policy or self._file.policy
        self.lists = tuple(SnapshotAnswer(each, self.at) for each in (self._file.lists if lists is None else lists))
        self._of_origin = lru_cache(hosts)(self._look)
        given = self._question
        about: dict[str, Any] = {"agent": given.agent, "use": given.use, "profile": given.profile}
        self._hosts = Hosts(self._captures_of, self.policy, at=self.at, most=hosts, **about)

    def decide(self, url: str) -> Decision:
        """Decides whether a URL may be used. Raises NotAUrl."""
        found = self._hosts.decide(url)
        return found if isinstance(found, Decision) else self._decide(url, self._known(url))

    def decide_all(self, some: Sequence[str | None]) -> Answers:
        """Decides about many URLs; sorted ones are the fastest."""
        found = self._hosts.decide_all(some)
        decisions: list[Decision | None] = []
        unfinished = set()
        for position, outcome in enumerate(found.outcomes):
            if isinstance(outcome, tuple):
                unfinished.add(position)
                decisions.append(None)
            else:
                decisions.append(outcome)
        for row, position in enumerate(found.index) if unfinished else ():
            if position in unfinished:  # for example, a licence that only this URL names
                found.index[row] = len(decisions)
                decisions.append(self.decide(some[row] or ""))
        return Answers(found.index, decisions)

    def decide_page(self, url: str, markup: str) -> Decision:
        """Decides whether an HTML page from a URL may be kept; its header fields are not known.

        Raises NotAUrl.
        """
        kind = (("Content-Type", "text/html; charset=utf-8"),)
        page = Capture(urls.parse(url).href, 200, kind, markup.encode("utf-8", "replace"))
        return self._decide(url, [*self._known(url), SnapshotAnswer(page, self.at)])

    def rests_on(self, url: str) -> list[SnapshotAnswer]:
        """Returns the answers that the decision about a URL rests on, the operator's lists first. Raises NotAUrl."""
        known = list(self._of_origin(urls.parse(url).origin))
        if not isinstance(self._hosts.decide(url), Decision):
            self._decide(url, known)
        return known

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _captures_of(self, origin: str) -> Captures:
        return Captures(each.capture for each in self._of_origin(origin))

    def _look(self, origin: str) -> list[SnapshotAnswer]:
        """Returns the answers of an origin, and those elsewhere that a decision about it needs."""
        known = self._known(f"{origin}/")
        self._decide(f"{origin}/", known)
        return known

    def _known(self, url: str) -> list[SnapshotAnswer]:
        """Returns the lists, and all answers of a URL's host."""
        return [*self.lists, *map(self._valid, self._file.answers(urls.parse(url).host))]

    def _decide(self, url: str, known: list[SnapshotAnswer]) -> Decision:
        """Decides, and adds the answers of the places that the decision needs to ``known``."""
        captures = Captures(each.capture for each in known)
        question = replace(self._question, url=url)
        while not isinstance(found := decide(question, captures, self.policy), Decision):
            for place in found:
                answer = self.answer(place.url)
                captures.add(answer.capture)
                known.append(answer)
        return found

    def answer(self, url: str, at: datetime | None = None) -> SnapshotAnswer:
        """Returns the answer at a canonical URL; one that is missing, or expired at the time ``at``, is a failure."""
        known = self._file.answer(url)
        if known is None:
            detail = "the snapshot has no answer from there, and no request is sent"
            return SnapshotAnswer(Capture(url, error=Failure.UNASKED, memo={"detail": detail}), self.at)
        return self._valid(known, at)

    def _valid(self, known: SnapshotAnswer, at: datetime | None = None) -> SnapshotAnswer:
        at = at or self.at
        ahead = known.fetched_at > max(at, self._opened) + SKEW  # the clock of the crawl was fast
        if not ahead and (known.expires_at is None or at < known.expires_at):
            return known
        ends = "is dated in the future" if ahead else f"expired on {known.expires_at:%Y-%m-%d %H:%M} (UTC)"
        detail = f"the answer of {known.fetched_at:%Y-%m-%d %H:%M} {ends}"
        return SnapshotAnswer(Capture(known.capture.url, error=Failure.EXPIRED, memo={"detail": detail}), self.at)
