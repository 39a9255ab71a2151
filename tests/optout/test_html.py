"""Pages from strangers: read in time linear in their size, or not at all; the tree made only of ordinary shapes."""

from __future__ import annotations

import time

import pytest

from optout.model import Capture
from optout.readers import html
from optout.readers.unreadable import Unreadable


def page(body: bytes, media_type: str = "text/html") -> Capture:
    return Capture("https://archive.example/", 200, (("Content-Type", media_type),), body)


N = 100_000
NO = b"<meta name=robots content=noai>"
NESTED = b"".join(b"<b id=%d><p>" % number for number in range(2_000)) + b"</b>" * 2_000

READ_QUICKLY = [
    b"noai" + b"<p class=a>x <a href=y>z</a></p>" * N,
    b"noai" + b"<meta name=a content=b>" * N,
    b"<meta " * N,
    b"<meta name= " * N,
    b'noai<p a="' * N,
    b"noai" + b"<!--" * N,
    b"noai" + b"<svg>" * 400 + b"<desc></svg>" * N,
    b"noai" + b"<div itemscope>" * N + b"</div>" * N,
    b"noai" + b"<script>" * N,
    b"noai<p " + b" ".join(b"a%d=noai" % number for number in range(N)) + b">",
    b"noai" + b"<" * N * 10,
    b'<script type=application/ld+json>{"isAccessibleForFree":' + b"[" * N,
    b"noai" + NESTED,
]


@pytest.mark.parametrize("body", READ_QUICKLY, ids=range(len(READ_QUICKLY)))
def test_any_page_is_read_quickly(body):
    started = time.process_time()
    html.read(page(body))
    assert time.process_time() - started < 2


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
    NESTED,
    b"<p>" + b"".join(b"<b id=%d>" % number for number in range(400)) + b"</p>" + b"<p>x</p>" * N,
    b"<p " + b" ".join(b"a%d" % number for number in range(N)) + b">",
    b"".join(b"<body a%d>" % number for number in range(N)),
    b"<div>" * N,
    b"<b></i>" * N,
    b"<select>" + b"<option>" * N,
    b"<span>" * 450 + b"</div>" * N * 3,
    b" " * (html.MAX_OCTETS + 1),
]


@pytest.mark.parametrize("body", OUT_OF_SHAPE, ids=range(len(OUT_OF_SHAPE)))
def test_no_tree_is_made_of_a_page_out_of_shape(body):
    started = time.process_time()
    with pytest.raises(Unreadable):
        html.parse(page(body))
    assert time.process_time() - started < 2


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
