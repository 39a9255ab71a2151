"""Title, language and main text: what is read, and that no page keeps the reader busy."""

from __future__ import annotations

import pytest

from forbear.crawler.corpus.text import Text, extract
from forbear.optout.model import Capture
from tests.line_counter import PER_OCTET, steps

HTML = "text/html"


def page(body: bytes | str, content_type: str = HTML, *headers: tuple[str, str]) -> Capture:
    octets = body.encode() if isinstance(body, str) else body
    return Capture("http://a.example/", 200, (("Content-Type", content_type), *headers), octets)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("<html lang=de-AT><title> Zwei\n Worte </title><p>Grüße", HTML, Text("Zwei Worte", "de-AT", "Grüße")),
        ("<title></title><p>a", HTML, Text(None, None, "a")),
        ("<html lang='not a language'><p>a", HTML, Text(None, None, "a")),
        ("<title>é</title><p>ü".encode("latin-1"), "text/html; charset=ISO-8859-1", Text("é", None, "ü")),
        ("<meta charset=koi8-r><title>мир</title>".encode("koi8-r"), HTML, Text("мир", None, "")),
        ("<title>世</title><p>界".encode("utf-16"), HTML, Text("世", None, "界")),
        ("<p>x", "application/xhtml+xml", Text(None, None, "x")),
        ("one\ntwo ü", "text/plain", Text(None, None, "one\ntwo ü")),
        ("ü".encode("latin-1"), "text/plain; charset=windows-1252", Text(None, None, "ü")),
        ("ü", "text/plain; charset=nonsense", Text(None, None, "ü")),
        (b"", "text/plain", Text(None, None, "")),
        (b"", HTML, Text(None, None, "")),
        (b"\x89PNG\r\n", "image/png", Text(None, None, "")),
        ('{"a": 1}', "application/json", Text(None, None, "")),
        (b"\xff\xfe\x00", HTML, Text(None, None, "\ufffd")),
    ],
)
def test_what_is_read(body: bytes | str, content_type: str, expected: Text) -> None:
    assert extract(page(body, content_type)) == expected


@pytest.mark.parametrize(
    ("html", "header", "expected"),
    [
        ("<html lang=fr>", "en", "fr"),
        ("<html>", "en", "en"),
        ("<html>", "en, de", None),
        ("<html lang=''>", "en", "en"),
    ],
)
def test_the_document_is_asked_for_its_language_before_the_header(html: str, header: str, expected: str | None) -> None:
    assert extract(page(html, HTML, ("Content-Language", header))).language == expected


def test_main_text_leaves_the_frame_of_a_page_out() -> None:
    article = "<p>" + "A sentence that somebody wrote for people to read. " * 20
    text = extract(
        page(
            "<body><nav><ul><li><a href=/>Home</a><li><a href=/b>Imprint</a></ul></nav>"
            f"<main><article><h1>Head</h1>{article}</article></main><footer>Footer words</footer>"
        )
    ).text
    assert text is not None
    assert "somebody wrote" in text
    assert "Imprint" not in text
    assert "Footer words" not in text


def test_all_the_text_where_there_is_no_main_content() -> None:
    assert extract(page("<nav><a href=/>Only navigation</a></nav>")).text == "Only navigation"


BUSY = [
    # a page built to keep a parser busy, does it have a text all the same
    (b"<div>a" * 100_000, True),
    (b"<b><div>a</b>" * 40_000, True),
    (b"<table><tr>x<b>y" * 25_000, True),
    (b"".join(b"<p><b a=%d>a" % number for number in range(50_000)), False),
    (b"<a " + b" ".join(b"a%d=1" % number for number in range(50_000)) + b">a", False),
    (b"<select>" + b"<option>a" * 50_000, False),
]


@pytest.mark.parametrize(("body", "has_text"), BUSY, ids=range(len(BUSY)))
def test_a_page_built_to_keep_a_parser_busy(body: bytes, has_text: bool) -> None:
    found: list[Text] = []
    assert steps(lambda: found.append(extract(page(b"<title>t</title>" + body)))) < PER_OCTET * len(body)
    assert (found[0].title, bool(found[0].text)) == (("t", True) if has_text else (None, False))


def test_a_very_long_page_is_read_whole() -> None:
    paragraph = b"<p>some words <a href=x>a link</a></p>"
    text = extract(page(paragraph * 60_000)).text
    assert text is not None
    assert text.count("some words") == 60_000
    part = paragraph * 6_000
    assert steps(lambda: extract(page(part))) < PER_OCTET * len(part)
