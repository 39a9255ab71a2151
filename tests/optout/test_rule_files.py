"""ai.txt and trust.txt: what the vectors leave out."""

from __future__ import annotations

import pytest

from forbear.optout.captures import Captures, Hop
from forbear.optout.model import ALWAYS, IN_STRICT, NEVER, Capture, Failure, Place, Question, StatementStatus, Use
from forbear.optout.protocols import ai_txt, trust_txt
from forbear.optout.readers import url as urls

IMAGE = "https://archive.example/photos/IMG_1.JPG"
STANDING, SUPERSEDED, MALFORMED = StatementStatus.STANDING, StatementStatus.SUPERSEDED, StatementStatus.MALFORMED

RULES = [
    # what, rules, [(quote, force)]
    (
        "the longest decides",
        "Disallow: /\nAllow: /photos/",
        [("Allow: /photos/", STANDING), ("Disallow: /", SUPERSEDED)],
    ),
    ("of the same length all stand", "Allow: /\nDisallow: *", [("Allow: /", STANDING), ("Disallow: *", STANDING)]),
    ("a type of files in any case", "Disallow: *.jpg", [("Disallow: *.jpg", STANDING)]),
    ("a yes in its own case alone", "Allow: *.jpg", []),
    ("a path in its own case alone", "Disallow: /PHOTOS/", []),
]


@pytest.mark.parametrize(("what", "rules", "expected"), RULES)
def test_ai_txt(site, what, rules, expected):
    statements, _ = site.ask(ai_txt, site.file("/ai.txt", f"User-Agent: *\n{rules}\n"), url=IMAGE)
    assert [(s.quote, s.force) for s in statements] == expected, what
    assert all(s.uses == {Use.TRAIN_AI} for s in statements)


FOREIGN = [
    # what, ai.txt, (quote, defers) of the gaps
    ("nothing", "", []),
    ("comments", "# nothing here\n\n#\n", []),
    ("Markdown", "# AI policy\n\nYou may index and quote.\n", [("malformed", IN_STRICT)]),
    ("another ai.txt", "Spec-Version: 1.0\nIndexing: deny\n", [("malformed", IN_STRICT)]),
    ("a web page", "<!DOCTYPE html><pre>\nUser-agent: *\nDisallow: /\n</pre>", [("<!DOCTYPE html", IN_STRICT)]),
    ("no pattern", "User-agent: *\nDisallow: .jpg\n", [("Disallow: .jpg", IN_STRICT)]),
    ("an Allow without a pattern opens nothing", "User-agent: *\nAllow: .jpg\n", []),
    ("bounded", "# nothing\n" * 60_000, [("too-large", ALWAYS)]),
]


@pytest.mark.parametrize(("what", "body", "expected"), FOREIGN, ids=range(len(FOREIGN)))
def test_no_ai_txt(site, what, body, expected):
    statements, gaps = site.ask(ai_txt, site.file("/ai.txt", body))
    assert statements == [], what
    assert [(gap.quote, gap.defers) for gap in gaps] == expected, what


DIALECTS = [
    # what, ai.txt, [(preference, quote, line)] of the flagged statements
    ("draft-car-ai-txt-wellknown-00", "Spec-Version: 1.0\nTraining: deny\n", [("disallow", "Training: deny", 2)]),
    ("a permission that is refused", "Allow-training: no\n", [("disallow", "Allow-training: no", 1)]),
    ("agent and purpose", "*:no-training\n", [("disallow", "*:no-training", 1)]),
    ("a purpose as a path", "\nAllow: training\nDisallow: /kits/\n", [("allow", "Allow: training", 2)]),
    (
        "beside rules in form",
        "User-agent: *\nDisallow: /*.html\nDisallow-Purpose: training\n",
        [("disallow", "Disallow-Purpose: training", 3)],
    ),
    ("neither yes nor no", "Training: conditional\n", []),
    ("a comment", "# Training: deny\n", []),
]


@pytest.mark.parametrize(("what", "body", "expected"), DIALECTS)
def test_dialects_of_ai_txt_are_flagged(site, what, body, expected):
    statements, _ = site.ask(ai_txt, site.file("/ai.txt", body))
    flagged = [(s.preference, s.quote, s.where) for s in statements if s.force is StatementStatus.FLAGGED]
    assert flagged == [(preference, quote, f"line {line}") for preference, quote, line in expected], what


TRUST = [
    # what, line, preference of the flagged statement
    ("hyphens", "data-training-allowed=no", "disallow"),
    ("another name", "AI-Training: no", "disallow"),
    ("a yes", "aitraining=yes", "allow"),
    ("not about training", "search-indexing: allow", None),
    ("in its form", "datatrainingallowed=no", None),
]


@pytest.mark.parametrize(("what", "line", "preference"), TRUST)
def test_other_names_in_trust_txt_are_flagged(site, what, line, preference):
    statements, _ = site.ask(trust_txt, site.file("/trust.txt", f"contact=x\n{line}\n"))
    flagged = [(s.preference, s.quote, s.where) for s in statements if s.force is StatementStatus.FLAGGED]
    assert flagged == ([(preference, line, "line 2")] if preference else []), what


LINES = [
    # what, line, [(preference, force)]
    ("capitals and blanks, as the plugin reads it", " DataTrainingAllowed = No", [("disallow", STANDING)]),
    ("a blank after the sign, as the validator reads it", "datatrainingallowed= yes", [("allow", STANDING)]),
    ("a colon", "datatrainingallowed: no", [("disallow", MALFORMED)]),
    ("no value", "datatrainingallowed=", [("disallow", MALFORMED)]),
    ("a comment on the line is part of the value", "datatrainingallowed=no # ask us", [("disallow", MALFORMED)]),
    ("another name", "datatrainingallowedby=no", []),
    ("in the middle of a line", "contact=https://archive.example/?datatrainingallowed=no", []),
]


@pytest.mark.parametrize(("what", "line", "expected"), LINES)
def test_trust_txt(site, what, line, expected):
    statements, gaps = site.ask(trust_txt, site.file("/trust.txt", f"\ufeff# trust\r{line}\rmember=x\r"))
    assert [(s.preference, s.force) for s in statements] == expected, what
    assert all((s.quote, s.where, s.uses) == (line.strip(), "line 2", {Use.TRAIN_AI}) for s in statements)
    assert [gap.defers for gap in gaps] == [NEVER] * sum(force is MALFORMED for _, force in expected)


def test_trust_txt_is_bounded(site):
    file = site.file("/trust.txt", "datatrainingallowed=no\n" * 100)
    statements, gaps = site.ask(trust_txt, file)
    assert (len(statements), [gap.defers for gap in gaps]) == (trust_txt.MOST_STATEMENTS, [ALWAYS])
    statements, gaps = site.ask(trust_txt, site.file("/trust.txt", "x" * (trust_txt.MAX_FILE + 1)))
    assert (statements, [(gap.quote, gap.defers) for gap in gaps]) == ([], [("too-large", ALWAYS)])


def test_the_second_place_of_trust_txt(site):
    root, known = (f"https://archive.example{path}" for path in trust_txt.PLACES)
    no = Capture(known, 200, (), b"datatrainingallowed=no")

    def said(*captures: Capture) -> list[str]:
        return [s.quote for s in site.ask(trust_txt, *captures)[0]]

    assert said(Capture(root, 404), no) == ["datatrainingallowed=no"]
    assert said(Capture(root, 301, (("Location", "/gone"),)), no) == ["datatrainingallowed=no"]
    assert said(Capture(root, 200, (), b"<!DOCTYPE html>"), no) == ["datatrainingallowed=no"]
    assert said(Capture(root, 200, (), b"contact=x"), no) == []
    assert said(Capture(root, error=Failure.TIMEOUT), no) == []


def test_the_second_place_is_asked_for_once_the_first_has_nothing():
    question = Question("https://archive.example/")
    url = urls.parse(question.url)

    def wanted(*captures: Capture) -> list[str]:
        found = trust_txt.read(Hop(question, url, Captures(captures)))
        return [one.url for one in found if isinstance(one, Place)]

    root, known = (f"https://archive.example{path}" for path in trust_txt.PLACES)
    assert wanted() == [root]
    assert wanted(Capture(root, 404)) == [known]
    assert wanted(Capture(root, 200, (), b"contact=x")) == []
