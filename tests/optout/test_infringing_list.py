"""The list of infringing sites: what an entry covers, from when to when, and a list with a mistake."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Failure, Question, Stage, Use, Verdict
from forbear.optout.protocols.infringing_list import COLUMNS, LIST, NAME, capture_of, to_csv
from forbear.optout.readers.csv_list import BadList

SOURCE = f"sha256:{'ab' * 32}"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROW = ("films.example", "DK", "District Court", "Section 413", "2026-03-02", "2026-03-05", "", SOURCE, "")
GOOD = to_csv([ROW])


def test_the_quotation_is_the_entry_and_the_note_has_the_version_of_the_list() -> None:
    decision = decide(Question("https://films.example/", at=NOON), Captures([capture_of(GOOD)]), policy.load())
    assert isinstance(decision, Decision)
    [statement] = decision.statements
    assert statement.quote.encode() in GOOD.split(b"\n")
    assert statement.where == "line 2"
    assert hashlib.sha256(GOOD).hexdigest() in statement.note
    assert SOURCE in statement.note


def test_a_listed_site_is_not_asked_for_anything() -> None:
    """Nothing but the list is known, and no place is wanted."""
    decision = decide(Question("https://films.example/", at=NOON), Captures([capture_of(GOOD)]), policy.load())
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.stage) == (Verdict.EXCLUDED, Stage.REQUEST)
    assert {reason.measure for reason in decision.reasons} == {"1.2(1)(b)"}


@pytest.mark.parametrize("use", list(Use))
def test_it_holds_for_every_use(use: Use) -> None:
    decision = decide(
        Question("https://a.films.example/", use=use, at=NOON), Captures([capture_of(GOOD)]), policy.load()
    )
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.EXCLUDED


def test_the_same_entries_have_one_digest_in_whatever_order_they_come() -> None:
    other = ("a.example", *ROW[1:])
    assert to_csv([ROW, other]) == to_csv([other, ROW])


def test_a_licence_of_the_operator_does_not_lift_it() -> None:
    own = (
        b"effect,match,by,at,why,until,lifts\n"
        b"allow,films.example,legal,2026-01-01,licence,,robots infringing-list access\n"
    )
    captures = Captures([capture_of(GOOD), Capture("operator:list", 200, (), own)], complete=True)
    decision = decide(Question("https://films.example/", at=NOON), captures, policy.load())
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.EXCLUDED


def test_a_list_that_could_not_be_had_defers() -> None:
    captures = Captures([Capture(LIST, error=Failure.TRUNCATED)], complete=True)
    decision = decide(Question("https://films.example/", at=NOON), captures, policy.load())
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.DEFERRED
    assert [gap.protocol for gap in decision.gaps] == [NAME]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"domain": "films.example/page"}, "not a domain"),
        ({"domain": "https://films.example/"}, "not a domain"),
        ({"authority": ""}, "which authority"),
        ({"country": ""}, "which country"),
        ({"basis": ""}, "legal basis"),
        ({"in": ""}, "since when"),
        ({"in": "5.3.2026"}, "write dates as"),
        ({"out": "soon"}, "write dates as"),
        ({"decided": "2026-13-01"}, "write dates as"),
        ({"accepted": "yes"}, "write dates as"),
        ({"source": "the web"}, "sha256:"),
        ({"source": SOURCE.upper()}, "sha256:"),
    ],
)
def test_a_mistake_in_a_line_is_named_with_the_line(change: dict[str, str], sentence: str) -> None:
    row = tuple((dict(zip(COLUMNS, ROW, strict=True)) | change).values())
    with pytest.raises(BadList, match=f"Line 2 of the list of infringing sites: .*{sentence}"):
        capture_of(to_csv([row]))


@pytest.mark.parametrize("body", [b"", b"films.example\n", GOOD.replace(b"domain,country", b"country,domain")])
def test_a_list_without_its_first_line_is_none(body: bytes) -> None:
    with pytest.raises(BadList, match="must begin with the line domain,country"):
        capture_of(body)


def test_a_line_with_a_field_too_few_is_none() -> None:
    with pytest.raises(BadList, match="9 fields"):
        capture_of(GOOD.rstrip(b"\n").removesuffix(b",") + b"\n")
