"""Purpose tokens and intent in robots.txt: what the vectors leave out; the data behind both."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from forbear.optout import policy
from forbear.optout.model import Preference, Profile, StatementStatus, Use
from forbear.optout.protocols import robots_intent, usage_token
from forbear.optout.readers import informal_optouts

TOKENS = [
    # what, robots.txt, [(quote, preference)]
    ("* does not stand in for the token", "User-agent: *\nDisallow: /\n", []),
    ("the token in another case", "User-agent: __Usage_AI-Training\nDisallow: /\n", [("Disallow: /", "disallow")]),
    (
        "several groups are one",
        "User-agent: __usage_ai-training\nDisallow: /\n\nUser-agent: __usage_ai-training\nAllow: /letters/\n",
        [("Allow: /letters/", "allow"), ("Disallow: /", "disallow")],
    ),
    ("an empty rule says nothing", "User-agent: __usage_ai-training\nDisallow:\n", []),
    ("another token", "User-agent: __usage_search\nDisallow: /\n", []),
]


@pytest.mark.parametrize(("what", "robots", "expected"), TOKENS)
def test_purpose_tokens(site, what, robots, expected):
    statements, gaps = site.ask(usage_token, site.file("/robots.txt", robots))
    assert [(s.quote, s.preference) for s in statements] == expected, what
    assert all(s.uses == {Use.TRAIN_AI} for s in statements)
    assert gaps == []


INTENT = [
    # what, robots.txt, quotes
    ("one rule of many crawlers is said once", "User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n", ["Disallow: /"]),
    (
        "each rule",
        "User-agent: GPTBot\nDisallow: /\n\nUser-agent: CCBot\nDisallow: /letters\n",
        ["Disallow: /", "Disallow: /letters"],
    ),
    ("a token outside of the grammar", "User-agent: AI2Bot/1.0\nDisallow: /\n", ["Disallow: /"]),
    ("a token with a blank", "User-agent: Kangaroo Bot\nDisallow: /\n", ["Disallow: /"]),
    ("the beginning of a token is another token", "User-agent: GPT\nDisallow: /\n", []),
    ("everybody is nobody in particular", "User-agent: *\nDisallow: /x\n", []),
    ("shut to us as well: robots decides", "User-agent: *\nUser-agent: GPTBot\nDisallow: /\n", []),
    ("it speaks to us by name", "User-agent: GPTBot\nDisallow: /\n\nUser-agent: ForbearBot\nDisallow:\n", []),
    ("a user's request is not training", "User-agent: ChatGPT-User\nDisallow: /\n", []),
    ("a crawler whose purpose is not known", "User-agent: Diffbot\nDisallow: /\n", []),
]


@pytest.mark.parametrize(("what", "robots", "quotes"), INTENT)
def test_intent(site, what, robots, quotes):
    statements, gaps = site.ask(robots_intent, site.file("/robots.txt", robots))
    assert [s.quote for s in statements] == quotes, what
    assert all((s.preference, s.uses) == (Preference.DISALLOW, {Use.TRAIN_AI}) for s in statements)
    assert gaps == []


FLAGGED = [
    # what, robots.txt, [(quote, line, preference)]
    ("no colon", "User-agent: *\nDisallow AI-training\n", [("Disallow AI-training", 2, "disallow")]),
    ("no record of anybody", "Noai: /\nUser-agent: *\nAllow: /\n", [("Noai: /", 1, "disallow")]),
    ("a purpose as a path", "User-agent: *\nDisallow: training # please\n", [("Disallow: training", 2, "disallow")]),
    ("one word", "User-agent: *\nDisallowAITraining: /\n", [("DisallowAITraining: /", 2, "disallow")]),
    ("a header as a record", "X-Robots-Tag: noai\n", [("X-Robots-Tag: noai", 1, "disallow")]),
    ("a yes", "Allow-AI-Training: yes\n", [("Allow-AI-Training: yes", 1, "allow")]),
    ("a kind of crawlers", "User-agent: *AI*\nDisallow: /\n", [("Disallow: /", 2, "disallow")]),
    ("a kind of crawlers, in words", "User-agent: All AI bots\nDisallow: /\n", [("Disallow: /", 2, "disallow")]),
    ("a kind of crawlers, elsewhere", "User-agent: *AI*\nDisallow: /essays/\n", []),
    ("a comment", "# Disallow: training\n", []),
    ("a path", "User-agent: *\nDisallow: /training\n", []),
    ("it speaks to us by name", "User-agent: ForbearBot\nAllow: /\nNoai: /\n", []),
    ("bounded", "Noai: /\n" * 100, [("Noai: /", line, "disallow") for line in range(1, informal_optouts.MOST + 1)]),
]


@pytest.mark.parametrize(("what", "robots", "expected"), FLAGGED)
def test_lines_that_no_crawler_obeys_are_flagged(site, what, robots, expected):
    statements, gaps = site.ask(robots_intent, site.file("/robots.txt", robots))
    assert [(s.quote, s.where, s.preference) for s in statements] == [
        (quote, f"line {line}", preference) for quote, line, preference in expected
    ], what
    assert all(s.force is StatementStatus.FLAGGED and s.uses == {Use.TRAIN_AI} for s in statements)
    assert gaps == []


def test_robots_txt_itself_is_always_allowed(site):
    file = site.file("/robots.txt", "User-agent: GPTBot\nDisallow: /\n")
    assert site.ask(robots_intent, file, url=file.url) == ([], [])


def test_intent_counts_in_strict_alone(site):
    [statement], _ = site.ask(robots_intent, site.file("/robots.txt", "User-agent: GPTBot\nDisallow: /\n"))
    rules = policy.load()
    assert not rules.counts(statement, Use.TRAIN_AI, Profile.STANDARD)
    assert rules.counts(statement, Use.TRAIN_AI, Profile.STRICT)
    assert not rules.counts(statement, Use.SEARCH, Profile.STRICT)


def test_agents_are_dated_data_each_token_once():
    agents = tomllib.loads(resources.files("forbear.optout").joinpath("agents.toml").read_text())["agents"]
    assert len({agent["token"].lower() for agent in agents}) == len(agents)
    assert {agent["kind"] for agent in agents} == {"training", "search", "user", "unclear"}
    assert all(agent["source"] and agent["date"] for agent in agents)
    training = {agent["token"] for agent in agents if agent["kind"] == "training"}
    assert set(policy.load().training_agents) == training
    assert {"GPTBot", "ClaudeBot", "CCBot", "Google-Extended", "Bytespider"} <= training
