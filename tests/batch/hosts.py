"""Snapshots for the tests: hosts with what they answer, in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forbear.batch import snapshot
from forbear.batch.snapshot import About, SnapshotAnswer
from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question, Use
from forbear.optout.protocols import infringing_list, operator
from forbear.optout.readers import url as urls

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
"""When the snapshots of the tests are made, and what they are asked about."""
DAY = timedelta(days=1)


def answered(url: str, body: str = "", status: int = 200, *, kind: str = "text/plain") -> Capture:
    """An answer with a text; without one, 404."""
    return Capture(url, status if body or status != 200 else 404, (("Content-Type", kind),), body.encode())


def asked_of(url: str, *captures: Capture) -> list[Capture]:
    """These captures, and 404 for every other place that a decision about the URL asks for."""
    known = Captures(captures)
    question = Question(url, at=AT)
    while not isinstance(found := decide(question, known, policy.load()), Decision):
        for place in found:
            known.add(answered(place.url))
    return list(known)


def write(path: Path, captures: Iterable[Capture], *, at: datetime = AT, lists: Iterable[Capture] = ()) -> Path:
    """A snapshot with these captures, each of which was fetched then, and is good for a day."""
    digests = {a_list.url: hashlib.sha256(a_list.body).hexdigest() for a_list in lists}
    about = About(
        format=snapshot.FORMAT,
        made_at=AT.isoformat(),
        engine="0",
        policy=policy.load().digest,
        operator_list=digests.get(operator.LIST),
        infringing_list=digests.get(infringing_list.LIST),
        log_size=0,
        log_root=hashlib.sha256().hexdigest(),
        checkpoint=None,
    )
    known = [SnapshotAnswer(capture, at, at + DAY) for capture in captures]
    known.sort(key=lambda each: (urls.parse(each.capture.url).host, each.capture.url))
    snapshot.write(path, about, policy.load(), [SnapshotAnswer(each, AT, None) for each in lists], known)
    return path


def decided(url: str, captures: Iterable[Capture], profile: Profile = Profile.STANDARD) -> Decision:
    """What the one decision makes of captures that are all that is needed."""
    question = Question(url, use=Use.TRAIN_AI, profile=profile, at=AT)
    found = decide(question, Captures(captures), policy.load())
    assert isinstance(found, Decision)
    return found
