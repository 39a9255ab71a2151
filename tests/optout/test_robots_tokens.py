"""Purpose tokens and intent in robots.txt: what the vectors leave out; the data behind both."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from optout import policy
from optout.model import Preference, Profile, Use
from optout.protocols import robots_intent, usage_token

TOKENS = [
    # what, robots.txt, [(quote, preference)]
    ("* does not stand in for the token", "User-agent: *\nDisallow: /\n", []),
    ("the token in another case", "User-agent: __Usage_AI-Training\nDisallow: /\n", [("Disallow: /", "disallow")]),
    (
        "several groups are one",
        "User-agent: __usage_ai-training\nDisallow: /\n\nUser-agent: __usage_ai-training\nAllow: /letters/\n",
        [("Allow: /letters/", "allow")],
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
    ("a user's request is no training", "User-agent: ChatGPT-User\nDisallow: /\n", []),
    ("a crawler whose purpose is not known", "User-agent: Diffbot\nDisallow: /\n", []),
]


@pytest.mark.parametrize(("what", "robots", "quotes"), INTENT)
def test_intent(site, what, robots, quotes):
    statements, gaps = site.ask(robots_intent, site.file("/robots.txt", robots))
    assert [s.quote for s in statements] == quotes, what
    assert all((s.preference, s.uses) == (Preference.DISALLOW, {Use.TRAIN_AI}) for s in statements)
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
    agents = tomllib.loads(resources.files("optout").joinpath("agents.toml").read_text())["agents"]
    assert len({agent["token"].lower() for agent in agents}) == len(agents)
    assert {agent["kind"] for agent in agents} == {"training", "search", "user", "unclear"}
    assert all(agent["source"] and agent["date"] for agent in agents)
    training = {agent["token"] for agent in agents if agent["kind"] == "training"}
    assert set(policy.load().training_agents) == training
    assert {"GPTBot", "ClaudeBot", "CCBot", "Google-Extended", "Bytespider"} <= training
