"""Opt-out files as publishers really write them, each held against what its publisher evidently wanted."""

from __future__ import annotations

import pytest

from forbear.optout.model import Preference, Profile, Use, Verdict
from tests.optout import real_world
from tests.optout.real_world import File

RESERVED = [file for file in real_world.files() if file.intent == "reserved"]
OPEN = [file for file in real_world.files() if file.intent == "open"]

ON_CONDITION = {102, 108}
"""RSL files that permit everything against attribution: a condition for the operator to agree to (RSL 3.7)."""
SHUT_TO_SOME = {139}
"""A robots.txt that welcomes most training crawlers and shuts out three: ``robots-intent`` minds one."""


@pytest.mark.parametrize("file", RESERVED, ids=lambda file: file.source)
def test_a_reservation_is_heard(file: File) -> None:
    assert file.heard() in ("excluded in standard", "excluded in strict", "flagged")
    strict = file.decision(Profile.STRICT)
    assert strict.verdict in (Verdict.EXCLUDED, Verdict.DEFERRED)
    assert all(reason.quote in file.words() or reason.protocol == "unreachable" for reason in strict.reasons)
    assert any(reason.quote in file.words() for reason in strict.reasons)


@pytest.mark.parametrize("file", OPEN, ids=lambda file: file.source)
def test_nobody_is_excluded_who_is_open(file: File) -> None:
    excluded = {profile: file.decision(profile).verdict is Verdict.EXCLUDED for profile in Profile}
    assert excluded[Profile.STANDARD] == (file.number in ON_CONDITION)
    assert excluded[Profile.STRICT] == (file.number in ON_CONDITION | SHUT_TO_SOME)


@pytest.mark.parametrize("file", RESERVED, ids=lambda file: file.source)
def test_a_flag_decides_nothing_in_standard_and_nothing_about_search(file: File) -> None:
    """Measure 1.3(5): a statement about training does not cover search."""
    if file.heard() == "flagged":
        assert file.decision(Profile.STANDARD).verdict is Verdict.ALLOWED
        strict = file.decision(Profile.STRICT)
        assert {reason.protocol for reason in strict.reasons} == {"unreachable"}
        assert {reason.preference for reason in strict.reasons} == {Preference.UNKNOWN}
        assert all(Use.SEARCH not in s.uses for s in strict.statements)


def test_the_corpus_is_whole() -> None:
    assert (len(real_world.files()), len(RESERVED), len(OPEN)) == (145, 99, 17)
