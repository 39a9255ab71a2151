"""Decides about URLs by a snapshot of host rules: with what is in it, and with nothing else, by the one decision."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch.snapshot import File, Known
from optout.captures import Captures
from optout.decide import decide
from optout.model import Capture, Decision, Failure, Place, Profile, Question, Use
from optout.readers import url as urls
from optout.readers.url import NotAUrl

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answers:
    """The decisions about many URLs: ``index`` has a position in ``decisions`` for each, in order.

    ``decisions[0]`` is None, for what is no http(s) URL. ``Decision.url`` is one of the URLs that a decision holds
    for; verdict and reasons are the same for all of them.
    """

    index: array[int]
    decisions: list[Decision | None]


class Snapshot:
    """What a snapshot makes of URLs, for one product token, use and profile.

    ``path`` is a file that ``forbear export hosts`` wrote, or a URL of one that fsspec knows. ``at`` is the time that
    the decisions are about, by default that of opening: answers that had expired by then are not used. What the
    snapshot does not have is deferred, quoted as ``unasked``; what has expired is deferred as ``expired``.
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
    ) -> None:
        self.at = at or datetime.now(UTC)
        self._file = File(path)
        self._question = Question("", agent, Use(use), Profile(profile), self.at)
        self.about, self.policy, self.path = self._file.about, self._file.policy, self._file.path

    def decide(self, url: str) -> Decision:
        """May this URL be used? Raises NotAUrl."""
        return self._whole(url, self._captures(urls.parse(url).origin))

    def decide_page(self, url: str, markup: str) -> Decision:
        """May the HTML page with this markup, which came from the URL, be kept? Its header fields are not known.

        Raises NotAUrl.
        """
        href = urls.parse(url)
        captures = self._captures(href.origin)
        kind = (("Content-Type", "text/html; charset=utf-8"),)
        captures.add(Capture(href.href, 200, kind, markup.encode("utf-8", "replace")))
        return self._whole(url, captures)

    def decide_all(self, some: Iterable[str | None]) -> Answers:
        """The same for many; those that come sorted are read fastest."""
        index = array("I")
        decisions: list[Decision | None] = [None]
        positions: dict[object, int] = {}
        for url in some:
            try:
                decision = self.decide(url or "")
            except NotAUrl:
                index.append(0)
                continue
            key = (urls.parse(url or "").origin, decision.verdict, decision.reasons)
            position = positions.setdefault(key, len(decisions))
            if position == len(decisions):
                decisions.append(decision)
            index.append(position)
        return Answers(index, decisions)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _captures(self, origin: str) -> Captures:
        """All that the snapshot has of an origin, and that it has nothing where a decision would look further."""
        known = self._file.answers(urls.parse(origin).host)
        captures = Captures([*self._file.lists, *map(self._valid, known)])
        self._whole(f"{origin}/", captures)
        return captures

    def _whole(self, url: str, captures: Captures) -> Decision:
        """The decision, with every place that it asks for looked up; what was looked up is among the captures then."""
        question = Question(url, self._question.agent, self._question.use, self._question.profile, self.at)
        while not isinstance(found := decide(question, captures, self.policy), Decision):
            for place in found:
                captures.add(self._answer(place))
        return found

    def _answer(self, place: Place) -> Capture:
        known = self._file.answer(place.url)
        if known is None:
            detail = "the snapshot has no answer from there, and nobody is asked"
            return Capture(place.url, error=Failure.UNASKED, memo={"detail": detail})
        return self._valid(known)

    def _valid(self, known: Known) -> Capture:
        if known.expires_at is None or self.at < known.expires_at:
            return known.capture
        detail = f"the answer of {known.fetched_at:%Y-%m-%d %H:%M} expired on {known.expires_at:%Y-%m-%d %H:%M} (UTC)"
        return Capture(known.capture.url, error=Failure.EXPIRED, memo={"detail": detail})
