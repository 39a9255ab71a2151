"""Decides again from the stored evidence, on all cores, and reports what comes out differently; uses no network."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from forbear.optout import policy as policies
from forbear.optout.captures import Captures
from forbear.optout.case import reason_to_json
from forbear.optout.decide import decide, judge_again
from forbear.optout.model import (
    Capture,
    Decision,
    Failure,
    Gap,
    Place,
    Preference,
    Profile,
    Question,
    Stage,
    Statement,
    StatementStatus,
    Use,
)
from forbear.optout.policy import Policy
from forbear.storage.database import open_database, translated
from forbear.storage.db.schema import decision_captures, decisions, gaps, pages, removals, statements
from forbear.storage.db.types import printable
from forbear.storage.log import evidence
from forbear.storage.log import policies as policy_log
from forbear.storage.log.evidence import StoredCapture
from forbear.storage.reads.queries import Filter, ids, reasons_of

BATCH = 500
"""Decisions that a process handles at a time."""

BYTES_IN_MEMORY = 32 * 1024 * 1024
"""Bytes of content that a process remembers: one robots.txt decides about a thousand pages."""

Contents = Callable[[str, int], bytes]
"""Returns the content of a kept page by WARC file and offset; raises OSError without the file, ValueError."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What to do differently; None keeps what each decision used.

    ``policy`` is the content of a policy (``Policy.content``). ``contents`` must be picklable.
    """

    profile: Profile | None = None
    policy: str | None = None
    contents: Contents | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that comes out differently.

    ``was`` and ``now`` are verdicts; ``now`` is empty if nothing could be decided, and ``problem`` says why. The
    reasons are as ``forbear log`` shows them.
    """

    id: str
    at: str
    url: str
    stage: str
    was: str
    now: str
    reasons_then: list[dict[str, str]]
    reasons_now: list[dict[str, str]]
    problem: str = ""

    @property
    def cause(self) -> str:
        """Returns what groups differences: the verdicts, and the protocols that decided only then or only now."""
        if not self.now:
            return f"{self.was}, and now not decided: {self.problem}"
        then, now = set(map(_key, self.reasons_then)), set(map(_key, self.reasons_now))
        gone, new = ({key[0] for key in keys} for keys in (then - now, now - then))
        change = f"{self.was}, now {self.now}" if self.was != self.now else f"{self.was} as before"
        changes = [
            ("in other words", gone & new),
            ("no longer because of", gone - new),
            ("now because of", new - gone),
        ]
        return "; ".join([change, *(f"{words} {', '.join(sorted(names))}" for words, names in changes if names)])


def _key(reason: dict[str, str]) -> tuple[str, ...]:
    return tuple(reason[name] for name in ("protocol", "preference", "quote", "source", "where", "measure"))


@dataclass(frozen=True, slots=True)
class CostlyDecision:
    """A decision based on an answer that was given up while it was read: a faster machine may have read it."""

    id: str
    at: str
    url: str
    stage: str


@dataclass(slots=True)
class Replayed:
    """The result of replaying some decisions.

    ``as_read`` counts those about pages whose content was not available: they were judged by what had been read in it.
    ``erased`` counts those that cannot be repeated, since they or their evidence were erased. ``unrecorded`` counts
    those by policies that are not in the log; the built-in one was used instead. ``costly`` are those that depend on
    the machine of then, whatever their result now.
    """

    decisions: int = 0
    as_read: int = 0
    erased: int = 0
    unrecorded: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    costly: list[CostlyDecision] = field(default_factory=list)


def replay(
    url: str, wanted: Filter, how: ReplayOptions, jobs: int | None = None, *, store: str | None = None
) -> Iterator[Replayed]:
    """Decides again what the filter selects, in the order of the log; ``jobs`` is the number of processes.

    ``store`` is the folder or bucket of the evidence, if it is not in the database or has moved.

    Raises StorageError, NotAUrl (the filter), policy.BadPolicy.
    """
    jobs = jobs or len(os.sched_getaffinity(0))
    engine = open_database(url, create=False, evidence=store)
    try:
        with translated(engine.url), engine.connect() as connection:
            batches = ids(connection, wanted, BATCH)
            first = list(islice(batches, 2))
            if len(first) < 2 or jobs == 1:
                worker = _Worker(how)
                for batch in (*first, *batches):
                    yield worker.decide(connection, batch)
            else:
                yield from _in_processes((url, store, how), jobs, first, batches)
    finally:
        engine.dispose()


def _in_processes(
    begin: tuple[str, str | None, ReplayOptions], jobs: int, first: Iterable[list[str]], rest: Iterable[list[str]]
) -> Iterator[Replayed]:
    """Yields results in order; queues only as many batches as keep all processes busy."""
    waiting: deque[Future[Replayed]] = deque()
    with ProcessPoolExecutor(jobs, get_context("spawn"), _begin, begin) as pool:
        try:
            for batches in (first, rest):
                for batch in batches:
                    waiting.append(pool.submit(_decide, batch))
                    if len(waiting) > 2 * jobs:
                        yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


_at_work: list[tuple[_Worker, Connection]] = []
"""What ``_begin`` opened for this process of the pool."""


def _begin(url: str, store: str | None, how: ReplayOptions) -> None:
    _at_work.append((_Worker(how), open_database(url, create=False, evidence=store).connect()))


def _decide(batch: list[str]) -> Replayed:
    worker, connection = _at_work[0]
    with translated(connection.engine.url):
        return worker.decide(connection, batch)


class _Worker:
    """Decides batches, and remembers captures and policies between them."""

    def __init__(self, how: ReplayOptions) -> None:
        self._options = how
        self._policies: dict[str, Policy | None] = {}
        self._captures: OrderedDict[str, StoredCapture] = OrderedDict()
        self._size = 0

    def decide(self, connection: Connection, batch: Sequence[str]) -> Replayed:
        """Decides again, in the order of the ids."""
        rows = {row.id: row for row in connection.execute(select(decisions).where(decisions.c.id.in_(batch)))}
        rests = self._evidence(connection, batch)
        because = reasons_of(connection, batch)
        kept = {row.decision: row for row in connection.execute(_kept_pages(batch))}
        done = Replayed(decisions=len(rows))
        for key in batch:
            row = rows[key]
            if not row.url or any(held and not held.capture.url for held in rests.get(key, [])):
                done.erased += 1
                continue
            answer = self._answer(connection, row, rests.get(key, []), kept.get(key), done)
            if any(reason["quote"] == Failure.TOO_COSTLY for reason in because.get(key, [])):
                done.costly.append(CostlyDecision(row.id, row.at.isoformat(), row.canonical, row.stage))
            difference = _compare(row, because.get(key, []), answer)
            if difference:
                done.differences.append(difference)
        return done

    def _evidence(self, connection: Connection, batch: Sequence[str]) -> dict[str, list[StoredCapture | None]]:
        columns = decision_captures.c
        asked = select(columns.decision, columns.capture).where(columns.decision.in_(batch))
        rests = connection.execute(asked.order_by(columns.decision, columns.position)).all()
        wanted = {row.capture: self._captures.get(row.capture) for row in rests}
        wanted |= evidence.stored_captures(connection, [key for key, held in wanted.items() if held is None])
        found: dict[str, list[StoredCapture | None]] = {}
        for row in rests:
            found.setdefault(row.decision, []).append(wanted[row.capture])
        self._remember({key: held for key, held in wanted.items() if held})
        return found

    def _remember(self, captures: dict[str, StoredCapture]) -> None:
        for key, held in captures.items():
            if held.whole and self._captures.setdefault(key, held) is held:
                self._size += 1024 + len(held.capture.body)
            if key in self._captures:
                self._captures.move_to_end(key)
        while self._size > BYTES_IN_MEMORY:
            _, old = self._captures.popitem(last=False)
            self._size -= 1024 + len(old.capture.body)

    def _answer(
        self,
        connection: Connection,
        row: Row[Any],
        of: list[StoredCapture | None],
        kept: Row[Any] | None,
        done: Replayed,
    ) -> Decision | str:
        """Returns the decision, or a sentence that says why there is none."""
        rests = [held for held in of if held]
        if len(rests) < len(of):
            return "evidence that it rests on is gone"
        profile = self._options.profile or Profile(row.profile)
        question = Question(row.url, row.agent, Use(row.use), profile, row.at)
        policy = self._policy(connection, row.policy, done)
        captures = Captures(held.capture for held in rests)
        for held in rests:
            if held.whole and hashlib.sha256(held.capture.body).hexdigest() != held.sha256:
                return "stored content is not what was received"
            if not held.whole and 200 <= (held.capture.status or 0) < 300 and not held.capture.error:
                content = self._content(kept)
                if content is None:
                    done.as_read += 1
                    return judge_again(question, captures, policy, row.canonical, _read_then(connection, row.id))
                if hashlib.sha256(content).hexdigest() != held.sha256:
                    return "the page in the corpus is not what was decided about"
                captures.add(Capture(held.capture.url, held.capture.status, held.capture.headers, content))
        result = decide(question, captures, policy)
        return result if isinstance(result, Decision) else _open(result)

    def _content(self, kept: Row[Any] | None) -> bytes | None:
        """Returns the content of a page from the corpus; None if it is not available."""
        if kept is None or self._options.contents is None:
            return None
        try:
            return self._options.contents(kept.warc_file, kept.warc_offset)
        except FileNotFoundError:
            return None
        except ValueError:
            return b""  # differs from what was decided about

    def _policy(self, connection: Connection, digest: str, done: Replayed) -> Policy:
        if self._options.policy is not None:
            digest = ""
        if digest not in self._policies:
            content = self._options.policy
            self._policies[digest] = policies.restore(content) if content else policy_log.find(connection, digest)
        policy = self._policies[digest]
        if policy is None:
            done.unrecorded[digest] += 1
            return policies.load()
        return policy


def _kept_pages(batch: Sequence[str]) -> Select[Any]:
    """Selects the pages of decisions that are still in the corpus."""
    return select(pages).where(pages.c.decision.in_(batch), pages.c.decision.not_in(select(removals.c.page)))


def _open(places: Sequence[Place]) -> str:
    wanted = ", ".join(sorted({place.protocol for place in places}))
    return f"a place that was not looked at then is wanted by {wanted}"


def _read_then(connection: Connection, decision: str) -> Iterator[Statement | Gap]:
    for row in connection.execute(
        select(statements).where(statements.c.decision == decision).order_by(statements.c.position)
    ):
        uses = frozenset(map(Use, row.uses))
        preference, force = Preference(row.preference), StatementStatus(row.force)
        yield Statement(row.protocol, preference, row.quote, row.source, row.place, uses, force, row.note)
    for row in connection.execute(select(gaps).where(gaps.c.decision == decision).order_by(gaps.c.position)):
        defers = frozenset(map(Profile, row.defers))
        yield Gap(row.protocol, row.quote, row.source, row.place, row.detail, defers)


def _compare(row: Row[Any], then: list[dict[str, str]], answer: Decision | str) -> Difference | None:
    """Compares verdict, reasons, URL and stage; at stage ``page``, nothing is decided about a request."""
    about = (row.id, row.at.isoformat(), row.canonical, row.stage, row.verdict)
    if isinstance(answer, str):
        return Difference(*about, "", then, [], answer)
    now = [
        {key: printable(value) if key in ("quote", "source", "where") else value for key, value in reason.items()}
        for reason in map(reason_to_json, answer.reasons)
    ]
    if str(answer.verdict) == row.verdict and set(map(_key, then)) == set(map(_key, now)):
        if answer.stage is Stage(row.stage) and printable(answer.url) == row.canonical:
            return None
        return Difference(*about, "", then, now, f"it is about {printable(answer.url)} at stage {answer.stage}")
    return Difference(*about, str(answer.verdict), then, now)
