"""Any robots.txt up to its limit is read and asked in linear time and small memory (RFC 9309 2.5, 3)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from forbear.optout import policy
from forbear.optout.advice import protego_compare
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question
from forbear.optout.readers.robots_txt import LIMIT, RobotsTxt
from tests.line_counter import PER_OCTET, steps

AGENT = b"User-agent: *\n"
TRAINING = [crawler.encode() for crawler in policy.load().training_agents]
NAMED_TOGETHER = b"".join(b"User-agent: %s\n" % crawler for crawler in TRAINING)
NAMED_APART = b"".join(b"User-agent: %s\nDisallow: /%d\n" % (name, n) for n, name in enumerate(TRAINING))
BESIDE = b"User-agent: x\nCrawl-delay: 1\nUser-agent: y\nDisallow: /\n"
"""Protego takes this for two groups: it lets x in."""
PAGE = "https://archive.example/a" + "a" * 500 + "?x=:" + "b" * 500


def filled(unit: bytes, head: bytes = AGENT) -> Callable[[int], bytes]:
    return lambda size: (head + unit * (size // len(unit)))[:size]


def listed(line: Callable[[int], bytes], head: bytes = AGENT, tail: bytes = b"") -> Callable[[int], bytes]:
    """Lines that differ in their number."""

    def body(size: int) -> bytes:
        lines = b"".join(line(number) for number in range(size // len(line(1_000))))
        return (head + lines)[: size - len(tail)] + tail

    return body


FILES: dict[str, Callable[[int], bytes]] = {
    "group bomb": filled(b"User-agent: a\nDisallow: /\n", b""),
    "group bomb of everybody": filled(b"useragent:*\nallow:/\n", b""),
    "group bomb of many names": listed(lambda n: b"useragent:%s\ndisallow:/%d\n" % (name(n), n), b""),
    "agent bomb": listed(lambda n: b"User-agent: %s\n" % name(n), b"", b"\nDisallow: /\n"),
    "agent bomb of one name": filled(b"User-agent: a\n", b""),
    "rules": listed(lambda n: b"Disallow: /%d/\n" % n),
    "one rule over and over": filled(b"allow:/\n"),
    "empty rules": filled(b"allow:\n"),
    "rules of every length": lambda size: AGENT + b"".join(b"Disallow: /%s\n" % (b"a" * n) for n in _lengths(size)),
    "wildcard bomb": listed(lambda n: b"Disallow: /*a%dz\n" % n),
    "star bomb": lambda size: (AGENT + b"Disallow: /" + b"*a" * size)[: size - 2] + b"z\n",
    "stars": lambda size: (AGENT + b"Disallow: /" + b"*" * size)[: size - 2] + b"z\n",
    "query bomb": listed(lambda n: b"Disallow: /*?x%d=:\n" % n),
    "escape bomb": lambda size: (AGENT + b"Disallow: /" + b"%41" * size)[:size],
    "patterns that cover nothing": listed(lambda n: b"disallow:%d\n" % n),
    "one-character lines": filled(b"a\n"),
    "blank lines": filled(b"\n", b""),
    "CR LF": filled(b"\r\n", b""),
    "colons": filled(b":\n", b""),
    "records of one letter": filled(b"a:\n", b""),
    "comments": filled(b"#\n", b""),
    "NULs": filled(b"\0", b""),
    "NUL lines": filled(b"\0\n", b""),
    "one huge line": filled(b"x", b""),
    "one line of blanks": filled(b" ", AGENT + b"disallow"),
    "one line of colons": filled(b":", AGENT + b"disallow"),
    "two words": filled(b"disallow /a\n"),
    "many words": filled(b"disallow "),
    "markup that never opens": filled(b"<!-- -->", b""),
    "wishes that are none": filled(b"ai:\n", b""),
    "crawlers named together": listed(lambda n: b"Disallow: /*%d\n" % n, NAMED_TOGETHER),
    "crawlers named together and apart": listed(lambda n: b"Disallow: /*%d\n" % n, NAMED_APART + NAMED_TOGETHER),
    "kinds of crawlers": listed(lambda n: b"User-agent:*a%d\ndisallow:/\n" % n, b""),
    "UTF-16": lambda size: b"\xff\xfe" + filled(b"Disallow: /a\n")(size // 2 - 1).decode().encode("utf-16-le"),
    "UTF-16 that is none": filled(b"\x00\xd8", b"\xff\xfe"),
}


def name(number: int) -> bytes:
    """A product token for each number."""
    return bytes(97 + number // 26**place % 26 for place in range(4))


def _lengths(size: int) -> range:
    """So many lines, each one byte longer, that they fill the size."""
    return range(int((2 * size) ** 0.5) - 12)


def ask(body: bytes) -> None:
    """Reads a file and decides one question."""
    known = Captures([Capture("https://archive.example/robots.txt", 200, (), body)], complete=True)
    decide(Question(PAGE), known, policy.load())


@pytest.mark.parametrize("kind", FILES)
def test_each_octet_costs_a_few_steps(kind: str) -> None:
    """Shown on a shorter file, as counting takes long."""
    ask(b"")  # loads the policy
    body = FILES[kind](LIMIT // 7)
    assert steps(lambda: ask(body)) < PER_OCTET * len(body)


@pytest.mark.parametrize("kind", FILES)
def test_a_whole_file_is_read(kind: str) -> None:
    body = FILES[kind](LIMIT)
    assert LIMIT * 0.9 < len(body) <= LIMIT
    ask(body)


@pytest.mark.parametrize("kind", FILES)
def test_memory_is_small(kind: str) -> None:
    """At most 64 times the file, which are 32 MiB for the longest; shown on a shorter one, as counting takes long."""
    body = FILES[kind](LIMIT // 8)
    tracemalloc.start()
    try:
        ask(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * LIMIT // 8


@pytest.mark.parametrize("kind", ["group bomb of many names", "rules", "one rule over and over", "agent bomb"])
def test_a_file_is_parsed_once_for_a_hundred_urls(kind: str) -> None:
    capture = Capture("https://archive.example/robots.txt", 200, (), FILES[kind](LIMIT // 7))
    known = Captures([capture], complete=True)
    urls = [f"https://archive.example/{number}/letters" for number in range(100)]
    first = steps(lambda: decide(Question(PAGE), known, policy.load()))
    file = capture.memo["robots.txt"]
    others = steps(lambda: [decide(Question(url), known, policy.load()) for url in urls])
    assert others < 2 * first
    assert capture.memo["robots.txt"] is file


def test_a_body_beyond_the_limit_costs_no_more_than_the_limit() -> None:
    """RFC 9309 2.5: what is not read is not even split."""
    within = FILES["one huge line"](LIMIT)
    beyond = FILES["rules"](LIMIT) * 7
    ask(within)
    assert steps(lambda: ask(within + b"\n" + beyond)) < 1.5 * steps(lambda: ask(within))


@pytest.mark.parametrize(
    ("body", "reads_along"),
    [
        (BESIDE, True),
        (BESIDE.ljust(protego_compare.MOST_OCTETS, b"#"), True),
        (BESIDE.ljust(protego_compare.MOST_OCTETS + 1, b"#"), False),
        # Protego's time and memory are quadratic: it files each rule with each name of its group, and which names
        # and lines these are, it sees in its own way.
        (BESIDE + FILES["agent bomb"](30_000) + FILES["rules"](30_000).removeprefix(AGENT), False),
        (
            BESIDE
            + listed(lambda n: b"User-agent: a/%d\n" % n, b"")(30_000)
            + FILES["rules"](30_000).removeprefix(AGENT),
            False,
        ),
        (BESIDE + FILES["agent bomb"](30_000).replace(b"\n", b"\v") + FILES["rules"](30_000), False),
    ],
)
def test_protego_is_not_asked_where_it_is_slow(body: bytes, reads_along: bool) -> None:
    capture = Capture("https://archive.example/robots.txt", 200, (), body)
    found = protego_compare.other_reading(Question(PAGE, "x"), Captures([capture], complete=True))
    assert (found is not None) == reads_along


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        # A rule that ends at the limit is read; one byte further it is not, nor is a part of it.
        (lambda rule: b"#" * (LIMIT - len(rule) - 1) + b"\n" + rule + b"\n# more\n", 1),
        (lambda rule: b"#" * (LIMIT - len(rule) - 1) + b"\n" + rule + b"\r\n# more\n", 1),
        (lambda rule: b"#" * (LIMIT - len(rule)) + b"\n" + rule + b"\n# more\n", 0),
        (lambda rule: b"#" * (LIMIT - len(rule) + 3) + b"\n" + rule + b"\n# more\n", 0),
        (lambda rule: b"#" * (LIMIT - len(rule) - 1) + b"\n" + rule, 1),
        (lambda rule: b"#" * (LIMIT - len(rule)) + b"\n" + rule, 0),
        (lambda rule: b"#" * LIMIT + b"\n" + rule + b"\n", 0),
    ],
)
def test_the_limit_to_the_octet(text: Callable[[bytes], bytes], rules: int) -> None:
    """RFC 9309 2.5, and robots.txt as cut off by us: 524,288 bytes, and no half lines."""
    rest = text(b"Disallow: /shut")
    # The user-agent line takes the place of as many bytes of the comment.
    file = RobotsTxt(Capture("https://archive.example/robots.txt", 200, (), AGENT + rest[len(AGENT) :]))
    assert sum(len(group.rules) for group in file.groups) == rules
    assert file.too_large == (len(rest) > LIMIT)


STRICT_AT_THE_LIMIT = [
    # what, robots.txt, verdict in strict, what decided
    ("exactly the limit", (AGENT + b"Disallow: /z\n#").ljust(LIMIT, b"x"), "allowed", []),
    ("one octet more", (AGENT + b"Disallow: /z\n#").ljust(LIMIT + 1, b"x"), "deferred", [("unreachable", "too-large")]),
    (
        "octets are counted, not characters",
        AGENT + "#{}\n".format("é" * (LIMIT // 2)).encode(),
        "deferred",
        [("unreachable", "too-large")],
    ),
    ("an Allow leaves the doubt", (AGENT + b"Allow: /\n#").ljust(LIMIT + 9, b"x"), "deferred",
     [("unreachable", "too-large")]),
    ("a rule that was read", (AGENT + b"Disallow: /a\n#").ljust(LIMIT + 9, b"x"), "excluded",
     [("robots", "Disallow: /a")]),
    ("intent that was read", b"User-agent: GPTBot\nDisallow: /\n#".ljust(LIMIT + 9, b"x"), "excluded",
     [("robots-intent", "Disallow: /")]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body", "verdict", "reasons"), STRICT_AT_THE_LIMIT, ids=range(6))
def test_strict_at_the_limit(what: str, body: bytes, verdict: str, reasons: list[tuple[str, str]]) -> None:
    """decide.md, failure names: what lies beyond the limit is a doubt, unless something that was read excludes."""
    known = Captures([Capture("https://archive.example/robots.txt", 200, (), body)], complete=True)
    for profile, expected in ((Profile.STRICT, (verdict, reasons)), (Profile.STANDARD, None)):
        decision = decide(Question(PAGE, profile=profile), known, policy.load())
        assert isinstance(decision, Decision)
        if expected:
            assert (decision.verdict, [(r.protocol, r.quote) for r in decision.reasons]) == expected, what
        else:
            assert decision.verdict == ("excluded" if ("robots", "Disallow: /a") in reasons else "allowed"), what


def test_rules_that_are_named_again_and_again_leave_a_doubt() -> None:
    """decide.md, profile strict: what is not read defers; standard does not ask."""
    body = FILES["crawlers named together and apart"](LIMIT)
    known = Captures([Capture("https://archive.example/robots.txt", 200, (), body)], complete=True)
    decision = decide(Question(PAGE, profile=Profile.STRICT), known, policy.load())
    assert isinstance(decision, Decision)
    assert (decision.verdict, [(r.protocol, r.quote) for r in decision.reasons]) == (
        "deferred",
        [("unreachable", "too-large")],
    )
    assert decision.verdicts[Profile.STANDARD] == "allowed"
