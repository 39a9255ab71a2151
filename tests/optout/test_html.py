"""Pages from strangers: two readers of their markup, in time and memory in proportion to their size, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from forbear.optout.model import Capture
from forbear.optout.readers import html, representation, tree_bounds
from forbear.optout.readers.errors import Unreadable
from tests.line_counter import PER_OCTET, steps


def page(body: bytes, media_type: str = "text/html") -> Capture:
    return Capture("https://archive.example/", 200, (("Content-Type", media_type),), body)


N = 50_000
NO = b"<meta name=robots content=noai>"
HTML, XHTML = "text/html", "application/xhtml+xml"


def nested(n: int) -> bytes:
    return b"".join(b"<b id=%d><p>" % number for number in range(n)) + b"</b>" * n


def unclosed(between: bytes) -> Callable[[int], bytes]:
    """Formatting elements that stay open, whatever follows each of them, and paragraphs to copy them into."""
    return lambda n: b"<p>" + b"".join(b"<b id=%d>" % k + between for k in range(400)) + b"</p>" + b"<p>x</p>" * n


BUSY: list[Callable[[int], bytes]] = [
    lambda n: b"noai" + b"<p class=a>x <a href=y>z</a></p>" * n,
    lambda n: b"noai" + b"<meta name=a content=b>" * n,
    lambda n: b"<meta " * n,
    lambda n: b"<meta name= " * n,
    lambda n: b'noai<p a="' * n,
    lambda n: b"noai" + b"<!--" * n,
    lambda n: b"noai" + b"<svg>" * n,
    lambda n: b"noai" + b"<svg>" * 400 + b"<desc></svg>" * n,
    lambda n: b"noai" + b"<div itemscope>" * n + b"</div>" * n,
    lambda n: b"noai" + b"<script>" * n,
    lambda n: b"noai<p " + b" ".join(b"a%d=x" % number for number in range(n)) + b">",
    lambda n: b"noai" + b"<" * n * 5,
    lambda n: b'<script type=application/ld+json>{"isAccessibleForFree":' + b"[" * n,
    lambda n: b"noai" + b"<div>" * n,
    lambda n: b"noai" + b"<select>" + b"<option>" * n,
    lambda n: b"noai" + b"<table>" + b"<b>x" * n,
    lambda n: b"noai" + b"<b></i>" * n,
]


@pytest.mark.parametrize("body", BUSY, ids=range(len(BUSY)))
def test_any_page_is_read(body):
    """Where this never ends, the work grows with the square of the page in some library written in C."""
    html.read(page(body(N)))
    html.read(page(body(N // 4), XHTML))


@pytest.mark.parametrize("body", BUSY, ids=range(len(BUSY)))
def test_each_octet_of_any_page_costs_a_few_steps(body):
    octets = body(N // 10)
    assert steps(lambda: html.read(page(octets))) < PER_OCTET * len(octets)


ATTACKS = [
    NO * N,
    NO + b" " * html.MAX_OCTETS,
    NO + b"<p>" * tree_bounds.MAX_TAGS,
    NO + b"<p noai='" + b"a" * html.MAX_TAG + b"'>",
    NO + nested(2_000),
    NO + b"".join(b"<body a%d>" % number for number in range(N)),
    NO + b"<html " + b"a" * tree_bounds.MAX_ROOT_LENGTH + b">",
    NO + unclosed(b"")(N),
    NO + unclosed(b"<!--</b>-->")(N),
    NO + unclosed(b"<object></td></b></object>")(N),
    NO + unclosed(b"<svg><desc></b></desc></svg>")(N),
    NO + unclosed(b"<table></b></table>")(N),
    NO + unclosed(b"<select></b></select>")(N),
    NO + unclosed(b"<i title='</b>'></i>")(N),
]


@pytest.mark.parametrize("body", ATTACKS, ids=range(len(ATTACKS)))
def test_a_page_that_is_an_attack_is_not_read(body):
    with pytest.raises(Unreadable):
        html.read(page(body))


@pytest.mark.parametrize("body", ATTACKS[4:], ids=range(len(ATTACKS) - 4))
def test_it_is_not_a_reason_to_defer_where_nothing_could_be_reserved(body):
    assert html.read(page(body.removeprefix(NO))) == html.HtmlPage()


IN_SHAPE = [
    b"<ul>" + b"<li>a" * 20_000,
    b"<table>" + b"<tr><td>a" * 20_000,
    b"<svg>" + b"<path d='M0 0'/>" * 20_000 + b"</svg>",
    b"<p>a <br> <img src=a> <b>b</b> <i>c</i></p>" * 20_000,
    b"<script>" + b"'<b>' " * 20_000 + b"</script>",
    b"<font>" * 30 + b"<p>a</p>" * 5_000,
    b"".join(b"<p><b id=%d>x</b></p>" % number for number in range(20_000)),
    b"<table>" + b"<tr><td><b class=x>a</b><td><font size=%d>b</font>" % N * 20_000,
]


@pytest.mark.parametrize("body", IN_SHAPE, ids=range(len(IN_SHAPE)))
def test_a_tree_is_made_of_untidy_pages(body):
    title = representation.of(page(b"<title>Notes</title>" + body)).document.find("title")
    assert title is not None
    assert title.text == "Notes"


RSL = b'<rsl xmlns="https://rslstandard.org/rsl"/>'


def xhtml(head: bytes, before: bytes = b"") -> bytes:
    return before + b'<html xmlns="http://www.w3.org/1999/xhtml"><head>' + head + b"</head></html>"


META = b"<meta name='robots' content='noai'/>"
IN_XML, IN_TREE = ("meta", "line 1, meta", ""), ("meta", "line 1, (//meta)[1]", "")
AT_LINE_3 = ("meta", "line 3, (//meta)[1]", "")
JSON = '{"isAccessibleForFre\\u0065":false}'
IN_JSON, IN_RSL = ("script", "line 1, script", JSON), ("script", "line 1, script", RSL.decode())
SECTION = b"<script type='application/rsl+xml'><![CDATA[" + RSL + b"]]></script>"
WIDE = b"<meta\fname\f=\f" + b" " * 40 + b"robots\tcontent\r\n=\r\n'noai'>"
ENTITY = xhtml(b"<meta name='robots' content='&n;'/>", b"<!DOCTYPE html [<!ENTITY n 'noai'>]>")

KNOWN_DTD = (
    b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd"'
)

ELEMENTS: list[tuple[str, bytes, str, list[tuple[str, str, str]]]] = [
    # what, markup, media type, elements of interest: name, where, content
    ("a line end of two octets", b"<p>\r\n\r\n<meta\r\nname=robots content=noai>", HTML, [AT_LINE_3]),
    ("letters as references", b"<meta name='tdm&#45;reservation' content=1>", HTML, [IN_TREE]),
    ("far from the beginning", b"<meta data-x='" + b"y" * 90 + b"' content='no&#x61;i'>", HTML, [IN_TREE]),
    ("white space of all kinds", WIDE, HTML, [IN_TREE]),
    ("a sign as reference", b"<link type='application/&#114;sl+xml'>", HTML, [("link", "line 1, link", "")]),
    ("HTML within MathML", b"<math><desc><style><meta name=robots content=noai>", HTML, [IN_TREE]),
    ("SVG that is left", b"<svg><desc><b></svg></b></desc><style>" + NO, HTML, [IN_TREE]),
    ("JSON with escapes", b"<script type=application/ld+json>" + JSON.encode(), HTML, [IN_JSON]),
    ("XML beside HTML", xhtml(b"<title/>" + META), XHTML, [IN_XML]),
    ("a section in XML", xhtml(SECTION), XHTML, [IN_RSL]),
    ("an entity in XML", ENTITY, XHTML, [IN_XML]),
    ("XML that is none", xhtml(b"<p>" + NO), XHTML, [IN_TREE]),
    ("entities in XML", xhtml(b"<meta name='robots' content='&n;&o;'/>",
                              b"<!DOCTYPE html [<!ENTITY n 'no'><!ENTITY o 'ai'>]>"), XHTML, [IN_XML]),
    ("an element of XML in another case", xhtml(META.replace(b"meta", b"META")), XHTML,
     [("META", "line 1, META", ""), IN_TREE]),
    ("an attribute of XML in another case", xhtml(META.replace(b"name", b"NAME")), XHTML, [IN_XML, IN_TREE]),
    ("an entity that HTML knows", xhtml(META[:-2] + b" title='&nbsp;'/>", KNOWN_DTD + b">"), XHTML, [IN_XML]),
    ("an entity in text", xhtml(META + b"<title>&n;</title>", KNOWN_DTD + b" [<!ENTITY n SYSTEM 'n'>]>"), XHTML,
     [IN_XML]),
    ("XML in UTF-16", xhtml(META).decode().encode("utf-16-le"), XHTML, [IN_XML]),
    ("a template", b"<template>" + NO + b"</template>", HTML, []),
    ("text of no interest", b"<p>what noai means</p><!-- " + NO + b" -->", HTML, []),
]  # fmt: skip


@pytest.mark.parametrize(("what", "markup", "media_type", "expected"), ELEMENTS)
def test_elements(what, markup, media_type, expected):
    found = html.read(page(markup, media_type))
    assert [(e.name, e.where, e.content) for e in found.elements] == expected, what
    assert found.doubtful == []


@pytest.mark.parametrize(
    "doctype",
    [
        KNOWN_DTD + b" [<!ENTITY n SYSTEM 'n'>]>",
        KNOWN_DTD + b" [<!ENTITY % o SYSTEM 'o'> %o;]>",
        b"<!DOCTYPE html SYSTEM 'own.dtd' [<!ENTITY o ''>]>",
        b"<!DOCTYPE html [<!ENTITY nbsp SYSTEM 'n'><!ENTITY n '&nbsp;'>]>",
    ],
)
def test_xhtml_whose_tags_are_written_elsewhere_cannot_be_read(doctype):
    with pytest.raises(Unreadable, match="entit"):
        html.read(page(xhtml(b"<meta name='robots' content='&n;'/>", doctype), XHTML))


def test_a_property_belongs_to_the_nearest_item_around_it():
    markup = (
        b"<div itemscope itemtype='https://schema.org/Event x'><span itemscope>"
        b"<i itemprop=isAccessibleForFree itemscope itemtype=a><b>false</b></i></span>"
        b"<p itemprop=isAccessibleForFree>true</p></div>"
    )
    found = html.read(page(markup)).elements
    assert [(e.item_types, e.content) for e in found] == [((), "false"), (("https://schema.org/Event", "x"), "true")]


@pytest.mark.parametrize(
    ("markup", "visible"),
    [
        (b"<p>a  b</p><script>x</script><style>x</style><title>x</title><textarea>x</textarea>", 3),
        (b"<template>abc</template><noscript>abc</noscript>", 3),
        (b"<p>" + b"a" * 5_000, html.MAX_TEXT),
    ],
)
def test_what_people_see_is_counted(markup, visible):
    assert html.read(page(NO + markup)).text == visible


def test_a_page_names_its_base():
    assert html.read(page(NO + b"<base target=x><base href=/a/><base href=/b/>")).base == "/a/"
