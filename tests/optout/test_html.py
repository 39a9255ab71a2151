"""Pages from strangers: read in time linear in their size, or not at all; the tree made only of ordinary shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.model import Capture
from optout.readers import html, markup
from optout.readers.unreadable import Unreadable
from tests.steps import PER_OCTET, steps


def page(body: bytes, media_type: str = "text/html") -> Capture:
    return Capture("https://archive.example/", 200, (("Content-Type", media_type),), body)


N = 100_000
NO = b"<meta name=robots content=noai>"


def nested(n: int) -> bytes:
    return b"".join(b"<b id=%d><p>" % number for number in range(n)) + b"</b>" * n


BUSY: list[Callable[[int], bytes]] = [
    lambda n: b"noai" + b"<p class=a>x <a href=y>z</a></p>" * n,
    lambda n: b"noai" + b"<meta name=a content=b>" * n,
    lambda n: b"<meta " * n,
    lambda n: b"<meta name= " * n,
    lambda n: b'noai<p a="' * n,
    lambda n: b"noai" + b"<!--" * n,
    lambda n: b"noai" + b"<svg>" * 400 + b"<desc></svg>" * n,
    lambda n: b"noai" + b"<div itemscope>" * n + b"</div>" * n,
    lambda n: b"noai" + b"<script>" * n,
    lambda n: b"noai<p " + b" ".join(b"a%d=noai" % number for number in range(n)) + b">",
    lambda n: b"noai" + b"<" * n * 10,
    lambda n: b'<script type=application/ld+json>{"isAccessibleForFree":' + b"[" * n,
    lambda n: b"noai" + nested(n // 50),
]


@pytest.mark.parametrize("body", BUSY, ids=range(len(BUSY)))
def test_any_page_is_read(body):
    """Where this never ends, the work grows with the square of the page in some library written in C."""
    html.read(page(body(N)))


@pytest.mark.parametrize("body", BUSY, ids=range(len(BUSY)))
def test_each_octet_of_any_page_costs_a_few_steps(body):
    octets = body(N // 10)
    assert steps(lambda: html.read(page(octets))) < PER_OCTET * len(octets)


ATTACKS = [
    NO * N,
    b"noai" + b"<svg>" * N,
    b" " * (html.MAX_OCTETS + 1),
]


@pytest.mark.parametrize("body", ATTACKS, ids=range(len(ATTACKS)))
def test_a_page_that_is_an_attack_is_not_read(body):
    with pytest.raises(Unreadable):
        html.read(page(body))


OUT_OF_SHAPE = [
    nested(2_000),
    b"<p>" + b"".join(b"<b id=%d>" % number for number in range(400)) + b"</p>" + b"<p>x</p>" * N,
    b"<p " + b" ".join(b"a%d" % number for number in range(N)) + b">",
    b"".join(b"<body a%d>" % number for number in range(N)),
    b"<div>" * N,
    b"<b></i>" * N,
    b"<select>" + b"<option>" * N,
    b"<span>" * 450 + b"</div>" * N * 3,
    b"".join(b'<b id=%d c="<i>" d=\'x</i>">t</b>\'>' % number for number in range(N)),
    b"".join(b'<b id=%d " c="x>t</b>">' % number for number in range(N)),
    b"".join(b"<b id=%d " % number + b'a=="x b="y>t</b>">' for number in range(N)),
    b" " * (html.MAX_OCTETS + 1),
]


@pytest.mark.parametrize("body", OUT_OF_SHAPE, ids=range(len(OUT_OF_SHAPE)))
def test_no_tree_is_made_of_a_page_out_of_shape(body):
    with pytest.raises(Unreadable):
        html.parse(page(body))


IN_SHAPE = [
    b"<ul>" + b"<li>a" * 20_000,
    b"<table>" + b"<tr><td>a" * 20_000,
    b"<svg>" + b"<path d='M0 0'/>" * 20_000 + b"</svg>",
    b"<p>a <br> <img src=a> <b>b</b> <i>c</i></p>" * 5_000,
    b"<script>" + b"'<b>' " * 20_000 + b"</script>",
    b"<font>" * 30 + b"<p>a</p>" * 5_000,
]


@pytest.mark.parametrize("body", IN_SHAPE, ids=range(len(IN_SHAPE)))
def test_a_tree_is_made_of_untidy_pages(body):
    tree = html.parse(page(b"<title>Notes</title>" + body))
    assert tree is not None
    assert tree.title == "Notes"


PIECES = b"""
< > / <a_href=x> <A_HREF="<a_href=y>"> </a> <!-- --> --!> <![CDATA[ ]]> <svg> </svg> <math> <title>
</title> <script> </script_> <template> </template> <p> <P_x=">"> " ' = text <area_href=1 <abbr> <a/
<a </ <?x <!d <desc> <plaintext> <foreignObject> <base_href=q> <meta_content="> <b<a_href=z>
<iframe_src=x> </iframe> <frame_src=1_/> \xff
""".split()


@given(st.lists(st.sampled_from([*(piece.replace(b"_", b" ") for piece in PIECES), b" "]), max_size=14).map(b"".join))
@settings(max_examples=1_000)
def test_start_tags_are_those_among_all_tags(source):
    names = frozenset({b"a", b"area", b"base", b"meta", b"iframe", b"frame"})
    wanted = [tag for tag in markup.tags(source) if not tag.is_end and tag.name in names]
    found = list(markup.start_tags(source, names))
    assert [tag._replace(text_from=0) for tag in found] == [tag._replace(text_from=0) for tag in wanted]


WORDS = b"""
noai tdm- NoAI type="password" <meta_name=robots_content=noai> <meta_name='a'_content="&#110;oai"> <a_noai>x</a>
<div_class="h-captcha"> <div_title="a>b"_data="noai"> <script>rsl+xml <b_x="tdm-"_y=noai <p_noai="> <!--_noai_-->
<input_type=password> <div_itemprop=isAccessibleForFree>false</div> <span_itemscope_itemtype=x> </span> <meta/>
<link_type="application/rsl+xml"> <noai< <noai_<
""".split()


@given(
    st.lists(st.sampled_from([*(piece.replace(b"_", b" ") for piece in (*PIECES, *WORDS)), b" "]), max_size=16).map(
        b"".join
    ),
    st.sampled_from([0, 5, 1_000]),
)
@settings(max_examples=1_000)
def test_skimming_finds_all_that_is_of_interest(source, most_text):
    """A page is skimmed once its text is counted, which is here at once, soon, or never."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "MAX_TEXT", most_text)
        found = html.read(page(b"<html>" + source))
        patch.setattr(html, "_stops", lambda _lower, _words: None)
        expected = html.read(page(b"<html>" + source))
    assert found.text == expected.text
    assert [replace(e, item_types=()) for e in found.elements] == [replace(e, item_types=()) for e in expected.elements]
    for one, same in zip(found.elements, expected.elements, strict=True):
        if "itemprop" in one.quote.lower():
            assert one.item_types == same.item_types


def test_no_tree_of_other_media():
    assert html.parse(page(b"<p>a", "text/plain")) is None


TEXTS = [
    (b"<title>\xc3\xa9</title>", "text/html"),
    (b"<title>\xe9</title>", "text/html"),
    (b"<title>\xe9</title>", "text/html; charset=latin1"),
    (b"<meta charset=iso-8859-1><title>\xe9</title>", "text/html"),
    (b"<meta charset=utf-16><title>\xc3\xa9</title>", "text/html"),
    ("\ufeff<title>é</title>".encode("utf-16-be"), "text/html; charset=utf-8"),
]


@pytest.mark.parametrize(("body", "media_type"), TEXTS)
def test_encoding_of_the_tree(body, media_type):
    tree = html.parse(page(body, media_type))
    assert tree is not None
    assert tree.title == "é"
