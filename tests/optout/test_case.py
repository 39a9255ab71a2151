"""Cases as JSON (decide.md, a case; a decision): what is taken in, what is refused in a sentence, what comes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from forbear.optout import policy
from forbear.optout.case import BadCase, from_json, to_json
from forbear.optout.decide import decide
from forbear.optout.model import Decision, Failure, Profile, Question, Use
from forbear.optout.readers.url import NotAUrl

ROBOTS = {"url": "https://a.example/robots.txt", "status": 200, "body": "User-agent: *\nDisallow: /a\n"}


def case(**changes: Any) -> dict[str, Any]:
    return {"id": "1", "url": "https://a.example/a", **changes}


def exchange(**changes: Any) -> dict[str, Any]:
    return case(exchanges=[{"url": "https://a.example/a", **changes}])


def test_what_is_left_out_has_its_default() -> None:
    name, question, captures = from_json(case())
    assert (name, question.url, question.agent) == ("1", "https://a.example/a", "ForbearBot")
    assert (question.use, question.profile) == (Use.TRAIN_AI, Profile.STANDARD)
    assert abs((datetime.now(UTC) - question.at).total_seconds()) < 60
    assert captures.complete
    assert captures.get("https://a.example/a") is None


def test_stated_preferences_are_read() -> None:
    stated = case(agent="Other", use="search", profile="strict", at="2026-01-31T12:00:00+01:00", unknown={"key": 1})
    question = from_json(stated).question
    at = datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert question == Question("https://a.example/a", "Other", Use.SEARCH, Profile.STRICT, at)


def test_exchanges_become_captures_under_their_canonical_url() -> None:
    exchanges = [
        {"url": "HTTPS://A.example:443/x/../p#f", "status": 200, "headers": [["A", "1"], ["a", "2"]], "body": "ü"},
        {"url": "https://a.example/b", "status": 200, "body_b64": "AP8="},
        {"url": "https://a.example/c", "error": "too-large"},
        {"url": "https://a.example/d", "status": 204},
    ]
    captures = from_json(case(exchanges=exchanges)).captures
    found = [captures.get(f"https://a.example/{name}") for name in "pbcd"]
    assert [(c.status, c.headers, c.body, c.error) for c in found if c] == [
        (200, (("A", "1"), ("a", "2")), "ü".encode(), None),
        (200, (), b"\x00\xff", None),
        (None, (), b"", Failure.TOO_LARGE),
        (204, (), b"", None),
    ]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ([], "A case is a JSON object"),
        ("text", "A case is a JSON object"),
        (None, "A case is a JSON object"),
        ({"url": "https://a.example/"}, "'id' is missing"),
        (case(id=7), "'id' is not text"),
        (case(url=None), "'url' is missing"),
        (case(url=""), "'url' is not text, or empty"),
        (case(url=["https://a.example/"]), "'url' is not text"),
        (case(use="train"), "'use' is 'train', and not one of train-ai, search, ai-use"),
        (case(use=True), "'use' is not text"),
        (case(profile="lax"), "'profile' is 'lax', and not one of standard, strict"),
        (case(agent=None), "'agent' is missing"),
        (case(at="yesterday"), "'at' is 'yesterday', and not a time"),
        (case(at="2026-01-31T12:00:00"), "and not a time like 2026-01-31T12:00:00Z"),
        (case(at=1_700_000_000), "'at' is not text"),
        (case(exchanges={}), "'exchanges' is a list"),
        (case(exchanges=["x"]), "An exchange is a JSON object"),
        (case(exchanges=[{"status": 200}]), "'url' is missing"),
        (exchange(), "either a 'status' or an 'error'"),
        (exchange(status=200, error="dns"), "either a 'status' or an 'error'"),
        (exchange(error="tired"), "'error' is 'tired', and not one of timeout, dns"),
        (exchange(status="200"), "the 'status' '200'"),
        (exchange(status=True), "the 'status' True"),
        (exchange(status=99), "the 'status' 99"),
        (exchange(status=1000), "the 'status' 1000"),
        (exchange(status=200.0), "the 'status' 200.0"),
        (exchange(status=200, headers={"A": "b"}), "not a list of pairs of texts"),
        (exchange(status=200, headers=["ab"]), "not a list of pairs of texts"),
        (exchange(status=200, headers=[["a"]]), "not a list of pairs of texts"),
        (exchange(status=200, headers=[["a", 1]]), "not a list of pairs of texts"),
        (exchange(status=200, body=1), "The 'body' of https://a.example/a is not text"),
        (exchange(status=200, body=None), "The 'body' of https://a.example/a is not text"),
        (exchange(status=200, body="\ud800"), "half a surrogate pair"),
        (exchange(status=200, body_b64="#"), "not Base64"),
        (exchange(status=200, body_b64="AAA"), "not Base64"),
        (exchange(status=200, body_b64="ü"), "not Base64"),
        (exchange(status=200, body="", body_b64=""), "both a 'body' and a 'body_b64'"),
    ],
)
def test_what_is_not_a_case_gives_a_sentence(broken: object, sentence: str) -> None:
    with pytest.raises(BadCase) as raised:
        from_json(broken)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("url", ["a.example/a", "ftp://a.example/", "http://", "http://[::1", "javascript:alert(1)"])
def test_what_is_not_a_url_gives_one_too(url: str) -> None:
    for broken in (case(url=url), case(exchanges=[{"url": url, "status": 200}])):
        with pytest.raises(NotAUrl):
            from_json(broken)


def test_a_decision_has_the_words_that_decided() -> None:
    name, question, captures = from_json(case(exchanges=[ROBOTS]))
    decision = decide(question, captures, policy.load())
    assert isinstance(decision, Decision)
    answer = json.loads(json.dumps(to_json(name, question.url, decision, policy.load())))
    reason = {
        "protocol": "robots",
        "preference": "disallow",
        "quote": "Disallow: /a",
        "source": "https://a.example/robots.txt",
        "where": "line 2",
        "measure": "1.3(1)(a)",
    }
    assert (answer["id"], answer["url"], answer["verdict"]) == ("1", "https://a.example/a", "excluded")
    assert answer["reasons"] == [reason]
    assert [reason.items() <= statement.items() for statement in answer["statements"]] == [True]
    assert answer["gaps"] == []


def test_what_could_not_be_read_is_in_the_gaps() -> None:
    name, question, captures = from_json(case(exchanges=[{"url": ROBOTS["url"], "error": "timeout"}]))
    decision = decide(question, captures, policy.load())
    assert isinstance(decision, Decision)
    answer = to_json(name, question.url, decision, policy.load())
    assert (answer["verdict"], [r["quote"] for r in answer["reasons"]]) == ("deferred", ["timeout"])
    assert ("timeout", ["standard", "strict"]) in [(gap["quote"], gap["defers"]) for gap in answer["gaps"]]
