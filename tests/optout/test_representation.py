"""What an answer is: its type, whether it is complete, its encoding and text; and that nobody else works that out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from forbear.optout.model import Capture
from forbear.optout.readers import representation
from tests.line_counter import PER_OCTET, steps

ROOT = Path(__file__).parent.parent.parent
XHTML_PAGE = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>'


def known(body: bytes, *types: str, **fields: str) -> representation.Representation:
    headers = [("Content-Type", value) for value in types] + [(k.replace("_", "-"), v) for k, v in fields.items()]
    return representation.of(Capture("https://a.example/", 200, tuple(headers), body))


TYPES = [
    # body, Content-Type fields, media type, readings beside it, are text and links taken from it
    (b"x", ["text/html,text/html"], "text/html", [], True),
    (b"x", ["text/plain", "text/html"], "text/html", ["text/plain"], True),
    (b"x", ["text/html", "text/plain"], "text/plain", ["text/html"], False),
    (b"<p>x", ["text/html charset=utf-8"], "text/html", [], True),
    (b"<link rel=x>", [], "text/html", [], True),
    (b"<html>", ["application/octet-stream"], "application/octet-stream", ["text/html"], False),
    (b" <!-- x --> <div>", ["text/plain; charset=utf-8"], "text/plain", ["text/html"], False),
    (b"<!-- x --><rss/>", ["application/rss+xml"], "application/rss+xml", [], False),
    (b"<svg/>", ["image/svg+xml"], "image/svg+xml", [], False),
    (b"<p align=center>", ["text/markdown"], "text/markdown", [], False),
    (b"<!doctype html>", ["text/markdown"], "text/markdown", ["text/html"], False),
    (XHTML_PAGE, ["text/xml"], "text/xml", ["application/xhtml+xml"], True),
    (XHTML_PAGE, [], "text/xml", ["application/xhtml+xml"], True),
    (XHTML_PAGE.decode().encode("utf-16-be"), ["application/xml"], "application/xml", ["application/xhtml+xml"], True),
    (b"<html>", ["application/vnd.wap.xhtml+xml"], "application/vnd.wap.xhtml+xml", ["application/xhtml+xml"], True),
    (b"%PDF-1.4", ["text/html"], "application/pdf", ["text/html"], False),
    (b"PK\x03\x04<p>", ["text/html"], "application/zip", ["text/html"], False),
    (b"a\x01", ["text/plain"], "application/octet-stream", ["text/plain"], False),
    (b"a\x01", ["text/plain; charset=x"], "text/plain", [], False),
    (b"", [], "", [], False),
    (b"<!--" + b" x" * 9_000 + b"-->" + b"<?x?>" * 9_000 + b"<p>", ["text/plain"], "text/plain", ["text/html"], False),
    (
        b"<!DOCTYPE html [ <!ENTITY a 'b'> ]>" + b" " * 9_000 + XHTML_PAGE,
        ["application/xml"],
        "application/xml",
        ["application/xhtml+xml"],
        True,
    ),
    (b"<doc><![CDATA[" + XHTML_PAGE + b"]]></doc>", ["application/xml"], "application/xml", [], False),
    (b"<article>", [], "text/html", [], True),
    (b"<section><meta>", ["text/plain; charset=x"], "text/plain", ["text/html"], False),
    (b"\0<p>", ["text/html"], "text/html", [], True),
]


@pytest.mark.parametrize(("body", "fields", "media_type", "beside", "is_page"), TYPES)
def test_type(body, fields, media_type, beside, is_page):
    found = known(body, *fields)
    assert found.media_type == media_type
    assert found.readings == frozenset({media_type, *beside} - {""})
    assert found.is_page == is_page


COMPLETE = [
    ({"Content_Length": "3"}, True),
    ({"Content_Length": "4"}, False),
    ({"Content_Length": "4, 4"}, False),
    ({"Content_Length": "3, 9"}, False),
    ({"Content_Length": "3, 2"}, True),
    ({"Content_Length": "2"}, True),
    ({"Content_Length": "many"}, False),
    ({"Content_Length": "-3"}, False),
    ({"Content_Length": ""}, False),
    ({"Content_Length": "9" * 30}, False),
    ({"Content_Length": "9", "Content_Encoding": "gzip"}, True),
    ({"Content_Length": "5000", "Content_Encoding": "gzip"}, False),
    ({"Content_Length": "4", "Content_Encoding": "identity"}, False),
    ({"Content_Length": "9", "Transfer_Encoding": "chunked"}, True),
    ({}, True),
]


@pytest.mark.parametrize(("fields", "is_complete"), COMPLETE)
def test_completeness(fields, is_complete):
    assert known(b"abc", **fields).is_complete == is_complete


ENCODED = [
    # text, encoding in Python, Content-Type, encoding of the Encoding standard
    ("①㈱表", "cp932", "text/html; charset=Shift_JIS", "shift_jis"),
    ("한국어 똠", "cp949", "text/html; charset=EUC-KR", "euc-kr"),
    ("香港 㗎", "big5hkscs", "text/plain; charset=big5", "big5"),
    ("ภาษา “ไทย”", "cp874", "text/html; charset=tis-620", "windows-874"),
    ("“quoted” €", "cp1252", "text/html; charset=ISO-8859-1", "windows-1252"),
    ("中文", "gb18030", "text/html; charset=gb2312", "gbk"),
    ("日本 ", "iso2022_jp", "text/html; charset=iso-2022-jp", "iso-2022-jp"),
    ("é", "utf-16-le", "text/html; charset=utf-16le", "utf-16le"),
    ("\ufeffé", "utf-16-be", "text/html; charset=utf-8", "utf-16be"),
    ("\ufeffé", "utf-8", "text/html; charset=koi8-r", "utf-8"),
    ("é", "utf-8", "text/html; charset=nonsense", "utf-8"),
    ("é", "utf-8", "text/html", "utf-8"),
    ("Zażółć", "iso-8859-2", "text/plain; charset=latin2", "iso-8859-2"),
]


@pytest.mark.parametrize(("text", "codec", "media_type", "encoding"), ENCODED)
def test_encoding(text, codec, media_type, encoding):
    found = known(text.encode(codec), media_type)
    assert (found.encoding, found.text) == (encoding, text.removeprefix("\ufeff"))


DECLARED = [
    (b'<meta charset="iso-8859-2">', "iso-8859-2"),
    (b'<!--<meta charset="iso-8859-1">--><meta charset="utf-8">', "utf-8"),
    (b"<script>var a = '<meta charset=koi8-r>'</script><meta charset=utf-8>", "utf-8"),
    (b"<meta name=description content='charset=koi8-r'><meta charset=utf-8>", "utf-8"),
    (b"<meta http-equiv=content-type content='text/html; charset=koi8-r'>", "koi8-r"),
    (b"<p>" + b"x" * 1500 + b"<meta charset=iso-8859-2>", "iso-8859-2"),
    (b'<?xml version="1.0" encoding="iso-8859-2"?><p>', "iso-8859-2"),
    (b'<?xml version="1.0" encoding="iso-8859-2"?><meta charset=koi8-r>', "koi8-r"),
    (b"<meta charset=utf-16>", "utf-8"),
    (b"<meta charset=x-user-defined>", "windows-1252"),
]


@pytest.mark.parametrize(("body", "encoding"), DECLARED)
def test_what_a_page_says_of_its_encoding(body, encoding):
    assert known(body, "text/html").encoding == encoding


def test_one_bad_octet_is_one_bad_character():
    found = known("gewöhnlicher ".encode() + b"\x92" + "Größe".encode(), "text/plain; charset=utf-8")
    assert found.text == "gewöhnlicher \ufffdGröße"


QUOTED = [
    # body, charset, what is quoted, its bytes
    ("é\r\n<a\r\nb=é>", "utf-8", "<a\r\nb=é>"),
    ("\ufeffé\r\n\r\n<a b=é>", "utf-8", "<a b=é>"),
    ("表①<a b='表①'>", "cp932", "<a b='表①'>"),
    ("\ufeffé\r\n<a b=é>", "utf-16-le", "<a b=é>"),
    ("日本\n<a b='日本'>", "iso2022_jp", "<a b='日本'>"),
]


@pytest.mark.parametrize(("body", "codec", "quote"), QUOTED)
def test_a_quotation_leads_back_to_its_octets(body, codec, quote):
    charset = {"cp932": "shift_jis", "iso2022_jp": "iso-2022-jp"}.get(codec, codec)
    found = known(body.encode(codec), f"text/html; charset={charset}")
    start = found.text.index("<a")
    assert found.quote(start, len(found.text)) == quote
    octets = found.octets(start, len(found.text))
    assert octets in body.encode(codec)
    assert octets.decode(codec).removeprefix("\ufeff") == quote


def test_octets_that_are_not_text_are_shown():
    found = known(b"\xe9<a b='\x92'>", "text/html; charset=utf-8")
    assert found.quote(1, len(found.text)) == "<a b='\\x92'>"
    assert found.octets(1, len(found.text)) == b"<a b='\x92'>"


@pytest.mark.parametrize("unit", [b"<", b"\r\n", b"\xff", b"<!--", b"<?xml ", b"\0", b"a,", b'"'])
def test_it_costs_a_few_steps_for_each_octet(unit):
    for types in (["text/html"], [], [(unit * 1_000).decode("latin-1")]):
        assert steps(lambda: known(unit * 20_000, *types).text) < PER_OCTET * 20_000 * len(unit)  # noqa: B023


# What names the field to send it, not to read it.
_WRITES = {
    "crawler/demo/sites.py",
    "crawler/engine/folder.py",
    "crawler/fetch/handler.py",
    "crawler/filter/images.py",
    "crawler/filter/inputs.py",
    "crawler/crawl/metrics.py",
    "crawler/corpus/warc.py",
    "crawler/demo/demo_server.py",
    "batch/rules.py",
    "optout/protocols/infringing_list.py",
    "optout/protocols/operator.py",
    "optout/readers/representation.py",
}
# robots.txt and its like by their own specifications, JSON, and the operator's own files.
_FILES_OF_TEXT = {
    "optout/readers/text.py",
    "optout/protocols/tdmrep.py",
    "optout/advice/tdmrep.py",
    "crawler/identity.py",
    "optout/readers/representation.py",
}
_DECODERS = re.compile(r"bytes_to_str|map_encoding_to_html5|detect_encoding|chardet|whatwg-")


@pytest.mark.parametrize("room", ["optout", "crawler", "batch"])
def test_nobody_else_reads_content_type_or_decodes_a_page(room):
    for path in (ROOT / room).rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        source = path.read_text()
        if name != "optout/readers/representation.py":
            assert not _DECODERS.search(source), f"{name} decodes text"
        if name not in _FILES_OF_TEXT:
            assert not re.search(r"\bbody(?:\[[^]]*\])?\.decode\((?!\))", source), f"{name} decodes a body"
        words = [
            node.value
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lower() == "content-type"
        ]
        assert not words or name in _WRITES, f"{name} reads Content-Type"
