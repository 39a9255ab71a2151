"""The operator's own list: what an entry covers, from when to when, what a licence lifts, and a list with a mistake."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from forbear.optout import case, policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Failure, Question
from forbear.optout.protocols.operator import LIST, capture_of
from forbear.optout.readers.csv_list import BadList

HEAD = "effect,match,by,at,why,until,lifts\n"
BLOCK = HEAD + "block,{},legal team,2026-10-01,complaint 17 accepted,,\n"
LICENCE = HEAD + "allow,{},legal team,2026-10-01,licence 2026/14,,robots tdmrep robots-meta access operator\n"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def decided(text: str, url: str, *captures: Capture, at: datetime = NOON) -> Decision:
    known = Captures([capture_of(text.encode()), *captures], complete=True)
    decision = decide(Question(url, at=at), known, policy.load())
    assert isinstance(decision, Decision)
    return decision


@pytest.mark.parametrize(
    ("match", "url", "covered"),
    [
        ("press.example", "https://press.example/", True),
        ("press.example", "http://press.example:8080/a?b", True),
        ("press.example", "https://img.cdn.press.example/a", True),
        ("press.example", "https://xpress.example/", False),
        ("img.press.example", "https://press.example/", False),
        ("Press.Example", "https://PRESS.example/", True),
        ("press.example", "https://press.example./a", True),  # the root's dot: RFC 1034 3.1
        ("press.example.", "https://press.example/a", True),
        ("bücher.example", "https://xn--bcher-kva.example/", True),  # RFC 5890: one host in two spellings
        ("xn--bcher-kva.example", "https://shop.BÜCHER.example/", True),
        ("192.0.2.7", "http://192.0.2.7/a", True),
        ("2.7", "http://192.0.2.7/a", False),  # an address has no subdomains: 2.7 is 2.0.0.7
        ("[2001:db8::1]", "http://[2001:DB8:0::1]/a", True),
        ("https://press.example", "https://press.example/any", True),
        ("https://press.example/a/", "https://press.example/a/1", True),
        ("https://press.example/a/", "https://press.example/a", False),
        ("https://press.example/a/", "https://press.example/b?/a/", False),
        ("https://press.example/a/", "http://press.example/a/1", False),
        ("https://press.example/a/", "https://img.press.example/a/1", False),
        ("https://press.example/a/", "https://press.example:8443/a/1", False),
        ("https://press.example:443/a/", "https://press.example/a/1", True),
        ("https://press.example/a/", "https://press.example./a/1", True),
        ("https://press.example/letters/", "https://press.example/%6Cetters/1", True),  # RFC 3986 6.2.2.2
        ("https://press.example/%6cetters/", "https://press.example/letters/1", True),
        ("https://press.example/a%2fb/", "https://press.example/a%2Fb/1", True),  # RFC 3986 6.2.2.1
        ("https://press.example/a/", "https://press.example/b/../a/1", True),  # RFC 3986 6.2.2.3
        ("https://press.example/a?x=", "https://press.example/a?x=1", True),
    ],
)
def test_what_an_entry_covers(match: str, url: str, covered: bool) -> None:
    decision = decided(BLOCK.format(match), url)
    assert decision.verdict == ("excluded" if covered else "allowed")
    if covered:
        [reason] = decision.reasons
        line = BLOCK.format(match).splitlines()[1]
        assert (reason.protocol, reason.quote, reason.where, reason.measure) == ("operator", line, "line 2", "1.5")
        assert reason.source == LIST


@pytest.mark.parametrize(
    ("effect", "at", "until", "time", "holds"),
    [
        ("block", "2026-11-24", "", "2026-11-24T00:00:00+00:00", True),
        ("block", "2026-12-24", "", "2026-11-24T12:00:00+00:00", True),  # from the moment it is listed
        ("block", "2026-01-01", "2026-11-24", "2026-11-23T23:59:59+00:00", True),
        ("block", "2026-01-01", "2026-11-24", "2026-11-24T00:00:00+00:00", False),
        ("block", "2026-01-01", "2026-11-24", "2026-11-24T01:00:00+02:00", True),  # still the 23rd in UTC
        ("allow", "2026-11-24", "", "2026-11-23T23:59:59+00:00", False),  # a licence begins on its day
        ("allow", "2026-11-24", "", "2026-11-24T00:00:00+00:00", True),
        ("allow", "2026-01-01", "2026-11-24", "2026-11-23T12:00:00+00:00", True),
        ("allow", "2026-01-01", "2026-11-24", "2026-11-24T12:00:00+00:00", False),
    ],
)
def test_when_an_entry_holds(effect: str, at: str, until: str, time: str, holds: bool) -> None:
    lifts = "robots" if effect == "allow" else ""
    line = f"{effect},press.example,legal team,{at},on record,{until},{lifts}\n"
    decision = decided(HEAD + line, "https://press.example/a", at=datetime.fromisoformat(time))
    assert bool(decision.statements) == holds


def test_a_licence_lifts_what_it_names_and_what_can_be_licensed() -> None:
    robots = Capture("https://press.example/robots.txt", 200, (), b"User-agent: *\nDisallow: /\n")
    assert decided(LICENCE.format("press.example"), "https://press.example/a", robots).verdict == "allowed"
    assert decided(LICENCE.format("other.example"), "https://press.example/a", robots).verdict == "excluded"
    other = LICENCE.format("press.example").replace("robots tdmrep", "tdmrep")
    decision = decided(other, "https://press.example/a", robots)
    assert [reason.protocol for reason in decision.reasons] == ["robots"]


def test_a_licence_never_lifts_a_denial_of_access() -> None:
    page = Capture("https://press.example/a", 403)
    decision = decided(LICENCE.format("press.example"), "https://press.example/a", page)
    assert [(reason.protocol, reason.quote) for reason in decision.reasons] == [("access", "403")]


def test_a_licence_never_lifts_a_block() -> None:
    both = LICENCE.format("press.example") + BLOCK.format("press.example").removeprefix(HEAD)
    decision = decided(both, "https://press.example/a")
    assert [(reason.protocol, reason.where) for reason in decision.reasons] == [("operator", "line 3")]


def test_a_licence_lifts_nothing_where_the_page_could_not_be_read() -> None:
    page = Capture("https://press.example/a", error=Failure.TIMEOUT)
    decision = decided(LICENCE.format("press.example"), "https://press.example/a", page)
    assert [(reason.protocol, reason.quote) for reason in decision.reasons] == [("unreachable", "timeout")]


def test_a_blocked_site_is_not_asked_for_anything() -> None:
    known = Captures([capture_of(BLOCK.format("press.example").encode())])
    decision = decide(Question("https://press.example/a", at=NOON), known, policy.load())
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.stage) == ("excluded", "request")


def test_the_page_that_a_redirect_leads_to_is_blocked() -> None:
    page = Capture("https://open.example/a", 301, (("Location", "https://press.example/a"),))
    decision = decided(BLOCK.format("press.example"), "https://open.example/a", page)
    assert [reason.protocol for reason in decision.reasons] == ["operator"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "begin with the line effect,match,by"),
        ("effect;match;by;at;why;until;lifts\n", "begin with the line effect,match,by"),
        ("block,press.example,legal team,2026-10-01,complaint,,\n", "begin with the line effect,match,by"),
        (HEAD + "\nblock,press.example,legal team,2026-10-01,complaint,\n", "Line 3.*7 fields"),
        (HEAD + 'block,press.example,legal team,2026-10-01,"complaint,,\n', "Line 2.*every quotation mark closed"),
        (HEAD + "block,press.example,legal team,2026-10-01," + "x" * 200_000 + ",,\n", "Line 2.*7 fields"),
        (HEAD + "deny,press.example,legal team,2026-10-01,complaint,,\n", "'deny', write block or allow"),
        (HEAD + "block,press.example,,2026-10-01,complaint,,\n", "say who"),
        (HEAD + "block,press.example,legal team,,complaint,,\n", "say who"),
        (HEAD + "block,press.example,legal team,2026-10-01,,,\n", "say who"),
        (HEAD + "block,press.example,legal team,1.10.2026,complaint,,\n", "dates as 2026-11-24"),
        (HEAD + "block,press.example,legal team,2026-10-01,complaint,soon,\n", "dates as 2026-11-24"),
        (HEAD + "block,press.example,legal team,2026-10-01,complaint,,robots\n", "a block lifts none"),
        (HEAD + "allow,press.example,legal team,2026-10-01,licence,,\n", "names the protocols"),
        (BLOCK.format(""), "is not a URL"),
        (BLOCK.format("ftp://press.example/"), "not an http or https URL"),
        (BLOCK.format("press.example/a/"), "neither a domain"),
        (BLOCK.format("press.example:8443"), "neither a domain"),
        (BLOCK.format("*.press.example"), "neither a domain"),
        (BLOCK.format("desk@press.example"), "neither a domain"),
        (BLOCK.format("press example"), "is not a URL"),
    ],
)
def test_a_list_with_a_mistake_says_where_and_defers_everything(text: str, mistake: str) -> None:
    with pytest.raises(BadList, match=mistake):
        capture_of(text.encode())
    known = Captures([Capture(LIST, 200, (), text.encode())], complete=True)
    decision = decide(Question("https://elsewhere.example/", at=NOON), known, policy.load())
    assert isinstance(decision, Decision)
    assert [(reason.protocol, reason.quote, reason.source) for reason in decision.reasons] == [
        ("unreachable", "malformed", LIST)
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_list_as_a_spreadsheet_writes_it(mark: str, end: str) -> None:
    line = 'block,press.example,"Legal, Paris",2026-10-01,"complaint ""17""",,'
    text = mark + (HEAD + "\n" + line + "\n").replace("\n", end)
    decision = decided(text, "https://press.example/a")
    [said] = decision.statements
    assert (said.quote, said.where) == (line, "line 3")
    assert said.note == 'Added by Legal, Paris on 2026-10-01: complaint "17"'


def test_the_list_is_an_exchange_of_a_case() -> None:
    exchange = {"url": LIST, "status": 200, "body": BLOCK.format("press.example")}
    _, question, captures = case.from_json({"id": "1", "url": "https://press.example/a", "exchanges": [exchange]})
    decision = decide(question, captures, policy.load())
    assert isinstance(decision, Decision)
    assert [reason.protocol for reason in decision.reasons] == ["operator"]
