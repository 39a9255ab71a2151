"""docs/each-protocol.md: every protocol, its specification as in policy.toml, and an example that is a vector."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from forbear.optout import case, policy
from forbear.optout.decide import decide
from forbear.optout.model import Decision, Profile
from forbear.optout.readers.text import readable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "each-protocol.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `([a-z0-9-]+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
VERDICT = re.compile(r"`standard`: (\w+)\. `strict`: (\w+)\. Vector `([a-z0-9-]+)`")
VECTORS = {
    vector["id"]: vector
    for path in (ROOT / "tests" / "vectors").glob("*.jsonl")
    for vector in map(json.loads, filter(None, path.read_text(encoding="utf-8").split("\n")))
}


def test_each_protocol_has_its_section_and_its_places():
    assert set(SECTIONS) == set(policy.load().protocols)
    table = PAGE.partition("## Where")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+)`", table, re.MULTILINE)) == set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_names_the_specification_that_the_policy_names(name):
    entry = policy.load().protocols[name]
    section = " ".join(SECTIONS[name].split())
    for part in (*entry.specification.split("; "), *entry.version.split("; ")):
        assert part in section


@pytest.mark.parametrize("name", SECTIONS)
def test_an_example_is_a_vector_that_comes_out_as_the_page_says(name):
    section = SECTIONS[name]
    [(standard, strict, vector_id)] = VERDICT.findall(section)
    vector = VECTORS[vector_id]
    _, question, captures = case.from_json(vector)
    decision = decide(question, captures, policy.load())
    assert isinstance(decision, Decision)
    assert decision.verdicts == {Profile.STANDARD: standard, Profile.STRICT: strict}
    said = "\n".join(
        "\n".join([f"HTTP {one.status}", *map(": ".join, one.headers), readable(one.body)]) for one in captures
    )
    words = [word for line in section.splitlines() if line.startswith("    ") for word in line.split()]
    assert words
    assert [word for word in words if word not in said] == []
    assert name in {one.protocol for one in decision.reasons} | {one.protocol for one in decision.statements}
