"""What holds for any answer of a site: no reader fails, doubt never allows, and order means nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Failure, Profile, Question, Verdict
from forbear.optout.protocols.operator import LIST

HOST = "https://archive.example"
PAGE = HOST + "/letters/1?a=b%20c"
PLACES = ("/robots.txt", "/.well-known/tdmrep.json", "/ai.txt", "/trust.txt", "/.well-known/trust.txt", "/license.xml")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def words(*parts: bytes) -> st.SearchStrategy[bytes]:
    """Bytes of any kind, among words that mean something to a reader."""
    return st.lists(st.sampled_from(parts) | st.binary(max_size=6), max_size=30).map(b"".join)


robots = words(
    *(b"User-agent:", b"Disallow:", b"Allow:", b"Sitemap:", b"Crawl-delay:", b"Content-Usage:", b"Content-Signal:"),
    *(
        b"License:",
        b" *",
        b" ForbearBot",
        b" /",
        b"/letters",
        b"%6c",
        b"%",
        b"$",
        b"*",
        b"?",
        b"#",
        b"\n",
        b"\r",
        b"\r\n",
    ),
    *(b" train-ai=n", b" ai-train=no", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"//[", b"http://["),
)
json_file = words(
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b'"',
        b'"location"',
        b'"tdm-reservation"',
        b'"/letters/*"',
        b"1",
        b"0",
        b"1e999",
    ),
    *(b"true", b"null", b'"\\ud800"', b"\n", b" "),
)
markup = words(
    *(b"<meta name=", b'"robots"', b'"tdm-reservation"', b" content=", b'"noai"', b'"1"', b">", b"<", b"<!--", b"-->"),
    *(
        b"<script type=application/ld+json>",
        b"</script>",
        b'{"isAccessibleForFree":',
        b"false",
        b"}",
        b"&#x110000;",
        b"<title>",
    ),
    *(
        b" itemprop=isAccessibleForFree",
        b" itemscope",
        b"<div class=g-recaptcha>",
        b"<rsl xmlns='https://rslstandard.org/rsl'>",
    ),
)
body = st.one_of(robots, json_file, markup, st.binary(max_size=200))
text = st.text(max_size=30)
header = st.tuples(
    st.sampled_from(
        ["Content-Type", "X-Robots-Tag", "tdm-reservation", "Content-Usage", "Location", "Link", "cf-mitigated"]
    )
    | text,
    st.sampled_from(
        ["text/html", "noai", "1", "train-ai=n", "application/pdf", "image/jpeg", "/b", "//[", "ForbearBot: noai"]
    )
    | text,
)
answered = st.builds(
    lambda status, headers, octets: {"status": status, "headers": tuple(headers), "body": octets},
    st.sampled_from([200, 200, 200, 204, 206, 301, 302, 304, 401, 403, 404, 429, 500, 503]),
    st.lists(header, max_size=4),
    body,
)
failed = st.sampled_from(Failure).map(lambda failure: {"error": failure})
site = st.fixed_dictionaries(
    {}, optional=dict.fromkeys((*(HOST + path for path in PLACES), PAGE, HOST + "/b", LIST), answered | failed)
)


def verdict(answers: dict[str, dict[str, object]], profile: Profile = Profile.STANDARD, url: str = PAGE) -> Decision:
    known = Captures((Capture(place, **answer) for place, answer in answers.items()), complete=True)  # type: ignore[arg-type]
    decision = decide(Question(url, profile=profile, at=NOON), known, policy.load())
    assert isinstance(decision, Decision)
    return decision


@given(site, st.sampled_from(Profile))
def test_no_answer_breaks_a_reader(answers: dict[str, dict[str, object]], profile: Profile) -> None:
    decision = verdict(answers, profile)
    assert [gap.detail for gap in decision.gaps if gap.where == "reader"] == []
    assert bool(decision.reasons) == (decision.verdict is not Verdict.ALLOWED)
    assert all(reason.quote and reason.source and reason.where for reason in decision.reasons)


@given(site)
def test_strict_never_allows_what_standard_does_not(answers: dict[str, dict[str, object]]) -> None:
    """decide.md, profiles: the same, and doubt never allows."""
    if verdict(answers).verdict is not Verdict.ALLOWED:
        assert verdict(answers, Profile.STRICT).verdict is not Verdict.ALLOWED


@given(site, st.sampled_from(Failure), st.sampled_from(["/robots.txt", "/.well-known/tdmrep.json", "page"]))
def test_a_place_that_gives_no_answer_is_never_a_yes(
    answers: dict[str, dict[str, object]], failure: Failure, place: str
) -> None:
    """RFC 9309 2.3.1.4. The page itself is left out, since it could lead to another host."""
    answers = {url: answer for url, answer in answers.items() if url not in (PAGE, LIST)}
    answers[PAGE if place == "page" else HOST + place] = {"error": failure}
    assert verdict(answers).verdict is not Verdict.ALLOWED


pattern = st.lists(
    st.sampled_from(["/", "letters", "1", "*", "$", "?", "a=b", "%20c", "%6C", "é", "x"]), max_size=6
).map(lambda parts: "/" + "".join(parts))
rule = st.tuples(st.sampled_from(["Allow", "Disallow"]), pattern).map(": ".join)
names = st.lists(st.sampled_from(["ForbearBot", "*", "TideBot", "forbearbot/2.0"]), min_size=1, max_size=2)
group = st.tuples(names, st.lists(rule, min_size=1, max_size=4))


def written(groups: list[tuple[list[str], list[str]]]) -> dict[str, dict[str, object]]:
    lines = [line for who, rules in groups for line in (*(f"User-agent: {one}" for one in who), *rules, "")]
    return {HOST + "/robots.txt": {"status": 200, "body": "\n".join(lines).encode()}}


@given(st.lists(group, min_size=1, max_size=5), st.data())
def test_the_order_of_groups_and_rules_means_nothing(
    groups: list[tuple[list[str], list[str]]], data: st.DataObject
) -> None:
    """RFC 9309 2.2.1, 2.2.2."""
    other = [(who, data.draw(st.permutations(rules))) for who, rules in data.draw(st.permutations(groups))]
    assert verdict(written(groups)).verdict is verdict(written(other)).verdict


@given(st.lists(group, max_size=3), st.lists(rule, min_size=1, max_size=4), pattern, st.data())
def test_one_disallow_more_never_opens(
    groups: list[tuple[list[str], list[str]]], rules: list[str], more: str, data: st.DataObject
) -> None:
    """RFC 9309 2.2.2."""
    at = data.draw(st.integers(0, len(rules)))
    longer = [*rules[:at], f"Disallow: {more}", *rules[at:]]
    if verdict(written([*groups, (["ForbearBot"], rules)])).verdict is Verdict.EXCLUDED:
        assert verdict(written([*groups, (["ForbearBot"], longer)])).verdict is Verdict.EXCLUDED


@given(st.lists(group, max_size=3), st.lists(rule, min_size=1, max_size=4), pattern)
def test_one_allow_more_never_shuts(groups: list[tuple[list[str], list[str]]], rules: list[str], more: str) -> None:
    """RFC 9309 2.2.2."""
    if verdict(written([*groups, (["ForbearBot"], rules)])).verdict is Verdict.ALLOWED:
        assert verdict(written([*groups, (["ForbearBot"], [*rules, f"Allow: {more}"])])).verdict is Verdict.ALLOWED


@given(
    st.lists(group, max_size=4),
    st.sampled_from(["Sitemap: https://a.example/", "Host: a", "Crawl-delay: 1", "", "# x", "=="]),
)
def test_a_line_that_is_not_a_rule_changes_nothing(groups: list[tuple[list[str], list[str]]], line: str) -> None:
    """RFC 9309 2.2.4, 2.3.1.5: other records, comments, blank lines and what cannot be parsed, after every line."""
    file = written(groups)
    lines = str(file[HOST + "/robots.txt"]["body"], "utf-8").split("\n")  # type: ignore[call-overload]
    between = {HOST + "/robots.txt": {"status": 200, "body": f"\n{line}\n".join(lines).encode()}}
    assert verdict(file).verdict is verdict(between).verdict
