"""The pages that name every protocol agree with its module, its vectors and policy.toml."""

from __future__ import annotations

import re

import pytest

from forbear.optout import policy
from tests.optout import protocol_pages
from tests.optout.protocol_pages import PARTS, ROOT, VECTORS


@pytest.mark.parametrize("path", PARTS)
def test_a_page_is_as_make_pages_writes_it(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == protocol_pages.page(path), f"{path} is out of date: make pages"


@pytest.mark.parametrize("name", policy.load().protocols)
def test_an_example_is_a_vector_that_its_protocol_decides_or_records(name: str) -> None:
    vector = protocol_pages.example(name)
    reasons, statements = vector.decision.reasons, vector.decision.statements
    assert name in {one.protocol for one in reasons} | {one.protocol for one in statements}


def test_the_vectors_readme_names_every_file_and_no_other() -> None:
    page = (VECTORS / "README.md").read_text(encoding="utf-8").partition("## The files")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(.*?)`", cell)]
    files = [path.stem for path in VECTORS.glob("*.jsonl")]
    assert sorted(named) == sorted(files), "name each file once in tests/vectors/README.md: a protocol's by make pages"


@pytest.mark.parametrize(
    ("specification", "version", "shown"),
    [
        ("RFC 9309", "September 2022", "RFC 9309, September 2022"),
        ("CAWG; C2PA", "1.1, 16 May 2025; 1.4 and 2.2", "CAWG 1.1, 16 May 2025; C2PA 1.4 and 2.2"),
        ("IPTC and PLUS", "2025.1; 2.0.1", "IPTC and PLUS 2025.1; 2.0.1"),
        ("RSL", "10 December 2025", "RSL, 10 December 2025"),
    ],
)
def test_a_specification_is_shown_with_its_version(specification: str, version: str, shown: str) -> None:
    entry = policy.ProtocolPolicy("", specification, version, "", "", "", True, {})
    assert protocol_pages.specification(entry) == shown
