"""The compiled form of a host's rules against the decision itself: on all vectors, and on files that are made up."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.optout import case, host_rules, policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.host_rules import HostRules, Hosts, Outcome
from forbear.optout.model import Capture, Decision, Place, Preference, Profile, Question, Statement, Use, Verdict
from forbear.optout.protocols import PROTOCOLS, infringing_list, operator
from forbear.optout.readers import url as urls
from forbear.optout.readers.pattern import Target
from forbear.optout.readers.url import NotAUrl, Url
from tests.optout.test_vectors import VECTORS

POLICY = policy.load()
ORIGIN = "https://archive.example"
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATHS = re.compile(r"[/*][!-~]{0,60}")


def variants(paths: list[str], chance: random.Random) -> Iterator[str]:
    """Paths near those that a file speaks of, in many spellings."""
    ends = ("x", "/", ".pdf", "?q=1", "?u=http://b/", "#top", "%2F", "*", "$", " ", "é", "/../")
    for path in paths:
        filled = "/" + path.replace("*", chance.choice(("", "x", "a/b"))).removesuffix("$").removeprefix("/")
        at = chance.randrange(1, len(filled) + 1)
        yield from (filled, filled + chance.choice(ends), filled.swapcase())
        yield f"{filled[:at]}%{ord(filled[at - 1]) % 128:02x}{filled[at:]}"


@pytest.mark.parametrize("group", range(8))
def test_a_host_of_each_vector(group: int) -> None:
    """Before the page is fetched, at its own URL and at others."""
    chance = random.Random(group)
    for vector in VECTORS[group::8]:
        page, question, captures = before_the_page(vector)
        _, _, again = before_the_page(vector)
        words = " ".join(capture.body[:2_000].decode("utf-8", "replace") for capture in captures)
        near = variants(chance.choices(PATHS.findall(words) or ["/"], k=2), chance)
        for asked in (replace(question, profile=profile) for profile in Profile):
            rules = HostRules(asked, captures, POLICY)
            expected = {
                url: decide(replace(asked, url=url), again, POLICY)
                for url in (page.href, *map(page.origin.__add__, near))
            }
            for url in (*expected, *reversed(expected)):
                assert rules.decide(url) == expected[url], (vector["id"], url)


def before_the_page(vector: dict[str, Any]) -> tuple[Url, Question, Captures]:
    _, question, captures = case.from_json(vector)
    url = urls.parse(question.url)
    return url, question, Captures((known for known in captures if known.url != url.href), complete=True)


# --- made-up hosts

segments = st.sampled_from(["a", "b", "A", "ab", "%61", "%2F", "a.b", "~x", "é", "p.pdf", "q:1", "*", "$"])
queries = st.sampled_from(["", "", "", "?", "?a=1", "?u=http://b/", "?u=http%3A", "?*", "?a[]=1"])
paths = st.builds(lambda parts, query: "/" + "/".join(parts) + query, st.lists(segments, max_size=3), queries)
patterns = st.builds(
    lambda path, star, end: f"{star}{path}{end}",
    paths,
    st.sampled_from(["", "", "/*", "*"]),
    st.sampled_from(["", "$"]),
)
names = st.sampled_from(["*", "ForbearBot", "Forbear", "GPTBot", "CCBot", "*AI*", "__usage_ai-training"])
records = st.one_of(
    st.builds("{}: {}".format, st.sampled_from(["Disallow", "Disallow", "Allow", "allow"]), patterns),
    st.builds("User-agent: {}".format, names),
    st.builds(
        "Content-Usage: {}{}".format,
        st.one_of(st.just(""), patterns.map("{} ".format)),
        st.sampled_from(["train-ai=n", "train-ai=y", "search=n", "train-ai=n, train-ai=y", "train-ai=no", "="]),
    ),
    st.sampled_from(
        [
            *(
                "Content-Signal: ai-train=no",
                "Content-Signal: search=yes,ai-train=maybe",
                "Crawl-delay: 1",
                "",
                "Noai: yes",
            ),
            *(f"License: {ORIGIN}/licence.xml", "License: https://elsewhere.example/l.xml", "Sitemap: /s", "Disallow:"),
        ]
    ),
)
robots_files = st.builds(
    lambda name, lines: "\n".join([f"User-agent: {name}", *lines]), names, st.lists(records, max_size=9)
)
tdmreps = st.lists(
    st.builds(
        lambda path, value: {"location": path, "tdm-reservation": value}, patterns, st.sampled_from([0, 1, "1", True])
    ),
    max_size=4,
).map(json.dumps)
licences = st.lists(
    st.tuples(st.one_of(patterns, st.just("")), st.sampled_from(["prohibits", "permits"])), max_size=3
).map(
    lambda said: (
        '<rsl xmlns="https://rslstandard.org/rsl">'
        + "".join(
            f'<content url="{path}"><license><{what} type="usage">ai-train</{what}></license></content>'
            for path, what in said
        )
        + "</rsl>"
    )
)
entries = st.lists(
    st.builds(
        "{},legal team,{},why,{},{}".format,
        st.sampled_from([f"block,{ORIGIN}/a", "block,example", f"block,{ORIGIN}/%2561/", "block,other.example"]),
        st.sampled_from(["2026-01-01", "2026-11-24"]),
        st.sampled_from(["", "2026-11-24", "2026-11-25"]),
        st.just(""),
    )
    | st.builds("allow,{},legal team,2026-11-24,licence,,robots tdmrep".format, paths.map(ORIGIN.__add__)),
    max_size=3,
).map(
    lambda lines: "\n".join(["effect,match,by,at,why,until,lifts", *(line for line in lines if line.count(",") == 6)])
)
PLACES = {
    "/robots.txt": robots_files,
    "/.well-known/tdmrep.json": tdmreps,
    "/ai.txt": st.builds("User-Agent: *\nDisallow: {}\nAllow: {}\nTraining: deny".format, patterns, patterns),
    "/trust.txt": st.sampled_from(["datatrainingallowed=no", "datatrainingallowed=yes", "datatrainingallowed=x"]),
    "/licence.xml": licences,
}
answers = st.one_of(st.just(200), st.just(200), st.just(200), st.sampled_from([None, 301, 401, 404, 429, 503]))


@st.composite
def hosts(draw: st.DrawFn) -> list[Capture]:
    """Captures of a host's files; a file that is not among them is not known."""
    made = []
    for path, files in PLACES.items():
        status = draw(answers)
        if status is not None:
            headers = (("Location", "https://elsewhere.example/moved"),) if status == 301 else ()
            made.append(Capture(ORIGIN + path, status, headers, draw(files).encode() if status == 200 else b""))
    if draw(st.booleans()):
        made.append(Capture(operator.LIST, 200, (), draw(entries).encode()))
    if draw(st.integers(0, 9)) == 0:
        line = f"archive.example,DK,Court,Law,,2026-01-01,2026-11-25,sha256:{64 * 'a'},"
        made.append(Capture(infringing_list.LIST, 200, (), f"{','.join(infringing_list.COLUMNS)}\n{line}\n".encode()))
    return made


@given(hosts(), st.lists(paths, min_size=2, max_size=8), st.sampled_from(Use), st.sampled_from(Profile), st.booleans())
def test_a_made_up_host(known: list[Capture], asked: list[str], use: Use, profile: Profile, complete: bool) -> None:
    question = Question(ORIGIN, use=use, profile=profile, at=AT)
    rules = HostRules(question, Captures(known, complete=complete), POLICY)
    again = Captures((replace(capture, memo={}) for capture in known), complete=complete)
    later = replace(question, at=AT + timedelta(hours=11))
    for path in (*asked, *asked):
        url = ORIGIN + path
        assert rules.decide(url) == decide(replace(later, url=url), again, POLICY)
    table = Hosts(lambda _: Captures(known, complete=complete), POLICY, use=use, profile=profile, at=AT)
    found = table.decide_all([ORIGIN + path for path in asked])
    for path, number in zip(asked, found.index, strict=True):
        exactly, shared = rules.decide(ORIGIN + path), found.outcomes[number]
        if isinstance(exactly, Decision):
            assert isinstance(shared, Decision)
            shared = replace(shared, url=exactly.url)
        assert shared == exactly


@given(
    paths,
    st.sampled_from(["", "/.", "/..", "/./a", "//", "\\", "\t", "|", "^", "`", "'", "\x7f", "\udc80", "[1]", "{}"]),
)
def test_a_plain_target_has_one_spelling(path: str, more: str) -> None:
    target = Target(path + more)
    if target.is_plain:
        url = urls.parse(ORIGIN + target.text)
        assert (url.href, url.origin, url.target) == (ORIGIN + target.text, ORIGIN, target.text)
        assert target.octets == target.as_written == urls.normalise(target.text.encode())


# --- what is kept


def verdict(outcome: Outcome | None) -> Verdict:
    assert isinstance(outcome, Decision)
    return outcome.verdict


SHUT = Capture(f"{ORIGIN}/robots.txt", 200, (), b"User-agent: *\nDisallow: /a\nDisallow: /b/*.pdf$\n")


def test_urls_with_the_same_answers_share_an_outcome() -> None:
    rules = HostRules(Question(ORIGIN, at=AT), Captures([SHUT], complete=True), POLICY)
    assert rules.find(f"{ORIGIN}/1") is rules.find(f"{ORIGIN}/b/2") is rules.find("HTTPS://archive.example:443/%7E3#x")
    assert rules.find(f"{ORIGIN}/a/1") is rules.find(f"{ORIGIN}/%61/2") is not rules.find(f"{ORIGIN}/b/2.pdf")


def test_what_does_not_fit_is_decided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_rules, "MOST_OUTCOMES", 1)
    rules = HostRules(Question(ORIGIN, at=AT), Captures([SHUT], complete=True), POLICY)
    assert rules.find(f"{ORIGIN}/1") is rules.find(f"{ORIGIN}/2")
    assert rules.find(f"{ORIGIN}/a") is not rules.find(f"{ORIGIN}/a")
    assert rules.decide(f"{ORIGIN}/a/1") == decide(
        Question(f"{ORIGIN}/a/1", at=AT), Captures([SHUT], complete=True), POLICY
    )


def test_long_answers_are_not_kept() -> None:
    lines = "".join(f"Disallow: /{'*' * (number % 7)}/{number:x}*\n" for number in range(9))
    body = "User-agent: *\n" + "".join(
        f"Disallow: /{'a' * number}*\n" for number in range(host_rules.MOST_COVERING + 1)
    )
    known = Captures([Capture(f"{ORIGIN}/robots.txt", 200, (), f"{body}{lines}".encode())], complete=True)
    rules, url = HostRules(Question(ORIGIN, at=AT), known, POLICY), f"{ORIGIN}/{'a' * 300}"
    assert rules.find(url) is not rules.find(url)
    assert rules.find(f"{ORIGIN}/1") is rules.find(f"{ORIGIN}/1")


class Curious:
    """A protocol that looks at the whole URL, in spite of all."""

    NAME = "prose"
    PLACES = ()

    @staticmethod
    def read(asked):
        if asked.url.path.endswith("7"):
            yield Statement("prose", Preference.ALLOW, asked.url.href, asked.url.href, "line 1", frozenset(Use))


class Broken:
    """A protocol with a fault."""

    NAME = "prose"
    PLACES = ()

    @staticmethod
    def read(asked):
        yield from asked.no_such_thing


@pytest.mark.parametrize("protocol", [Curious, Broken])
def test_a_reader_that_looks_at_the_url_is_asked_about_each(
    monkeypatch: pytest.MonkeyPatch, protocol: type[Curious | Broken]
) -> None:
    monkeypatch.setattr("forbear.optout.decide.PROTOCOLS", (*PROTOCOLS, protocol))
    known = Captures([SHUT], complete=True)
    rules = HostRules(Question(ORIGIN, at=AT), known, POLICY)
    for number in range(20):
        url = f"{ORIGIN}/{number}"
        found = rules.decide(url)
        assert found == decide(Question(url, at=AT), known, POLICY)
        assert isinstance(found, Decision)
        assert any(url in str(item) for item in (*found.statements, *found.gaps)) == (protocol is Broken or "7" in url)


def test_a_url_that_was_asked_for_is_decided_by_what_came() -> None:
    page = Capture(f"{ORIGIN}/page?a=1", 200, (("tdm-reservation", "1"),), b"text")
    known = Captures([page], complete=True)
    rules = HostRules(Question(ORIGIN, at=AT), known, POLICY)
    for url in (page.url, f"{ORIGIN}:443/./page?a=1#x"):
        assert rules.decide(url) == decide(Question(url, at=AT), known, POLICY)
    assert verdict(rules.decide(f"{ORIGIN}/page")) is Verdict.ALLOWED


def test_what_is_added_later_is_not_looked_at() -> None:
    known = Captures([], complete=True)
    rules = HostRules(Question(ORIGIN, at=AT), known, POLICY)
    known.add(SHUT)
    assert verdict(rules.decide(f"{ORIGIN}/a")) is Verdict.ALLOWED


# --- many hosts


def test_a_table_of_urls() -> None:
    asked: list[str] = []

    def captures_of(origin: str) -> Captures:
        asked.append(origin)
        return Captures([SHUT], complete=True) if origin == ORIGIN else Captures()

    table = [
        f"{ORIGIN}/1",
        None,
        "no URL",
        f"{ORIGIN}/a",
        "http://b.example/",
        f"{ORIGIN}:443/2",
        "",
        "ftp://c.example/",
    ]
    found = Hosts(captures_of, POLICY, at=AT).decide_all([*table, "http://b.example/x", "https://archive.examplex"])
    assert list(found.index) == [1, 0, 0, 2, 3, 1, 0, 0, 3, 4]
    nothing, open_, shut, unknown, other = found.outcomes
    assert nothing is None
    assert (verdict(open_), verdict(shut)) == (Verdict.ALLOWED, Verdict.EXCLUDED)
    assert unknown == (Place("robots", "http://b.example/robots.txt"),)
    assert other == (Place("robots", "https://archive.examplex/robots.txt"),)
    assert asked == [ORIGIN, "http://b.example", "https://archive.examplex"]


def test_hosts_that_were_asked_about_last_are_kept() -> None:
    asked: list[str] = []

    def captures_of(origin: str) -> Captures:
        asked.append(origin[-1])
        return Captures()

    hosts_known = Hosts(captures_of, POLICY, most=2)
    for letter in "abacba":
        hosts_known.decide(f"https://{letter}/")
    assert asked == ["a", "b", "c", "b", "a"]
    with pytest.raises(NotAUrl):
        hosts_known.decide("a")
