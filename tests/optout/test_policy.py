"""policy.toml and an operator's own file: stricter in any point, looser only with a reason that is on record."""

from __future__ import annotations

import hashlib
import json

import pytest

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question, Verdict
from forbear.optout.policy import KINDS, KINDS_OF_AGENT, TIERS, BadPolicy, Effect
from forbear.optout.protocols import PROTOCOLS, prose

PAGE = "https://press.example/a"
ALLOWED, EXCLUDED, DEFERRED = Verdict.ALLOWED, Verdict.EXCLUDED, Verdict.DEFERRED


def verdicts(own: str, *captures: Capture, profile: Profile = Profile.STANDARD) -> tuple[Verdict, Verdict]:
    decision = decide(Question(PAGE, profile=profile), Captures(captures, complete=True), policy.load(own))
    assert isinstance(decision, Decision)
    assert decision.verdict is decision.verdicts[profile]
    return decision.verdicts[Profile.STANDARD], decision.verdicts[Profile.STRICT]


def robots(text: str) -> Capture:
    return Capture("https://press.example/robots.txt", 200, (("Content-Type", "text/plain"),), text.encode())


def test_each_protocol_has_its_entry_and_each_entry_is_complete():
    rules = policy.load()
    assert {protocol.NAME for protocol in PROTOCOLS} | {"unreachable"} == set(rules.protocols)
    for entry in rules.protocols.values():
        assert entry.tier in TIERS
        assert all((entry.title, entry.specification, entry.version, entry.about, entry.measure))
        assert ".py" not in entry.specification, "it is shown to people"
        assert ".toml" not in entry.specification, "it is shown to people"
        assert set(entry.effects) == {(profile, kind) for profile in Profile for kind in KINDS}
        assert all(entry.effects[profile, "unread"] is Effect.DEFERS for profile in Profile), "doubt never opens a door"
        assert all(entry.effects[Profile.STRICT, k] >= entry.effects[Profile.STANDARD, k] for k in KINDS)
    assert {agent.kind for agent in rules.agents} == set(KINDS_OF_AGENT)


def test_the_digest_is_that_of_the_content_which_holds_all():
    rules = policy.load('[protocols.prose]\nstrict = { defers = ["flagged", "unread"] }')
    assert rules.digest == hashlib.sha256(rules.content.encode()).hexdigest() != policy.load().digest
    content = json.loads(rules.content)
    assert content["protocols"]["prose"]["strict"] == {"excludes": [], "defers": ["flagged", "unread"]}
    assert content["overrides"] == [
        {"what": "prose in strict: what is flagged defers, not is recorded", "looser": False, "reason": ""}
    ]
    assert policy.load("# nothing\n").digest == policy.load().digest


def test_a_policy_that_was_put_on_record_is_the_same_policy():
    for own in ("", '[protocols.trust-txt]\nreason = "by counsel"\nstandard.excludes = []'):
        rules = policy.load(own)
        assert policy.restore(rules.content) == rules


INTENT = robots("User-agent: GPTBot\nDisallow: /\n")
UNREAL = robots("User-agent: *AI*\nDisallow: /\n")
HTML = Capture("https://press.example/robots.txt", 200, (("Content-Type", "text/html"),), b"<!DOCTYPE html><p>")
SIGNAL = robots("User-agent: *\nAllow: /\nContent-Signal: ai-train=no\n")
SHUT = Capture("https://press.example/robots.txt", 403)
BOTH = (
    # the operator's file, what the site said, standard, strict
    ("", INTENT, ALLOWED, EXCLUDED),
    ("", UNREAL, ALLOWED, DEFERRED),
    ("", HTML, ALLOWED, DEFERRED),
    ("", SHUT, ALLOWED, DEFERRED),
    ("", SIGNAL, EXCLUDED, EXCLUDED),
    ('[protocols.robots-intent.standard]\nexcludes = ["standing"]', INTENT, EXCLUDED, EXCLUDED),
    ('[protocols.robots-intent]\nstandard.defers = ["standing", "unread"]', INTENT, DEFERRED, EXCLUDED),
    (
        '[protocols.robots-intent]\nstrict.excludes = ["standing", "contradicted", "malformed", "flagged"]',
        UNREAL,
        ALLOWED,
        EXCLUDED,
    ),
    ('[protocols.robots]\nstandard.defers = ["unread", "doubtful"]', HTML, DEFERRED, DEFERRED),
    ('[protocols.robots]\nstandard.defers = ["unread", "doubtful"]', SHUT, DEFERRED, DEFERRED),
    (
        '[protocols.content-signal]\nreason = "no effect in our law, by counsel"\nstandard.excludes = []',
        SIGNAL,
        ALLOWED,
        EXCLUDED,
    ),
    (
        '[[agents]]\ntoken = "newbot"\nkind = "training"\nsource = "vendor"\ndate = 2026-11-20',
        robots("User-agent: NewBot\nDisallow: /\n"),
        ALLOWED,
        EXCLUDED,
    ),
    (
        '[[agents]]\ntoken = "gptbot"\nkind = "search"\nsource = "vendor"\ndate = 2026-11-20\nreason = "renamed"',
        INTENT,
        ALLOWED,
        ALLOWED,
    ),
    (
        '[purpose-tokens]\n__usage_mining = "train-ai"',
        robots("User-agent: __usage_mining\nDisallow: /\n"),
        EXCLUDED,
        EXCLUDED,
    ),
)


@pytest.mark.parametrize(("own", "said", "standard", "strict"), BOTH)
@pytest.mark.parametrize("profile", Profile)
def test_both_profiles_side_by_side(own, said, standard, strict, profile):
    assert verdicts(own, said, profile=profile) == (standard, strict)


def test_what_is_looser_is_on_record_with_its_reason():
    own = '[protocols.trust-txt]\nreason = " by counsel "\nstandard.excludes = []\nlicensable = false'
    looser = {(d.what, d.looser, d.reason) for d in policy.load(own).overrides}
    assert looser == {
        ("trust-txt in standard: what is standing is recorded, not excludes", True, " by counsel "),
        ("trust-txt: a licence cannot lift it", False, " by counsel "),
    }


AGENT = 'source = "vendor"\ndate = 2026-11-20\n'
BAD = (
    ("[", "it is not TOML"),
    ("strict = 1", "'strict' is not known here"),
    ("agents = 1", "'agents' is not known here"),
    ("[protocols.carrier-pigeon]", r"\[protocols.carrier-pigeon\] is not a protocol: choose among robots, "),
    ("[protocols]\nrobots = 1", "is not a protocol"),
    ('[protocols.robots]\nmeasure = "1.1"', "'measure' is not known here or of the wrong kind"),
    ('[protocols.robots]\nreason = " "', "'reason' is not known here or of the wrong kind"),
    ("[protocols.robots]\nstrict = 1", "'strict' is not known here or of the wrong kind"),
    ("[protocols.robots]\nstrict = { allows = [] }", "'allows' is not a list"),
    ('[protocols.robots]\nstrict = { defers = "unread" }', "'defers' is not a list"),
    ('[protocols.robots]\nstrict = { excludes = ["unread"] }', "'unread' is not for excludes"),
    ('[protocols.robots]\nstrict = { defers = ["doubt"] }', "'doubt' is not for defers"),
    ("[protocols.robots]\nstrict = { defers = [[]] }", "is not for defers"),
    ("[protocols.robots]\nstandard.excludes = []", r"\[protocols.robots\] is looser than what ships"),
    ("[protocols.access]\nlicensable = true", r"is looser than what ships \(access: a licence can lift it\)"),
    ('[protocols.robots]\nstrict.excludes = []\nreason = "x"', "strict would be looser than standard"),
    ('[purpose-tokens]\nx = "painting"', "x speaks about 'painting'"),
    ("[purpose-tokens]\nx = []", "speaks about"),
    ("[[agents]]\ntoken = 'x'", "An entry of"),
    ("agents = [1]", "An entry of"),
    (f"[[agents]]\ntoken = ' '\nkind = 'search'\n{AGENT}", "An entry of"),
    (f"[[agents]]\ntoken = 'x'\nkind = 'mining'\n{AGENT}", "is of kind 'mining'"),
    (f"[[agents]]\ntoken = 'GPTBot'\nkind = 'user'\n{AGENT}", "GPTBot collects for user, not training"),
)


@pytest.mark.parametrize(("own", "sentence"), BAD)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(own, sentence):
    with pytest.raises(BadPolicy, match=sentence):
        policy.load(own)


def test_a_reader_that_fails_defers_even_where_its_words_count_for_nothing(monkeypatch):
    monkeypatch.setattr(prose, "read", lambda asked: iter([1 / 0]))
    page = Capture(PAGE, 200, (("Content-Type", "text/html"),), b"<p>")
    assert verdicts("", page) == (DEFERRED, DEFERRED)
