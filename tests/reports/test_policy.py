"""The copyright policy document: what it cites exists, what is in force is in it, and gaps are open."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from forbear.optout import policy as policies
from forbear.reports import policy
from forbear.reports.document import Document, Open, Section, Table
from forbear.reports.inputs import BadInputs, shipped
from forbear.reports.policy import InForce, inputs
from forbear.reports.render import FORMS
from forbear.storage.log.lists import PublicationStatus
from forbear.storage.reads.figures import CrawlRow
from tests.reports.cited import missing

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECTIONS = shipped("policy_document.toml")["sections"]
RUN = CrawlRow(
    id="1",
    started_at=NOW,
    finished_at=NOW,
    state="finished",
    engine="1",
    agent="ExampleBot",
    user_agent="ExampleBot/1 (+https://operator.example/bot)",
    contact="https://operator.example/bot",
    use="train-ai",
    profile="strict",
    shadow=False,
    policy=policies.load().digest,
    configuration={"delay": 1.0, "seeds": ["https://a.example/"], "allow_private_networks": False},
)
OWN = """
[policy]
provider = "Example Research"
version = "3"
adopted_by = "the board"
adopted_on = 2026-11-01
owner = "legal team"
[paragraphs]
""" + "\n".join(f'{section["own"]} = """First about {section["own"]}.\n\nSecond."""' for section in SECTIONS)


def made(own: str = "", *, summary: bool = False, run: CrawlRow | None = RUN, rules: str = "") -> Document:
    states = [PublicationStatus("denmark", date(2026, 11, 1), NOW, "ab" * 32, 7, 0)]
    known = InForce("1", policies.load(rules), run, states, {"denmark": "Share With Care"})
    return policy.document(known, inputs(own), NOW, summary=summary)


def section(document: Document, title: str) -> Section:
    [found] = [one for one in document.sections if one.title.startswith(title)]
    return found


def test_what_it_cites_exists_and_whatever_the_code_does_is_cited() -> None:
    for one in SECTIONS:
        for paragraph in one.get("paragraphs", ()):
            assert missing(paragraph.get("files", []), paragraph.get("tests", [])) == []
            if one["title"] != "Purpose and scope":
                assert paragraph["files"]
                assert paragraph["tests"]
    assert missing([], ["tests/storage/test_documents.py::test_from_a_row_to_its_documents"]) == []


def test_each_protocol_in_force_is_in_it_with_its_specification() -> None:
    [table] = [block for block in section(made(), "Reservations of rights").blocks if isinstance(block, Table)]
    assert [row[0] for row in table.rows] == list(policies.load().protocols)
    assert table.columns[-2:] == ("excludes", "defers")


def test_departures_are_in_it_with_their_reasons() -> None:
    rules = '[protocols.rsl]\nreason = "licensed by letter"\nstandard = {excludes = []}\n'
    text = FORMS[".txt"](made(rules=rules)).decode()
    assert "licensed by letter" in text
    assert "The last crawl worked by other rules" in text
    assert "Nothing departs" not in text


def test_the_digest_of_the_rules_differs_from_the_documents() -> None:
    document = made()
    text = FORMS[".txt"](document).decode()
    assert policies.load().digest in text
    assert document.digest != policies.load().digest
    assert "stands in no row" in text


def test_only_what_nobody_has_filled_in_is_open() -> None:
    assert list(made(OWN).open_points()) == []
    asked = {section["own"] for section in SECTIONS if section["ask"]}
    opened = [ask for _, ask in made().open_points()]
    assert {ask.partition("[paragraphs] ")[2].rstrip(")") for ask in opened if "[paragraphs]" in ask} == asked
    assert any(isinstance(block.value, Open) for block in made(run=None).fields() if block.key == "contact")


def test_the_summary_has_neither_settings_nor_responsible_people() -> None:
    text = FORMS[".txt"](made(OWN, summary=True)).decode()
    assert "legal team" not in text
    assert "delay" not in text
    assert "tests/" not in text
    assert "Share With Care" in text
    assert "https://operator.example/bot" in text
    whole = FORMS[".txt"](made(OWN)).decode()
    assert "legal team" in whole
    assert "delay" in whole


@pytest.mark.parametrize("text", ["[paragraphs]\nother = 'x'", "[policy]\nadopted_on = '1.1.'", "[statement]"])
def test_a_mistake_in_the_inputs_is_reported(text: str) -> None:
    with pytest.raises(BadInputs):
        inputs(text)
