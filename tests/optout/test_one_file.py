"""The test of the design: a protocol is one file, a line in the list, and a table of data; nothing else knows of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from forbear.optout import case, policy
from forbear.optout import decide as deciding
from forbear.optout.captures import Captures, Hop
from forbear.optout.decide import decide
from forbear.optout.model import (
    AI_USES,
    Capture,
    Decision,
    Place,
    Preference,
    Profile,
    Question,
    Statement,
    Use,
    Verdict,
)
from forbear.optout.protocols import PROTOCOLS, robots

# 1. What would be its file: pigeons.txt holds a line "no" where the owner wants no copies for AI.

NAME = "pigeons"
PLACES = ("/pigeons.txt",)


def read(hop: Hop):
    file = yield from hop.look(NAME, hop.url.origin + PLACES[0])
    if file and b"no" in file.body.split():
        yield Statement(NAME, Preference.DISALLOW, "no", file.url, "line 1", AI_USES)


# 2. Its line in the list of protocols. 3. Its table in policy.toml.

LINE = SimpleNamespace(NAME=NAME, PLACES=PLACES, read=read)
TABLE = b"""
[protocols.pigeons]
title = "Carrier pigeons"
specification = "RFC 1149"
version = "1 April 1990"
tier = "custom"
about = "AI training"
measure = "1.3(1)(b)"
licensable = true
"""
PAGE = "https://loft.example/a"
FILE = "https://loft.example/pigeons.txt"
OPEN = [Capture(f"https://loft.example{path}", 404) for protocol in PROTOCOLS for path in protocol.PLACES]


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deciding, "PROTOCOLS", (*PROTOCOLS, LINE))
    shipped = policy._shipped
    monkeypatch.setattr(policy, "_shipped", lambda name: shipped(name) + (TABLE if name == "policy.toml" else b""))
    policy.load.cache_clear()
    yield policy.load()
    monkeypatch.undo()
    policy.load.cache_clear()


def answered(rules, *captures: Capture, use: Use = Use.TRAIN_AI, complete: bool = True) -> object:
    return decide(Question(PAGE, use=use), Captures([*OPEN, *captures], complete=complete), rules)


def test_its_place_is_asked_for_as_any_other(rules) -> None:
    assert answered(rules, complete=False) == (Place(NAME, FILE),)
    shut = Capture(f"https://loft.example{robots.PLACES[0]}", 200, (), b"User-agent: *\nDisallow: /pigeons.txt\n")
    decision = answered(rules, shut, complete=False)
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.DEFERRED


def test_its_words_decide_by_its_table(rules) -> None:
    decision = answered(rules, Capture(FILE, 200, (), b"no\n"))
    assert isinstance(decision, Decision)
    [reason] = decision.reasons
    assert (reason.protocol, reason.quote, reason.measure) == (NAME, "no", "1.3(1)(b)")
    assert case.to_json("1", PAGE, decision, rules)["statements"][0]["protocol"] == NAME
    search = answered(rules, Capture(FILE, 200, (), b"no\n"), use=Use.SEARCH)
    assert isinstance(search, Decision)
    assert search.verdict is Verdict.ALLOWED


def test_what_cannot_be_read_defers_and_an_operator_may_depart(rules) -> None:
    decision = answered(rules, Capture(FILE, 503))
    assert isinstance(decision, Decision)
    assert set(decision.verdicts.values()) == {Verdict.DEFERRED}
    own = policy.load('[protocols.pigeons]\nreason = "hoax"\nstandard.excludes = []')
    decision = answered(own, Capture(FILE, 200, (), b"no\n"))
    assert isinstance(decision, Decision)
    assert decision.verdicts == {Profile.STANDARD: Verdict.ALLOWED, Profile.STRICT: Verdict.EXCLUDED}
    assert own.digest != rules.digest
