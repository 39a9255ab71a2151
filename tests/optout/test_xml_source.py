"""XML 1.0 with source positions."""

from __future__ import annotations

import codecs

import pytest

from optout.readers.unreadable import Unreadable
from optout.readers.xml_source import MAX_QUOTE, Node, parse
from tests.steps import PER_OCTET, steps

QUOTES = [
    # what, document, quotations in document order
    ("nested", b"<a><b>1</b>\n<c/></a>", ["<a><b>1</b>\n<c/></a>", "<b>1</b>", "<c/>"]),
    (
        "quotes and signs in values",
        b"<a b='>\"' c=\"/>'\"><d></d ></a>",
        ["<a b='>\"' c=\"/>'\"><d></d ></a>", "<d></d >"],
    ),
    (
        "comments, sections, instructions",
        b"<a><!-- <b/> --><![CDATA[<c/>]]><?d <e/>?><f/></a>",
        ["<a><!-- <b/> --><![CDATA[<c/>]]><?d <e/>?><f/></a>", "<f/>"],
    ),
    ("long: the opening tag", b"<a b='1'>" + b"x" * MAX_QUOTE + b"</a>", ["<a b='1'>"]),
    (
        "a declared encoding",
        b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xfc<b/></a>",
        ["<a>\\xfc<b/></a>", "<b/>"],
    ),
    ("no declared encoding, and no UTF-8", b"<?xml version='1.0'?><a>\xfc<b/></a>", ["<a>\\xfc<b/></a>", "<b/>"]),
    (
        "UTF-16",
        codecs.BOM_UTF16_LE + "<?xml version='1.0' encoding='UTF-16'?><a>ü</a>".encode("utf-16-le"),
        ["<a>ü</a>"],
    ),
    ("a byte order mark and blank lines", codecs.BOM_UTF8 + b"\n\n <a>\xc3\xbc<b/></a>", ["<a>ü<b/></a>", "<b/>"]),
]


@pytest.mark.parametrize(("what", "document", "expected"), QUOTES)
def test_quotes(what, document, expected):
    assert [node.quote for node in parse(document).iterate()] == expected, what


def test_names_attributes_text_and_lines():
    root = parse(b"\n<a xmlns='u:x' xmlns:y='u:y'>1<b y:c='2'/>\n3<y:b>&lt;</y:b></a>")
    first, second = root.children
    assert (root.namespace, root.name, root.text, root.line) == ("u:x", "a", "1\n3", 2)
    assert (first.namespace, first.name, first.attributes, first.line) == ("u:x", "b", {"u:y c": "2"}, 2)
    assert (second.namespace, second.name, second.text, second.line) == ("u:y", "b", "<", 3)
    assert list(root.all("b")) == [first]


UNREADABLE = [
    b"",
    b"text",
    b"<a>",
    b"<a></b>",
    b"<a/><b/>",
    b"<a b='1' b='2'/>",
    b"<x:a/>",
    b"<a>&b;</a>",
    b"<a>\x00</a>",
    b"<?xml version='1.0' encoding='utf-8'?><a>\xff</a>",
    b"<?xml version='1.0' encoding='none'?><a/>",
    "<a/>".encode("utf-16-le"),
    "<a/>".encode("utf-16-be"),
    b"<!DOCTYPE html><html/>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"<!DOCTYPE a SYSTEM 'http://localhost/a.dtd'><a/>",
    b"<a>" * 101 + b"</a>" * 101,
]


@pytest.mark.parametrize("document", UNREADABLE)
def test_unreadable(document):
    with pytest.raises(Unreadable):
        parse(document)


def _many(inner: bytes) -> bytes:
    return b"<a>" + inner * (100_000 // len(inner)) + b"</a>"


@pytest.mark.parametrize("document", [_many(b"<b/>x"), _many(b"<b c='d'>e</b>"), _many(b"&lt;\n"), _many(b"<!---->x")])
def test_each_octet_costs_a_few_steps(document):
    assert isinstance(parse(document), Node)
    assert steps(lambda: parse(document)) < PER_OCTET * len(document)
