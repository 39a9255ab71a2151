"""The coverage of the Copyright chapter: every paragraph, evidence from the log, the operator's words, open points."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from forbear.optout import policy
from forbear.optout.model import Verdict
from forbear.reports import coverage
from forbear.reports.coverage import Evidence, inputs
from forbear.reports.document import Document, Field, Open, Section
from forbear.reports.inputs import BadInputs, shipped
from forbear.reports.render import FORMS
from forbear.storage.reads.figures import Check, ProtocolFigures, Withdrawn
from tests.reports.cited import missing

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PARAGRAPHS = shipped("coverage.toml")["paragraphs"]
ASKED_FOR = {
    *("1.1(1)", "1.1(2)", "1.2(1)(a)", "1.2(1)(b)", "1.3(1)(a)", "1.3(1)(b)", "1.3(2)", "1.3(3)", "1.3(4)", "1.3(5)"),
    *("1.4", "1.5(1)", "1.5(2)"),
}


def evidence(**known: object) -> Evidence:
    usual: dict[str, object] = {
        "engine": "1",
        "decisions": {"allowed": 2},
        "served": (),
        "runs": (),
        "checks": (),
        "withdrawn": (),
        "lists": 1,
        "stale_lists": 0,
        "complaints": {},
        "issued": {},
    }
    return Evidence(**usual | known)  # type: ignore[arg-type]


def section(document: Document, name: str) -> dict[str, Field]:
    [found] = [inner for outer in document.sections for inner in outer.sections if inner.title == name]
    assert isinstance(found, Section)
    return {block.key.removeprefix(f"{name}."): block for block in found.blocks if isinstance(block, Field)}


def test_every_paragraph_is_there_and_what_it_cites_exists() -> None:
    assert {one["id"] for one in PARAGRAPHS} == ASKED_FOR
    for one in PARAGRAPHS:
        assert missing(one["files"], one["tests"]) == []


def test_every_measure_that_a_protocol_serves_belongs_to_a_paragraph() -> None:
    served = {entry.measure for entry in policy.load().protocols.values()}
    assert served <= {measure for one in PARAGRAPHS for measure in one["measures"]}


@pytest.mark.parametrize("form", [".html", ".json", ".txt"])
def test_it_never_says_compliant(form: str) -> None:
    made = FORMS[form](coverage.document(evidence(), {}, NOW)).decode().lower()
    assert "compliant" not in made
    assert "no finding that the chapter is fulfilled" in " ".join(made.split())


def test_counts_of_the_log_are_evidence_for_their_paragraph_and_no_other() -> None:
    served = ProtocolFigures("1.3(1)(a)", "robots", Verdict.EXCLUDED, 7, 2, NOW, NOW)
    made = coverage.document(evidence(served=(served,)), {}, NOW)
    assert "robots: 7 decisions excluded at 2 hosts, last 2026-11-24 12:00Z" in str(
        section(made, "1.3(1)(a)")["evidence"]
    )
    assert "7 decisions" not in str(section(made, "1.3(1)(b)")["evidence"])


def test_pages_that_a_recheck_took_out_are_evidence_for_the_measure_of_the_words_that_did() -> None:
    made = coverage.document(evidence(withdrawn=(Withdrawn("1.3(1)(b)", 1, NOW),)), {}, NOW)
    words = "recheck: 1 page taken out of the corpus again, last 2026-11-24 12:00Z"
    assert words in str(section(made, "1.3(1)(b)")["evidence"])
    assert "recheck" not in str(section(made, "1.3(1)(a)")["evidence"])


def test_a_failing_check_is_an_open_point_of_its_paragraph() -> None:
    check = Check("complaints are handled in time", "complaints whose next step is overdue", 3)
    made = coverage.document(evidence(checks=(check,)), {}, NOW)
    assert "check failing: complaints are handled in time (3 complaints" in str(section(made, "1.5(2)")["open"].value)
    passing = coverage.document(evidence(checks=(Check(check.name, check.about, 0),)), {}, NOW)
    assert section(passing, "1.5(2)")["open"].value == "none"


def test_lists_that_are_missing_or_stale_are_open_points() -> None:
    for known, words in (({"lists": 0}, "no list of infringing sites"), ({"stale_lists": 1}, "stale: 1 list")):
        made = coverage.document(evidence(**known), {}, NOW)
        assert words in str(section(made, "1.2(1)(b)")["open"].value)


def test_what_nobody_has_filled_in_is_open() -> None:
    found = section(coverage.document(evidence(), {}, NOW), "1.4")
    for key in ("applicable", "responsible", "reviewed", "next_review"):
        assert isinstance(found[key].value, Open)


def test_what_the_operator_says_stands_there_and_overdue_dates_are_reported() -> None:
    said = inputs("""
        [statement]
        organisation = "Example Research"
        [paragraphs."1.4"]
        applicable = true
        why = "We place the model on the market too."
        responsible = "model team"
        next_review = 2026-11-01
        open = ["terms of use to be written"]
        actions = [
          {what = "filter outputs", by = "model team", due = 2026-10-01},
          {what = "train staff", by = "legal team", due = 2026-10-01, done = 2026-09-30},
        ]""")
    made = coverage.document(evidence(), said, NOW)
    found = section(made, "1.4")
    assert (found["applicable"].value, found["responsible"].value) == ("yes", "model team")
    assert str(found["open"].value).splitlines() == [
        "terms of use to be written",
        "the review of 2026-11-01 is overdue",
        "action overdue since 2026-10-01: filter outputs",
    ]
    assert ("1.4", "whether it had the effect that was meant") in list(made.open_points())
    later = coverage.document(evidence(), said | {}, NOW - timedelta(days=60))
    assert "overdue" not in str(section(later, "1.4")["open"].value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("organisation = 1", "is outside a table"),
        ("[other]", "not known here"),
        ("[statement]\nname = 'x'", "has a key 'name'"),
        ("[statement]\napproved_on = 'soon'", "a date like"),
        ("[paragraphs.'9.9']\nresponsible = 'x'", "is not a paragraph of the chapter"),
        ("[paragraphs.'1.4']\napplicable = false", "needs a reason"),
        ("[paragraphs.'1.4']\napplicable = 'no'", "true or false"),
        ("[paragraphs.'1.4']\nactions = [{by = 'x'}]", "an action has"),
        ("[paragraphs]\n1 = 2", "is not a table"),
        ("[", "is not TOML"),
    ],
)
def test_a_mistake_in_the_inputs_is_reported(text: str, sentence: str) -> None:
    with pytest.raises(BadInputs, match=sentence):
        inputs(text)


def test_dates_are_in_json_too() -> None:
    said = inputs("[statement]\napproved_on = 2026-11-01")
    assert said["statement"]["approved_on"] == date(2026, 11, 1)
    json.loads(FORMS[".json"](coverage.document(evidence(), said, NOW)))
