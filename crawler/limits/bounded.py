"""Decides and reads within limits: what an answer may cost much to read is given to a worker first."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from time import process_time
from typing import TYPE_CHECKING, TypeVar

from forbear.crawler.limits.in_progress import LOOP
from forbear.crawler.limits.workers import TooCostly
from forbear.optout import policy as policies
from forbear.optout.captures import MAX_REDIRECTS, Captures, redirect
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Failure, Question
from forbear.optout.readers import url as urls
from forbear.optout.readers.heavy import is_heavy

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from forbear.crawler.limits.in_progress import ReadingNow
    from forbear.crawler.limits.workers import WorkerPool
    from forbear.optout.model import Place
    from forbear.optout.policy import Policy

    T = TypeVar("T")

CHEAP = 0.05
"""Seconds of processor time: what took a worker no longer is read once more in the process that asked."""

_COST = "seconds of a worker"
"""Where, in ``Capture.memo``, it stands what reading took; missing: no worker has read it yet."""


class BoundedReader:
    """Decides like ``forbear.optout.decide``, but gives up an answer that takes too much processor time or memory.

    Answers that are light are decided about at once, and cost nothing more. One that ``is_heavy`` is read by a worker
    first; what the worker does not survive becomes a capture with the failure ``too-costly``, which defers like any
    other. ``everything``: no answer counts as light. ``reading`` knows what this process reads itself.
    """

    def __init__(self, pool: WorkerPool, *, everything: bool = False, reading: ReadingNow | None = None) -> None:
        self.pool, self.everything, self._reading = pool, everything, reading

    def is_ready(self, captures: Captures) -> bool:
        """Whether all of these can be read in this process."""
        return all(capture.memo.get(_COST, CHEAP) < CHEAP or not self._is_heavy(capture) for capture in captures)

    def decide(self, question: Question, captures: Captures, policy: Policy) -> Decision | tuple[Place, ...]:
        """The decision; an answer that was given up has its place in ``captures`` taken by the failure."""
        return self._examine(question, captures, policy) or decide(question, captures, policy)

    async def decide_later(
        self, question: Question, captures: Captures, policy: Policy
    ) -> Decision | tuple[Place, ...]:
        """The same, while the event loop goes on."""
        if self.everything:
            return await self.pool.aside(self.decide, question, captures, policy)
        found = None if self.is_ready(captures) else await self.pool.aside(self._examine, question, captures, policy)
        if found:
            return found
        with self.here(question.url):
            return decide(question, captures, policy)

    def read(self, function: Callable[..., T], capture: Capture, *more: object) -> T:
        """What a function makes of an answer, in a worker if it is heavy. Raises TooCostly."""
        return self.pool.run(function, capture, *more) if self._is_heavy(capture) else function(capture, *more)

    async def read_later(self, function: Callable[..., T], capture: Capture, *more: object) -> T:
        """The same, while the event loop goes on."""
        if self._is_heavy(capture):
            return await self.pool.call(function, capture, *more)
        with self.here(capture.url):
            return function(capture, *more)

    def here(self, url: str, thread: int = LOOP) -> AbstractContextManager[None]:
        """Notes that this process reads what came from the URL of an entry, in case that it dies of it."""
        return self._reading.page(urls.parse(url).href, thread) if self._reading else nullcontext()

    def _is_heavy(self, capture: Capture) -> bool:
        """The operator's own lists are not: they are no stranger's."""
        return capture.url.startswith("http") and (self.everything or is_heavy(capture)) and not capture.error

    def _examine(self, question: Question, captures: Captures, policy: Policy) -> Decision | tuple[Place, ...] | None:
        """Has a worker read what none has read; the decision, unless this process can make it as well."""
        page = _page(question, captures)
        new = [capture for capture in captures if self._is_heavy(capture) and _COST not in capture.memo]
        known = Captures([capture for capture in captures if capture not in new], complete=captures.complete)
        for capture in new:
            known.add(capture)
            # A page is read for its own sake; a licence for that of what names it.
            alone = capture is page
            asked = replace(question, url=capture.url) if alone else question
            among = Captures([capture], complete=True) if alone else known
            try:
                capture.memo[_COST] = self.pool.run(cost, asked, among, policy)
            except TooCostly as error:
                known.add(given_up(capture, error))
                captures.add(given_up(capture, error))
        while not self.is_ready(captures):
            try:
                return self.pool.run(decide, question, captures, policy)
            except TooCostly as error:  # all at once, where each alone was bearable
                dearest = max(captures, key=lambda capture: capture.memo.get(_COST, 0.0))
                captures.add(given_up(dearest, error))
        return None


def warm_up() -> None:
    """Reads a page of nobody: what the first decision loads takes longer than a page, and none is to blame for it."""
    page = Capture("http://nobody.example/", 200, (), b"<!doctype html><p>")
    decide(Question(page.url), Captures([page], complete=True), policies.load())


def cost(question: Question, captures: Captures, policy: Policy) -> float:
    """Seconds of processor time that a decision takes."""
    begin = process_time()
    decide(question, captures, policy)
    return process_time() - begin


def given_up(capture: Capture, error: TooCostly) -> Capture:
    """The same answer, as one that could not be read."""
    return Capture(capture.url, error=Failure.TOO_COSTLY, memo={"detail": str(error)})


def _page(question: Question, captures: Captures) -> Capture | None:
    """The answer to a question's URL, after its redirects."""
    capture = captures.get(urls.parse(question.url).href)
    for _ in range(MAX_REDIRECTS):
        target = redirect(capture) if capture else None
        if target is None:
            break
        capture = captures.get(target.href)
    return capture
