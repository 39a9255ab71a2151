"""Documents: what is open stays visible in every form, nothing in them is taken for markup, versions are compared."""

from __future__ import annotations

import io
import json

import pdfplumber
import pytest
from docx import Document as Word
from lxml import html as markup

from forbear.reports.document import Document, Field, Open, Paragraph, Section, Table, apart, changes, to_json
from forbear.reports.markup import html, lines
from forbear.reports.render import FORMS

NASTY = 'a <script>alert(1)</script> #strong[b] \\ & "c" $x$ {{ d }} *e*'
MADE = "2026-11-25T00:00:00+00:00"


def made(answer: str | Open = NASTY, at: str = MADE) -> Document:
    inner = Section("Inner", (Table(("name", "value"), (("row", answer), ("other", Open("the other value"))), "Rows"),))
    first = Section("First", (Paragraph(NASTY, "the log"), Field("k", "Answer", answer, "operator")), (inner,))
    return Document("kind", "Title & <b>", at, (("Source", "somewhere"),), (first,))


def shown(form: str, document: Document) -> str:
    """The text that a reader sees."""
    content = FORMS[form](document)
    if form == ".html":
        page = markup.document_fromstring(content.decode())
        assert not page.xpath("//script | //link | //img | //@onclick")
        return str(page.text_content())
    if form == ".docx":
        word = Word(io.BytesIO(content))
        cells = [cell.text for table in word.tables for row in table.rows for cell in row.cells]
        return "\n".join([*(paragraph.text for paragraph in word.paragraphs), *cells])
    if form == ".pdf":
        with pdfplumber.open(io.BytesIO(content)) as file:
            return "\n".join(page.extract_text() for page in file.pages)
    return content.decode()


@pytest.mark.parametrize("form", [form for form in FORMS if form != ".json"])
def test_all_is_shown_as_it_is_and_what_is_open_is_visible(form: str) -> None:
    text = " ".join(shown(form, made(Open("say the answer"))).split())
    for words in ("Title & <b>", "say the answer", "the other value", "Inner"):
        assert words in text
    assert "<script>alert(1)</script> #strong[b]" in text
    assert "Open" in text or "[open" in text


@pytest.mark.parametrize("form", FORMS)
def test_the_same_document_gives_the_same_octets(form: str) -> None:
    assert FORMS[form](made()) == FORMS[form](made())


def test_json_has_the_digest_which_does_not_depend_on_when_it_was_made() -> None:
    content = json.loads(FORMS[".json"](made()))
    assert content["digest"] == made().digest == made(at="2027-01-01T00:00:00+00:00").digest
    assert made("another").digest != made().digest
    assert content["sections"][0]["sections"][0]["blocks"][0]["rows"][1][1] == {"open": "the other value"}


def test_open_places_are_counted_wherever_they_are() -> None:
    assert list(made(Open("q")).open_points()) == [("First", "q"), ("Inner", "q"), ("Inner", "the other value")]
    assert [field.key for field in made().fields()] == ["k"]


def test_versions_are_compared_place_by_place() -> None:
    old, new = to_json(made(Open("q"))), to_json(made("yes"))
    assert list(changes(old, old)) == []
    assert list(changes(old, new)) == [
        ("First: Answer", "[open: q]", "yes"),
        ("First / Inner: Rows: row", "row | [open: q]", "row | yes"),
    ]


def test_control_characters_do_no_harm_to_a_word_file() -> None:
    assert "a\ufffdb" in shown(".docx", made("a\x00b"))


def test_two_versions_of_a_long_text_are_shown_where_they_differ() -> None:
    words = " ".join(map(str, range(20)))
    assert apart(words, words.replace("10", "ten")) == ("… 6 7 8 9 10 11 12 13 14 …", "… 6 7 8 9 ten 11 12 13 14 …")
    assert apart(words, f"{words} 20") == ("… 16 17 18 19", "… 16 17 18 19 20")
    assert apart("", "new") == ("", "new")


WORDS = f"""# Who

The **legal team** keeps *this*; see [the page](https://a.example/p) and `code`.

1. first
   - inner
2. second

> quoted {NASTY}

[bad](javascript:alert(2)) ![a picture](https://a.example/i.png)
"""


@pytest.mark.parametrize("form", [form for form in FORMS if form != ".json"])
def test_the_operators_markdown_has_its_meaning_and_its_html_none(form: str) -> None:
    document = Document("kind", "T", MADE, (), (Section("S", (Paragraph(WORDS, "operator", markdown=True),)),))
    text = " ".join(shown(form, document).split())
    assert "<script>alert(1)</script>" in text
    assert "operator" in text or form == ".txt"
    if form != ".txt":
        assert "The legal team keeps this; see the page" in text
        assert "**" not in text
        assert "# Who" not in text
        assert "a picture" in text
    assert "https://a.example/i.png" not in text or form == ".txt"


def test_what_markdown_becomes_in_html() -> None:
    page = markup.fragment_fromstring(html(WORDS), create_parent="div")
    assert [heading.text for heading in page.xpath("./h3")] == ["Who"]
    assert page.xpath("./ol/li/ul/li/text()") == ["inner"]
    assert page.xpath("//a/@href") == ["https://a.example/p"]


def test_lines_have_their_place_in_lists() -> None:
    said = [(line.kind, line.depth, line.marker, "".join(run.text for run in line.runs)) for line in lines(WORDS)]
    assert said[:5] == [
        ("heading", 0, "", "Who"),
        ("text", 0, "", "The legal team keeps this; see the page (https://a.example/p) and code."),
        ("text", 1, "1.", "first"),
        ("text", 2, "•", "inner"),
        ("text", 1, "2.", "second"),
    ]
    assert said[5][0] == "quote"
