"""Findings for rightsholders: each rule with the words that it finds, and words that it lets pass."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from forbear.optout import case, policy
from forbear.optout.advice import RULES, UNDERSTOOD, Finding, Level, Placement, advise, is_unread
from forbear.optout.model import Capture, Failure, Question, Verdict
from forbear.optout.readers import url as urls
from forbear.optout.readers.text import readable
from tests.optout.advised import Site, is_remark

ORIGIN = "https://a.example"
TDM, ROBOTS, RSL = "/.well-known/tdmrep.json", "/robots.txt", "/rsl.xml"
FOOTER = "<footer>All rights are reserved, also those to text and data mining.</footer>"
NAMES = "".join(f"User-agent: {name}\n" for name in ("GPTBot", "CCBot", "ClaudeBot", "Bytespider"))


def tdmrep(text: str) -> Site:
    return Site({TDM: text})


def robots(text: str) -> Site:
    return Site({ROBOTS: text})


def rsl(terms: str, url: str = "/") -> Site:
    opening = f'<rsl xmlns="https://rslstandard.org/rsl"><content url="{url}"><license>'
    text = f"{opening}{terms}</license></content></rsl>"
    return Site({RSL: text, ROBOTS: f"License: {ORIGIN}{RSL}\n"})


def html(head: str) -> Site:
    return Site(html=f"<!DOCTYPE html>{head}<title>t</title><p>text</p>")


def answered(path: str, **answer: Any) -> Site:
    return Site(extra=[dataclasses.replace(Capture(ORIGIN + path), **answer)])


# rule, site, the words that are quoted, whether the correction makes the page reserved (None: there is none)
CASES: list[tuple[str, Site, str, bool | None]] = [
    ("words/understood", tdmrep('[{"location": "/", "tdm-reservation": 1}]'), '"tdm-reservation": 1', None),
    ("words/nothing-said", Site(), "", None),
    ("tdmrep/not-json", tdmrep('[{"location": "/", "tdm-reservation": 1},]'), '"tdm-reservation": 1', True),
    ("tdmrep/not-json", tdmrep("[{'location': '/', 'tdm-reservation': 1}]"), "[{'location'", True),
    ("tdmrep/not-an-array", tdmrep('{"tdm-reservation": 1}'), '"tdm-reservation": 1', True),
    ("tdmrep/not-an-array", tdmrep('{"rules": [{"location": "/", "tdm-reservation": 1}]}'), '"tdm-reservation"', True),
    ("tdmrep/no-rule", tdmrep('[{"permission": "none"}]'), '[{"permission"', None),
    ("tdmrep/no-rule", tdmrep('"reserved"'), '"reserved"', None),
    ("tdmrep/location", tdmrep('[{"tdm-reservation": 1}]'), '"tdm-reservation": 1', True),
    ("tdmrep/location", tdmrep('[{"location": "https://a.example/", "tdm-reservation": 1}]'), '"location": "ht', True),
    ("tdmrep/location", tdmrep('[{"location": ["/", "/b"], "tdm-reservation": 1}]'), '"location": ["/"', True),
    ("tdmrep/value", tdmrep('[{"location": "/", "tdm-reservation": true}]'), '"tdm-reservation": true', True),
    ("tdmrep/value", tdmrep('[{"location": "/", "tdm-reservation": "yes"}]'), '"tdm-reservation": "yes"', True),
    ("tdmrep/value", tdmrep('[{"location": "/", "tdm_reservation": 1}]'), '"tdm_reservation": 1', True),
    ("tdmrep/value", tdmrep('[{"location": "/", "tdm-reservation": false}]'), '"tdm-reservation": false', False),
    ("tdmrep/text-value", tdmrep('[{"location": "/", "tdm-reservation": "1"}]'), '"tdm-reservation": "1"', True),
    (
        "tdmrep/unreachable-rule",
        Site(
            {TDM: '[{"location": "/", "tdm-reservation": 0}, {"location": "/b/", "tdm-reservation": 1}]'}, page="/b/c"
        ),
        '"location": "/b/"',
        True,
    ),
    (
        "tdmrep/policy-without-reservation",
        tdmrep('[{"location": "/", "tdm-reservation": 0, "tdm-policy": "https://a.example/p"}]'),
        '"tdm-policy"',
        False,
    ),
    ("robots/misspelt", robots("User-agent: *\nDisalow /\n"), "Disalow /", True),
    ("robots/misspelt", robots("User-agents: *\nDisallow: /\n"), "User-agents: *", True),
    ("robots/misspelt", robots("User-agent: *\nContent-Signals: ai-train=no\n"), "Content-Signals:", True),
    ("robots/outside-group", robots("Disallow: /\n"), "Disallow: /", True),
    ("robots/no-slash", robots("User-agent: *\nDisallow: private\n"), "Disallow: private", False),
    ("robots/no-slash", robots("User-agent: *\nDisallow: https://a.example/\n"), "Disallow: https", True),
    (
        "robots/other-readings",
        robots("User-agent: *\nCrawl-delay: 1\nUser-agent: GPTBot\nDisallow: /\n"),
        "Disallow: /",
        None,
    ),
    (
        "robots/others-group",
        robots("User-agent: *\nAllow: /\n\nUser-agent: Bingbot\nAllow: /\nContent-Signal: ai-train=no\n"),
        "Content-Signal: ai-train=no",
        True,
    ),
    ("robots/others-group", robots("Content-Usage: train-ai=n\n"), "Content-Usage: train-ai=n", True),
    ("robots/agents-by-name", robots(f"{NAMES}Disallow: /\n\nUser-agent: *\nAllow: /\n"), "Disallow: /", True),
    ("robots/agents-by-name", robots(f"{NAMES}Disallow: /\n"), "Disallow: /", True),
    ("robots/some-agents", robots("User-agent: GPTBot\nDisallow: /\n"), "Disallow: /", None),
    ("aipref/value", robots("User-agent: *\nContent-Usage: train-ai=no\n"), "Content-Usage: train-ai=no", True),
    ("aipref/value", robots("User-agent: *\nContent-Usage: / ai-train=n\n"), "Content-Usage: / ai-train=n", True),
    ("content-signal/value", robots("User-agent: *\nContent-Signal: ai-train=maybe\n"), "ai-train=maybe", True),
    ("content-signal/value", robots("User-agent: *\nContent-Signal: search=yes, train-ai=no\n"), "train-ai=no", True),
    ("ai-txt/no-group", Site({"/ai.txt": "Disallow: /\nAllow: training\n"}), "Disallow: /", True),
    (
        "ai-txt/not-in-form",
        Site({"/ai.txt": "Do not use this site for AI training.\n"}),
        "Do not use this site for AI training",
        True,
    ),
    ("ai-txt/not-in-form", Site({"/ai.txt": "Texte: toute fouille de textes est interdite\n"}), "Texte", True),
    ("ai-txt/not-in-form", Site({"/ai.txt": "Hello, agents.\n"}), "Hello, agents.", None),
    ("ai-txt/path", Site({"/ai.txt": "User-Agent: *\nDisallow: training\n"}), "Disallow: training", True),
    ("ai-txt/unknown-line", Site({"/ai.txt": "User-Agent: *\nAllow: /\nUsage: training\n"}), "Usage: training", None),
    ("trust-txt/value", Site({"/trust.txt": "datatrainingallowed: no\n"}), "datatrainingallowed: no", True),
    ("trust-txt/value", Site({"/trust.txt": "datatrainingallowed=never\n"}), "datatrainingallowed=never", True),
    ("trust-txt/not-in-form", Site({"/trust.txt": "Contact: us\n"}), "Contact: us", None),
    ("trust-txt/unknown-name", Site({"/trust.txt": "controls=https://b.example/\n"}), "controls=", None),
    (
        "rsl/not-xml",
        Site(
            {
                RSL: '<rsl xmlns="https://rslstandard.org/rsl"><prohibits type="usage">ai-train',
                ROBOTS: f"License: {ORIGIN}{RSL}",
            }
        ),
        "<prohibits",
        True,
    ),
    ("rsl/type", rsl('<permits type="ai-train">no</permits>'), '<permits type="ai-train">', True),
    ("rsl/unknown-use", rsl('<prohibits type="usage">training</prohibits>'), "<prohibits", None),
    ("rsl/unknown-permit", rsl('<permits type="usage">search grounding</permits>'), "<permits", None),
    ("rsl/unknown-element", rsl('<prohibits type="usage">ai-train</prohibits><credit/>'), "<credit/>", None),
    ("rsl/unknown-element", rsl('<payment type="royalty"/>'), '<payment type="royalty"/>', None),
    ("rsl/unknown-element", rsl("<standard>https://b.example/</standard>"), "<standard>", None),
    ("rsl/not-named", Site({RSL: rsl('<prohibits type="usage">ai-train</prohibits>').files[RSL]}), "<rsl", True),
    ("place/web-page", Site({"/ai.txt": "<!DOCTYPE html><p>Not found"}), "<!DOCTYPE html>", None),
    (
        "place/shut",
        Site({ROBOTS: "User-agent: *\nDisallow: /.well-known/\n", TDM: "[]"}),
        "Disallow: /.well-known/",
        False,
    ),
    ("place/not-read", answered(TDM, status=503), "503", None),
    ("place/not-read", answered("/ai.txt", error=Failure.TIMEOUT), "timeout", None),
    ("place/elsewhere", Site({"/tdmrep.json": "[]"}), "[]", None),
    (
        "place/header",
        answered(ROBOTS, status=200, headers=(("TDM-Reservation", "1"),)),
        "1",
        True,
    ),
    ("page/denied-by-redirect", answered("/", status=302, headers=(("Location", "/denied"),)), "/denied", None),
    ("page/images-only", html('<meta name="robots" content="noimageai">'), "<meta", True),
    ("page/images-only", Site(headers=[("X-Robots-Tag", "noimageai")]), "noimageai", True),
    ("page/value", html('<meta name="tdm-reservation" content="true">'), "<meta", True),
    ("page/value", html('<meta name="tdm-reservation" content="no">'), "<meta", None),
    ("page/value", Site(headers=[("tdm-reservation", "yes")]), "yes", True),
    ("aipref/header", Site(headers=[("Content-Usage", "train-ai=no")]), "train-ai=no", True),
    ("aipref/header", Site(headers=[("Content-Usage", "train-ai = n")]), "train-ai = n", True),
    ("page/not-meta-name", html('<meta http-equiv="Content-Usage" content="train-ai=n">'), "<meta http-equiv", True),
    ("page/not-meta-name", html('<meta property="tdm-reservation" content="1">'), "<meta property", True),
    ("page/not-meta-name", html('<meta property="robots" content="noai">'), "<meta property", True),
    (
        "site/contradiction",
        Site({TDM: '[{"location": "/", "tdm-reservation": 1}]'}, headers=[("tdm-reservation", "0")]),
        '"tdm-reservation": 1',
        None,
    ),
    (
        "site/contradiction",
        Site({TDM: '[{"location": "/", "tdm-reservation": 1}]', "/trust.txt": "datatrainingallowed=yes\n"}),
        "datatrainingallowed=yes",
        None,
    ),
    (
        "site/contradiction",
        Site(
            headers=[("tdm-reservation", "1")],
            html='<!DOCTYPE html><meta name="tdm-reservation" content="0"><p>text</p>',
        ),
        "1",
        None,
    ),
    ("site/contradiction", Site(headers=[("Content-Usage", "train-ai=n, train-ai=y")]), "train-ai=n", None),
    ("wish/no-protocol", Site({"/ai.txt": "User-Agent: *\nDisallow: /\n# credit us\n"}), "credit us", None),
    ("words/not-understood", robots("User-agent: *\nDisallow-AI-Training: /\n"), "Disallow-AI-Training: /", None),
    ("words/not-understood", Site(html=f"<!DOCTYPE html><p>text</p>{FOOTER}"), "text and data mining", None),
    ("words/doubtful", robots("License: https://a.example/none.xml\n"), "404", None),
    (
        "words/remark",
        robots("User-agent: *\n" + "".join(f"Disallow: /{n * '*'}\n" for n in range(66))),
        "Disallow: /",
        None,
    ),
]


def _found(name: str, site: Site, quote: str) -> Finding:
    found = [found for found in site.advice() if found.rule == name]
    assert found, [other.rule for other in site.advice()]
    return next(one for one in found if quote in one.quote)


@pytest.mark.parametrize(("name", "site", "quote", "reserves"), CASES, ids=lambda value: str(value)[:40])
def test_a_rule_finds_and_its_correction_is_read(name: str, site: Site, quote: str, reserves: bool | None) -> None:
    found = _found(name, site, quote)
    assert (found.fix is None) == (reserves is None)
    if found.fix is not None:
        mended = site.corrected(found)
        assert (mended.verdict() is Verdict.EXCLUDED) == reserves
        assert found.message not in [other.message for other in mended.advice()]


@pytest.mark.parametrize(("name", "site", "quote", "reserves"), CASES, ids=lambda value: str(value)[:40])
def test_no_finding_without_a_quotation(name: str, site: Site, quote: str, reserves: bool | None) -> None:
    served = {capture.url: capture for capture in site.captures()}
    for found in site.advice():
        answer = served.get(found.source)
        said = [readable(answer.body), *(value for _, value in answer.headers)] if answer else []
        told = is_unread(found) or found.rule in ("words/nothing-said", "words/doubtful", "words/remark")
        assert told or any(found.quote in text for text in said), found
        assert found.message.endswith(".") or found.fix


def test_every_rule_is_shown_at_work_and_has_a_name_of_its_own() -> None:
    assert {rule.id for rule in RULES} == {name for name, *_ in CASES}
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.title.endswith(".") and rule.section for rule in RULES)


def test_the_page_for_rightsholders_lists_the_rules_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "rightsholders.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    sections = [rule.section.removeprefix("-") for rule in RULES]
    wanted = [
        f"| `{rule.id}` | {rule.level} | {rule.title} | {section} |".replace("|  |", "| |")
        for rule, section in zip(RULES, sections, strict=True)
    ]
    assert rows == wanted


VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("*.jsonl"))


@pytest.mark.parametrize("path", VECTORS, ids=[path.stem for path in VECTORS])
def test_whatever_a_site_says_its_owner_gets_findings_in_the_sites_words(path: Path) -> None:
    """No conformance vector stops a rule; every quotation is in the file, and a failure is quoted by its name."""
    for line in filter(None, path.read_text(encoding="utf-8").split("\n")):
        vector = json.loads(line)
        _, question, captures = case.from_json(vector)
        wanted = [one["url"] for one in vector["exchanges"] if one["url"].startswith("http")]
        known = [capture for url in wanted if (capture := captures.get(urls.parse(url).href))]
        findings = advise(question, known, policy.load(), complete=True)
        assert all(found.message and found.source and found.where for found in findings)
        decided = {(said["quote"], said["protocol"]) for said in vector["expect"]["reasons"] if said.get("quote")}
        shown = [found.quote for found in findings]
        for quote, protocol in decided:
            # The operator's own lists are not words of the site; a fault may quote other words of the same file.
            of_list = protocol in ("operator", "infringing-list") or (
                protocol == "unreachable" and len(wanted) < len(vector["exchanges"])
            )
            told = any(quote.strip() in text for text in shown) or any(not is_remark(found) for found in findings)
            assert told or of_list, (vector["id"], quote, shown)


PLAIN: list[Site] = [
    Site(),
    Site({TDM: '[{"location": "/", "tdm-reservation": 1}]'}, html=f"<!DOCTYPE html><p>text</p>{FOOTER}"),
    tdmrep('[{"location": "/", "tdm-reservation": 1, "tdm-policy": "https://a.example/p"}]'),
    tdmrep('[{"location": "/b", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}]'),
    tdmrep("[]"),
    robots("User-agent: *\nDisallow: /\n"),
    robots("User-agent: *\nAllow: /\nContent-Usage: train-ai=n, search=y\nContent-Signal: search=yes, ai-train=no\n"),
    robots(f"{NAMES}Disallow: /\n\nUser-agent: *\nAllow: /\nContent-Signal: ai-train=no\n"),
    robots("Sitemap: https://a.example/s.xml\nUser-agent: *\nCrawl-delay: 1\nDisallow:\n"),
    Site({"/ai.txt": "User-Agent: *\nDisallow: /\nDisallow: *\n"}),
    Site({"/trust.txt": "# us\nmember=https://b.example/\ndatatrainingallowed=no\n"}),
    rsl('<prohibits type="usage">ai-train</prohibits>'),
    rsl('<permits type="usage">search</permits><payment type="free"/>'),
    Site(headers=[("X-Robots-Tag", "noai, noimageai"), ("tdm-reservation", "1"), ("Content-Usage", "train-ai=n")]),
    html('<meta name="robots" content="noai, noimageai"><meta name="tdm-reservation" content="1">'),
    html('<meta property="og:title" content="Training"><meta name="description" content="no training">'),
]


@pytest.mark.parametrize("site", PLAIN, ids=range(len(PLAIN)))
def test_plain_words_raise_no_alarm(site: Site) -> None:
    assert site.faults() == []


def test_the_order_is_that_of_weight() -> None:
    site = Site({TDM: '{"tdm-reservation": 1}', ROBOTS: "User-agent: *\nAllow: /\nDisallow: x\n# credit us\n"})
    order = [0 if found.rule == UNDERSTOOD else 1 + list(Level).index(found.level) for found in site.advice()]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2, 3}


def test_a_site_that_shuts_everything_says_what_it_means() -> None:
    """robots.txt keeps crawlers from the other places too, and so from the page: nothing is lost."""
    shut = Capture(f"{ORIGIN}{ROBOTS}", 200, (), b"User-agent: *\nDisallow: /\n")
    found = advise(Question(f"{ORIGIN}/"), [shut], policy.load())
    assert [one.rule for one in found if one.level is not Level.NOTE] == []


def test_places_that_were_not_looked_at_are_not_silence() -> None:
    with pytest.raises(ValueError, match="has not been looked at"):
        advise(Question(f"{ORIGIN}/"), [], policy.load())


def test_the_same_fault_is_reported_a_limited_number_of_times() -> None:
    site = robots("User-agent: *\n" + "".join(f"Disallow: {number}\n" for number in range(1_000)))
    assert len([found for found in site.faults() if found.rule == "robots/no-slash"]) == 64


def test_a_correction_never_opens_what_was_shut() -> None:
    """Anything but a clear yes is taken as a no."""
    for value in ('"maybe"', "2", "null", '"n/a"', "-1"):
        site = tdmrep(f'[{{"location": "/", "tdm-reservation": {value}}}]')
        fixes = [found.fix for found in site.faults() if found.fix and found.fix.goes is Placement.FILE]
        assert fixes
        assert all('"tdm-reservation": 1' in fix.text for fix in fixes)
