"""How a flagged statement decides: not at all in ``standard``, a doubt in ``strict``; decide.md, profiles."""

from __future__ import annotations

import pytest

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question, Use
from tests.optout.conftest import PAGE

ORIGIN = "https://archive.example"
LONE = '{"tdm-reservation": 1}'
CASES = [
    # what, robots.txt, ai.txt, tdmrep.json, verdict in strict, protocols and quotes of its reasons
    ("a wish", "Noai: /", None, None, "deferred", [("robots-intent", "Noai: /")]),
    ("a wish for yes", "Allow-AI-training: yes", None, None, "allowed", []),
    ("a wish in what is malformed", None, None, LONE, "deferred",
     [("unreachable", "malformed"), ("unreachable", '"tdm-reservation": 1')]),
    ("a wish beside a doubt", "Noai: /", None, LONE, "deferred",
     [("unreachable", "malformed"), ("robots-intent", "Noai: /"), ("unreachable", '"tdm-reservation": 1')]),
    ("a wish beside a no", "User-agent: *\nContent-Signal: ai-train=no\nNoai: /", None, None, "excluded",
     [("content-signal", "Content-Signal: ai-train=no")]),
    ("a wish beside a yes", "User-agent: *\nContent-Signal: ai-train=yes\nNoai: /", None, None, "deferred",
     [("robots-intent", "Noai: /")]),
    ("a doubt and a wish in the same words", "Content-Signal: ai-train=no\nUser-agent: *\nAllow: /", None, None,
     "deferred", [("unreachable", "Content-Signal: ai-train=no")]),
    ("nothing", "User-agent: *\nAllow: /", None, None, "allowed", []),
]  # fmt: skip


def decided(files: tuple[str | None, ...], profile: Profile, use: Use = Use.TRAIN_AI) -> Decision:
    places = ("/robots.txt", "/ai.txt", "/.well-known/tdmrep.json")
    captures = [
        Capture(f"{ORIGIN}{path}", 200, (), body.encode()) for path, body in zip(places, files, strict=True) if body
    ]
    page = Capture(PAGE, 200, (("Content-Type", "text/html"),), b"<!DOCTYPE html><p>Seven boats</p>")
    decision = decide(
        Question(PAGE, profile=profile, use=use), Captures([*captures, page], complete=True), policy.load()
    )
    assert isinstance(decision, Decision)
    return decision


@pytest.mark.parametrize(("what", "robots", "ai", "tdmrep", "verdict", "reasons"), CASES)
def test_flagged(what, robots, ai, tdmrep, verdict, reasons):
    files = (robots, ai, tdmrep)
    strict = decided(files, Profile.STRICT)
    assert (str(strict.verdict), [(reason.protocol, reason.quote) for reason in strict.reasons]) == (verdict, reasons)
    standard = decided(files, Profile.STANDARD)
    assert (str(standard.verdict) == "excluded") == (verdict == "excluded"), what
    assert str(standard.verdict) != "deferred"
    assert strict.statements == standard.statements


def test_what_is_meant_about_training_says_nothing_about_search():
    """Measure 1.3(5)."""
    assert str(decided(("Noai: /", None, None), Profile.STRICT, Use.SEARCH).verdict) == "allowed"
