"""XML 1.0 with source positions."""

from __future__ import annotations

import codecs
import tracemalloc
from collections.abc import Callable
from xml.parsers import expat

import pytest

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.xml_events import Events
from forbear.optout.readers.xml_names import NotXml
from forbear.optout.readers.xml_source import MAX_QUOTE, Node, elements, parse
from tests.line_counter import PER_OCTET, steps

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


# --- what any document may be


class Seen(Events):
    """The names of elements and attributes, in order."""

    def __init__(self, document: bytes) -> None:
        super().__init__(document)
        self.names: list[str] = []

    def start(self, name, attributes, depth):
        self.names += [name, *attributes]

    def end(self, name, depth):
        self.names.append(name)


def seen(document: bytes) -> list[str]:
    events = Seen(document)
    events.read()
    return events.names


NAMES = [
    b"<a b='' xml:lang=''/>",
    b"<a xmlns='u' b=''><b xmlns=''><c/></b><b/></a>",
    b"<x:a xmlns:x='u' x:b='' b=''><x:a xmlns:x='v' x:b=''/><x:c/></x:a>",
    b"<a xmlns:x='u' xmlns:y='u' x:b='' y:c=''><y:a/></a>",
    b"<!DOCTYPE a [<!ATTLIST a xmlns CDATA 'u' xmlns:x CDATA 'v'>]><a><x:b/><a xmlns='w'/></a>",
    b"<xmlnsx xmlnsy=''/>",
    # Not well-formed.
    b"<x:a/>",
    b"<a x:b=''/>",
    b"<a><x:b xmlns:x='u'/><x:b/></a>",
    b"<a xmlns:x='u' xmlns:y='u' x:b='' y:b=''/>",
    b"<x:y:a xmlns:x='u'/>",
    b"<a xmlns:x=''/>",
    b"<a xmlns:xml='u'/>",
    b"<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>",
    b"<a xmlns:xmlns='u'/>",
    b"<a xmlns='http://www.w3.org/2000/xmlns/'/>",
    b"<a xmlns:x='u v'/>",
]


@pytest.mark.parametrize("document", NAMES)
def test_names_are_those_that_expat_gives(document):
    expected: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.namespace_prefixes = True
    parser.StartElementHandler = lambda name, attributes: expected.extend([name, *attributes])
    parser.EndElementHandler = expected.append
    try:
        parser.Parse(document, True)
    except expat.ExpatError:
        with pytest.raises(NotXml):
            seen(document)
    else:
        assert seen(document) == expected


def declared(what: bytes, document: bytes = b"<a/>") -> bytes:
    return b"<!DOCTYPE a [" + what + b"]>" + document


def numbered(form: bytes) -> Callable[[int], bytes]:
    return lambda count: b"".join(form % number for number in range(count))


LIMITS: list[tuple[str, int, Callable[[int], bytes]]] = [
    # what the sentence names, the most of it, a document with so much
    ("characters", 1_024, lambda n: b"<a xmlns:l='" + b"u" * n + b"'/>"),
    ("characters", 1_024, lambda n: b"<a xmlns:" + b"l" * n + b"='u'/>"),
    ("characters", 1_024, lambda n: declared(b"<!ENTITY e '" + b"u" * n + b"'>", b"<a xmlns:l='&e;'/>")),
    ("namespaces", 250_000, lambda n: b"<a>" + b"<b xmlns=''/>" * n + b"</a>"),
    ("different names", 10_000, lambda n: b"<a0>" + numbered(b"<a%d/>")(n) + b"</a0>"),
    ("different names", 10_000, lambda n: b"<a " + numbered(b"a%d='' ")(n - 1) + b"/>"),
    ("different names", 10_000, lambda n: declared(numbered(b"<!ENTITY e%d ''>")(n - 2))),
    ("attributes", 1_000, lambda n: declared(b"<!ATTLIST a " + numbered(b"b%d CDATA '' ")(n) + b">")),
    ("attributes", 1_000, lambda n: declared(numbered(b"<!ATTLIST a b%d CDATA #IMPLIED>")(n))),
    ("characters of attributes", 1_024, lambda n: declared(b"<!ATTLIST a b CDATA '" + b"c" * n + b"'>")),
    (
        "attributes",
        4_000_000,
        lambda n: declared(
            b"<!ATTLIST b " + numbered(b"c%d CDATA '' ")(999) + b">", b"<a>" + b"<b/>" * (n // 999 + n % 2) + b"</a>"
        ),
    ),
    (
        "16777216 characters",
        16_384,
        lambda n: declared(b"<!ENTITY e '" + b"u" * n + b"'>", b"<a>" + b"&#9;" * 1_024 + b"</a>"),
    ),
]


@pytest.mark.parametrize(("what", "most", "document"), LIMITS, ids=range(len(LIMITS)))
def test_limits(what, most, document):
    assert seen(document(most))
    with pytest.raises(Unreadable, match=f"more than .*{what}"):
        seen(document(most + 1))


LONG = b" xmlns:l='" + b"u" * 100_000 + b"'"
BOMBS = [
    # documents of which expat makes gigabytes if it resolves names, or goes on after a limit
    b"<a" + LONG + b">" + b"<l:a/>" * 10_000 + b"</a>",
    b"<a" + LONG + numbered(b" l:a%d=''")(9_000) + b"/>",
    declared(b"<!ENTITY e '" + b"u" * 60_000 + b"'>", b"<a b='" + b"&e;" * 10_000 + b"'/>"),
    declared(b"<!ATTLIST b c CDATA '" + b"u" * 60_000 + b"'>", b"<a>" + b"<b/>" * 10_000 + b"</a>"),
    declared(b"<!-- " + b"u" * 100_000 + b" -->"),
]


@pytest.mark.parametrize("document", BOMBS, ids=range(len(BOMBS)))
@pytest.mark.parametrize("read", [seen, parse, lambda document: [*elements(document, lambda *_: True, 9)]])
def test_memory_is_in_proportion_to_the_document(read, document):
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable):
            read(document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(document)


def test_nodes_share_the_names_of_their_namespace():
    root = parse(b"<l:a xmlns:l='" + b"u" * 1_000 + b"'>" + b"<l:a/>" * 9 + b"</l:a>")
    assert len({id(node.namespace) for node in root.iterate()}) == 1
