"""The public summary of training content: every field of the template, filled from the log, attested, or open."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from forbear.optout import policy
from forbear.reports import summary
from forbear.reports.document import Document, Field, Open, Section, Table
from forbear.reports.inputs import BadInputs, shipped
from forbear.reports.render import FORMS
from forbear.reports.summary import CollectedData, inputs, modality, top_domains
from forbear.storage.reads.figures import Share
from tests.reports.test_policy import RUN

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAY, JUNE = datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 6, 3, tzinfo=UTC)
EMPTY = CollectedData((), policy.load(), (), (), None, 0, 0, 0)
KNOWN = CollectedData(
    runs=(RUN,),
    rules=policy.load(),
    domains=(Share("b.example", 1, 10), Share("a.example", 3, 90)),
    types=(Share("text/html", 3, 90), Share("image/png", 1, 10)),
    period=(MAY, JUNE),
    removed=2,
    filtered=0,
    lists=3,
)
NOTHING_ELSE = """
["2.1"]
used = false
["2.2.1"]
used = false
["2.2.2"]
used = false
["2.4"]
used = false
services = false
["2.5"]
used = false
["2.6"]
used = false
"""

# The field list of the template, section by section, as it was read from published summaries in its form.
TEMPLATE = {
    "1.1": ["provider", "representative"],
    "1.2": ["models", "dependencies", "placed"],
    "1.3": ["sizes", "latest", "continuous", "languages", "characteristics", "comments"],
    "2.1": ["used", "modalities", "large", "others", "comments"],
    "2.2.1": ["used", "modalities"],
    "2.2.2": ["used", "modalities", "known", "others", "comments"],
    "2.3": ["used", "names", "purposes", "behaviour", "period", "content", "modalities", "domains", "comments"],
    "2.4": ["used", "services", "description", "modalities", "comments"],
    "2.5": ["used", "modalities", "models", "others", "comments"],
    "2.6": ["used", "description", "comments"],
    "3.1": ["signatory", "measures", "third_parties", "comments"],
    "3.2": ["measures"],
    "3.3": ["information"],
}


def made(known: CollectedData = KNOWN, said: str = "") -> Document:
    return summary.document(known, inputs(said), NOW)


def values(document: Document) -> dict[str, Field]:
    return {field.key: field for field in document.fields()}


def tables(section: Section) -> list[Table]:
    found = [block for block in section.blocks if isinstance(block, Table)]
    return found + [table for inner in section.sections for table in tables(inner)]


def table(document: Document, title: str) -> Table:
    [found] = [one for section in document.sections for one in tables(section) if one.title.startswith(title)]
    return found


@pytest.mark.parametrize("known", [EMPTY, KNOWN], ids=["empty", "known"])
def test_every_section_and_field_of_the_template_is_there_in_order(known: CollectedData) -> None:
    keys = [field.key for field in made(known).fields()]
    assert keys == ["0.version", "0.last_update", *(f"{name}.{key}" for name, some in TEMPLATE.items() for key in some)]


def test_without_a_log_and_attestations_all_that_is_not_optional_is_open() -> None:
    found = values(made(EMPTY))
    template = {
        f"{s['id']}.{one['key']}": one for s in shipped("summary_template.toml")["sections"] for one in s["fields"]
    }
    ours = {"0.last_update", "1.3.sizes", "3.1.measures"}
    for key, field in found.items():
        if template[key].get("optional"):
            assert field.value == "none"
        elif template[key].get("when"):
            assert field.value == "depends on the answer above"
        elif key not in ours:
            assert isinstance(field.value, Open), key
    assert any(isinstance(cell, Open) for row in table(made(EMPTY), "Modalities").rows for cell in row)


def test_the_log_fills_what_it_knows_about_crawling() -> None:
    found = values(made())
    assert found["2.3.used"].value == "yes"
    assert found["2.3.names"].value == "ExampleBot/1 (+https://operator.example/bot)"
    assert found["2.3.period"].value == "05/2026 to 06/2026"
    assert found["2.3.modalities"].value == "text\nimage"
    assert found["2.3.domains"].value == "1 of 2 domain names: the top 10 %, by size of the content kept"
    assert table(made(), "Domain names").rows == (("a.example",),)
    assert "at least 1 s" in str(found["2.3.behaviour"].value).lower()
    measures = str(found["3.1.measures"].value)
    for words in ("Robots Exclusion Protocol", "TDM Reservation Protocol", "2 pages", "3 lists"):
        assert words in measures
    assert isinstance(found["2.3.content"].value, Open)
    assert all(found[key].source for key in ("2.3.used", "2.3.names", "2.3.period", "2.3.domains", "3.1.measures"))


def test_sizes_are_the_templates_bands_only_where_the_log_knows_the_whole() -> None:
    rows = {row[0]: row for row in table(made(), "Modalities").rows}
    assert isinstance(rows["text"][1], Open)
    assert rows["text"][3] == "3 files, 90 bytes"
    rows = {row[0]: row for row in table(made(said=NOTHING_ELSE), "Modalities").rows}
    assert rows["text"][1] == "Less than 1 billion tokens"
    assert rows["image"][1] == "Less than 1 million images"
    assert rows["audio"][1:3] == ("none", "none")
    large = replace(KNOWN, types=(Share("text/html", 9, 10**9), Share("video/mp4", 1, 1), Share("image/png", 10**6, 1)))
    rows = {row[0]: row for row in table(made(large, NOTHING_ELSE), "Modalities").rows}
    assert isinstance(rows["text"][1], Open)  # tokens are not bytes
    assert isinstance(rows["video"][1], Open)  # hours stand nowhere
    assert rows["image"][1] == "1 million to 1 billion images"


def test_attestations_are_in_their_fields_and_answers_of_no_close_what_follows() -> None:
    said = """
        ["1.2"]
        models = ["Example-7B 1.0", "Example-7B 1.1"]
        placed = 2026-12-01
        ["2.1"]
        used = true
        modalities = ["text"]
        ["2.5"]
        used = false
        [sizes.text]
        size = "Less than 1 billion tokens"
        types = "news and reference"
    """
    found = values(made(said=said))
    assert found["1.2.models"].value == "Example-7B 1.0\nExample-7B 1.1"
    assert found["1.2.placed"].value == "2026-12-01"
    assert (found["2.1.used"].value, found["2.1.modalities"].value) == ("yes", "text")
    assert isinstance(found["2.1.large"].value, Open)
    assert [found[f"2.5.{key}"].value for key in ("used", "modalities", "models")] == ["no", *["not applicable"] * 2]
    assert "attested" in found["1.2.models"].source
    assert table(made(said=said), "Modalities").rows[0][1:3] == ("Less than 1 billion tokens", "news and reference")


def test_data_of_others_that_was_filtered_is_reported_with_the_measures_and_neither_as_crawled_nor_as_theirs() -> None:
    found = values(made(replace(EMPTY, filtered=2)))
    assert "2 runs of forbear filter" in str(found["3.1.measures"].value)
    assert isinstance(found["2.3.used"].value, Open)
    assert isinstance(found["3.1.third_parties"].value, Open), "what they did themselves, only they can say"


def test_an_attestation_against_the_log_is_shown_beside_it() -> None:
    field = values(made(said='["2.3"]\nused = false'))["2.3.used"]
    assert field.value == "no\nThe log: yes"
    assert "attested by the provider; table crawls" in field.source


def shares(count: int) -> list[Share]:
    return [Share(f"d{number:05}.example", 1, count - number) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "sme", "listed"),
    [
        *((0, False, 0), (1, False, 1), (10, False, 1), (11, False, 2), (30_000, False, 3000)),
        *((0, True, 0), (1, True, 1), (20, True, 1), (21, True, 2), (19_999, True, 1000), (30_000, True, 1000)),
    ],
)
def test_the_top_of_the_domain_names(count: int, sme: bool, listed: int) -> None:
    some = top_domains(shares(count), sme=sme)
    assert some == [f"d{number:05}.example" for number in range(listed)]


@pytest.mark.parametrize(
    ("media_type", "word"),
    [
        ("text/html", "text"),
        ("application/pdf", "text"),
        ("application/json", "text"),
        ("image/svg+xml", "image"),
        ("audio/ogg", "audio"),
        ("video/mp4", "video"),
        ("application/zip", "other"),
        ("", "other"),
    ],
)
def test_modality(media_type: str, word: str) -> None:
    assert modality(media_type) == word


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('["9.9"]\nused = true', "not known here"),
        ('["2.1"]\nused = "yes"', "true or false"),
        ('["2.1"]\nmodalities = ["smell"]', "choose among text"),
        ("[sizes.smell]\nsize = 'x'", "choose among text"),
        ('["2.3"]\ndomains = ["a.example"]', "has a key 'domains'"),
        ('["1.2"]\nplaced = "soon"', "a date like"),
        ("[provider]\nsme = 1", "true or false"),
    ],
)
def test_a_mistake_in_the_attestations_is_reported(text: str, sentence: str) -> None:
    with pytest.raises(BadInputs, match=sentence):
        inputs(text)


@pytest.mark.parametrize("form", FORMS)
def test_it_is_rendered(form: str) -> None:
    content = FORMS[form](made())
    assert content
    if form == ".json":
        assert json.loads(content)["kind"] == "summary"
