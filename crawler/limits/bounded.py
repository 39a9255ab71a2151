"""Decides and reads within limits: answers that may be costly go to a worker first."""

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
"""Seconds of processor time: what a worker read faster than this is read again in the calling process."""

_COST = "seconds of a worker"
"""Key in ``Capture.memo`` for what reading took; missing until a worker has read the answer."""


class BoundedReader:
    """Decides like ``forbear.optout.decide``, but gives up an answer that takes too much processor time or memory.

    Light answers are decided at once, at no extra cost. A heavy one (``is_heavy``) is read by a worker first; if the
    worker does not survive it, it becomes a capture with the failure ``too-costly``, which defers like any other.
    With ``everything``, no answer counts as light. ``reading`` notes what this process itself is reading.
    """

    def __init__(self, pool: WorkerPool, *, everything: bool = False, reading: ReadingNow | None = None) -> None:
        self.pool, self.everything, self._reading = pool, everything, reading

    def is_ready(self, captures: Captures) -> bool:
        """Returns whether all of these can be read in this process."""
        return all(capture.memo.get(_COST, CHEAP) < CHEAP or not self._is_heavy(capture) for capture in captures)

    def decide(self, question: Question, captures: Captures, policy: Policy) -> Decision | tuple[Place, ...]:
        """Returns the decision; in ``captures``, a failure replaces each answer that was given up."""
        return self._examine(question, captures, policy) or decide(question, captures, policy)

    async def decide_later(
        self, question: Question, captures: Captures, policy: Policy
    ) -> Decision | tuple[Place, ...]:
        """Like ``decide``, without blocking the event loop."""
        if self.everything:
            return await self.pool.run_in_thread(self.decide, question, captures, policy)
        found = (
            None
            if self.is_ready(captures)
            else await self.pool.run_in_thread(self._examine, question, captures, policy)
        )
        if found:
            return found
        with self.note_reading(question.url):
            return decide(question, captures, policy)

    def read(self, function: Callable[..., T], capture: Capture, *more: object) -> T:
        """Returns what a function makes of an answer, in a worker if it is heavy. Raises TooCostly."""
        return self.pool.run(function, capture, *more) if self._is_heavy(capture) else function(capture, *more)

    async def read_later(self, function: Callable[..., T], capture: Capture, *more: object) -> T:
        """Like ``read``, without blocking the event loop."""
        if self._is_heavy(capture):
            return await self.pool.call(function, capture, *more)
        with self.note_reading(capture.url):
            return function(capture, *more)

    def note_reading(self, url: str, thread: int = LOOP) -> AbstractContextManager[None]:
        """Notes the URL that this process is reading, in case reading it kills the process."""
        return self._reading.page(urls.parse(url).href, thread) if self._reading else nullcontext()

    def _is_heavy(self, capture: Capture) -> bool:
        """Returns whether an answer is heavy; the operator's own lists are trusted, and never are."""
        return capture.url.startswith("http") and (self.everything or is_heavy(capture)) and not capture.error

    def _examine(self, question: Question, captures: Captures, policy: Policy) -> Decision | tuple[Place, ...] | None:
        """Has workers read what none has read yet; returns a decision only if this process must not make it."""
        page = _page(question, captures)
        new = [capture for capture in captures if self._is_heavy(capture) and _COST not in capture.memo]
        known = Captures([capture for capture in captures if capture not in new], complete=captures.complete)
        for capture in new:
            known.add(capture)
            # A page is read as itself; a licence as part of the question about what names it.
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
            except TooCostly as error:  # together they cost too much, though each alone did not
                dearest = max(captures, key=lambda capture: capture.memo.get(_COST, 0.0))
                captures.add(given_up(dearest, error))
        return None


def warm_up() -> None:
    """Decides about a made-up page, so that the cost of loading modules is not blamed on the first real one."""
    page = Capture("http://nobody.example/", 200, (), b"<!doctype html><p>")
    decide(Question(page.url), Captures([page], complete=True), policies.load())


def cost(question: Question, captures: Captures, policy: Policy) -> float:
    """Returns the seconds of processor time that a decision takes."""
    begin = process_time()
    decide(question, captures, policy)
    return process_time() - begin


def given_up(capture: Capture, error: TooCostly) -> Capture:
    """Returns a capture that says the answer could not be read."""
    return Capture(capture.url, error=Failure.TOO_COSTLY, memo={"detail": str(error)})


def _page(question: Question, captures: Captures) -> Capture | None:
    """Returns the answer to a question's URL, after redirects."""
    capture = captures.get(urls.parse(question.url).href)
    for _ in range(MAX_REDIRECTS):
        target = redirect(capture) if capture else None
        if target is None:
            break
        capture = captures.get(target.href)
    return capture
