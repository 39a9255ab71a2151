"""145 opt-out files of real sites: the findings for their owners, and what the corrections are read as."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from forbear.optout.advice import Finding
from forbear.optout.model import Capture, Verdict
from forbear.optout.readers.text import readable
from tests.optout.advised import HTML, Site

CORPUS = Path(__file__).parent.parent / "corpus" / "real_world.jsonl"
ITEMS: list[dict[str, Any]] = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
PLACES = {"tdmrep.json": "/.well-known/tdmrep.json"}
LICENCE = (
    '<rsl xmlns="https://rslstandard.org/rsl"><content url="/"><license>'
    '<prohibits type="usage">ai-train</prohibits></license></content></rsl>'
)


def _site(item: dict[str, Any]) -> Site:
    """The file at its place on a site that has nothing else but what the file needs."""
    kind, body = item["kind"], item["body"]
    if kind == "headers":
        fields = re.findall(r"^ +([\w-]+): (.+)$", body, re.MULTILINE)
        fields += re.findall(r'"key": "([^"]+)",\s*"value": "([^"]+)"', body)
        moved = re.search(r'"destination": "([^"]+)"', body)
        if moved:
            page = Capture("https://a.example/", 307, (("Location", moved[1]),))
            return Site(extra=[page, Capture(f"https://a.example{moved[1]}", 200, (("Content-Type", HTML),))])
        return Site(headers=fields)
    files = {PLACES.get(kind, f"/{kind}"): body}
    host = re.search(r'<content[^>]*url="(https?://[^/"]+)', body) if kind == "rsl.xml" else None
    origin = host[1] if host else "https://a.example"
    if kind == "rsl.xml":
        files["/robots.txt"] = f"License: {origin}/rsl.xml\n"
    named = re.findall(r"^License: (\S+)", body, re.MULTILINE | re.IGNORECASE) if kind == "robots.txt" else []
    return Site(files, origin=origin, extra=[Capture(url, 200, (), LICENCE.encode()) for url in named])


def _numbered(**wanted: Any) -> list[Any]:
    chosen = (item.items() >= wanted.items() for item in ITEMS)
    return [
        pytest.param(item, id=f"{number} {item['source']}")
        for number, (item, is_wanted) in enumerate(zip(ITEMS, chosen, strict=True))
        if is_wanted
    ]


def _own_words(site: Site, found: Finding) -> bool:
    served = {capture.url: capture for capture in site.captures()}[found.source]
    return found.quote in readable(served.body) or any(found.quote == value for _, value in served.headers)


@pytest.mark.parametrize("item", _numbered(intent="reserved", well_formed=False))
def test_a_reservation_that_misses_its_form_is_reported_and_mended(item: dict[str, Any]) -> None:
    site = _site(item)
    faults = site.faults()
    assert faults
    assert all(found.quote and found.section and _own_words(site, found) for found in faults)
    mended = [site.corrected(found) for found in faults if found.fix]
    assert all(other.verdict() is Verdict.EXCLUDED for other in mended)
    # What is not read as reserved has a correction; but a redirect is not mended with words.
    assert mended or site.verdict() is Verdict.EXCLUDED or item["kind"] == "headers"


SAID_TO_SOME = 7
"""Well-formed files whose no does not reach everybody: six robots.txt with names alone, an ai.txt about html pages."""


def test_a_well_formed_reservation_raises_no_alarm_unless_it_misses_some() -> None:
    missing = 0
    alarmed = []
    for param in _numbered(intent="reserved", well_formed=True):
        (item,) = param.values
        site = _site(item)
        if site.verdict() is not Verdict.EXCLUDED:
            missing += 1
            assert site.faults(), param.id
        elif site.faults():
            alarmed.append((param.id, [found.rule for found in site.faults()]))
    assert missing == SAID_TO_SOME
    # The one element beside the terms that RSL does not have.
    assert alarmed == [("104 IreneBurresi/ireneburresi.dev public/rsl.xml", ["rsl/unknown-element"])]


@pytest.mark.parametrize("item", _numbered(kind="robots.txt", intent="reserved", well_formed=True))
def test_only_names_are_reported_and_the_lines_for_all_are_read_by_all(item: dict[str, Any]) -> None:
    site = _site(item)
    found = next((found for found in site.faults() if found.rule == "robots/agents-by-name"), None)
    assert (found is None) == (site.verdict() is Verdict.EXCLUDED)
    if found:
        assert site.corrected(found).verdict() is Verdict.EXCLUDED
        assert "robots/agents-by-name" not in [other.rule for other in site.corrected(found).faults()]


def test_how_many_files_are_judged_as_the_corpus_judges_them() -> None:
    differing = [number for number, item in enumerate(ITEMS) if bool(_site(item).faults()) == bool(item["well_formed"])]
    told_more = {
        *(6, 61),  # the general 0 comes first, so that the reservations behind it are lost
        *(91, 116, 118, 120, 121, 122, 130),  # well-formed, and not said to all
        *(104, 117, 123, 139),  # an unknown element; lines in another crawler's group; names alone
    }
    assert set(differing) == told_more
    assert len(ITEMS) == 145
