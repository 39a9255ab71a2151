"""noai and noimageai: draft-illyes-repext-03 3.1, Google's page on X-Robots-Tag, HTML 13."""

from __future__ import annotations

import pytest

from forbear.optout.model import AI_USES, Preference, StatementStatus
from forbear.optout.protocols import robots_meta
from forbear.optout.readers import html

FIELDS = [
    # section, X-Robots-Tag, is it a no for ForbearBot
    ("DeviantArt 2022-11-11", "noai", True),
    ("repext 3.1.3, case", "NoAI", True),
    ("repext 3.1.1", "index, noai, follow", True),
    ("repext 3.1.1, blanks", "noarchive  ,   noai  ,nofollow", True),
    ("repext 3.1.2, whole words", "nonoai, noairmail", False),
    ("repext 3.1.1, our name", "forbearbot: noai", True),
    ("repext 3.1.1, our name with a version", "ForbearBot/2.0: noai", True),
    ("repext 3.1.1, another name", "otherbot: noai", False),
    ("repext 3.1.1, a longer name", "forbearbotnews: noai", False),
    ("repext 3.1.1, everybody", "*: noai", True),
    ("Google, up to the next name", "otherbot: noindex, noai", False),
    ("Google, up to the next name", "otherbot: noai, forbearbot: all", False),
    ("Google, up to the next name", "otherbot: all, forbearbot: noai", True),
    ("Google, up to the next name", "noai, otherbot: noindex", True),
    ("Google, a name with a blank", "Kangaroo Bot: noai", False),
    ("Google, a value", "max-snippet: 50, noai", True),
    ("Google, a value", "max-snippet:-1, max-image-preview:large, noai", True),
    ("Google, a value that is unknown", "max-tides: 3, noai", True),
    ("Google, a date", "unavailable_after: 31 Dec 2030 23:59:59 GMT, noai", True),
    ("Google, a date", "unavailable_after: Wednesday, 31-Dec-30 23:59:59 GMT, noai", True),
    ("Google, a date for another", "otherbot: unavailable_after: Wed, 31 Dec 2030 23:59:59 GMT, noai", False),
    ("repext, nothing", ":, :, ,", False),
    ("repext, nothing", "", False),
    ("Google, search rules", "none, noindex, nofollow, noarchive, nosnippet, noimageindex, all", False),
    ("bounded", "a:" * 100_000 + "noai", False),
]


@pytest.mark.parametrize(("section", "field", "reserved"), FIELDS, ids=range(len(FIELDS)))
def test_header(site, section, field, reserved):
    statements, gaps = site.ask(robots_meta, site.page("", (("X-Robots-Tag", field),)))
    expected = [(field, "header x-robots-tag", AI_USES)] if reserved else []
    assert ([(s.quote, s.where, s.uses) for s in statements], gaps) == (expected, []), section


def test_header_lines_add_up(site):
    headers = (("X-Robots-Tag", "otherbot: noindex"), ("x-robots-tag", "noai"), ("X-Robots-Tag", "forbearbot: all"))
    assert [s.quote for s in site.ask(robots_meta, site.page("", headers))[0]] == ["noai"]


SPELLINGS = ["no-ai", "noml", "noaitraining", "no-ai-training", "notrain", "NoGenAI"]


@pytest.mark.parametrize("word", SPELLINGS)
def test_other_spellings_are_flagged(site, word):
    field, element = f"nofollow, {word}", f'<meta name="robots" content="{word}">'
    statements, _ = site.ask(robots_meta, site.page(f"<p>{element}", (("X-Robots-Tag", field),)))
    assert [(s.quote, s.preference, s.force, s.uses) for s in statements] == [
        (quote, Preference.DISALLOW, StatementStatus.FLAGGED, AI_USES) for quote in (field, element)
    ]


HEAD = "<!DOCTYPE html>\n<html><head><title>Notes</title>\n{}\n</head><body><p>Seven boats</p></body></html>"
NO = '<meta name="robots" content="noai">'

MARKUP = [
    # section, markup, quote or nothing
    ("HTML 4.2.5", NO, NO),
    ("HTML 13.1.2", "<META CONTENT='noai' NAME=Robots />", "<META CONTENT='noai' NAME=Robots />"),
    ("HTML 13.1.2", "<meta\nname=robots\tcontent=noai>", "<meta\nname=robots\tcontent=noai>"),
    ("HTML 13.1.2", '<meta/name="robots"/content="noai">', '<meta/name="robots"/content="noai">'),
    ("HTML 13.1.2", '<meta name="robots"content="noai">', '<meta name="robots"content="noai">'),
    ("HTML 13.1.2", '<meta a=">" name="robots" content="noai">', '<meta a=">" name="robots" content="noai">'),
    ("HTML 13.1.2", '<meta name="x" name="robots" content="noai">', None),
    ("HTML 13.1.4", '<meta name="r&#111;bots" content="no&#97;i">', '<meta name="r&#111;bots" content="no&#97;i">'),
    ("repext 3.1.2", '<meta name=" ForbearBot " content="noai">', '<meta name=" ForbearBot " content="noai">'),
    ("repext 3.1.2", '<meta name="otherbot" content="noai">', None),
    ("repext 3.1.2", '<meta name="description" content="what noai means">', None),
    ("HTML 13.1.6, comment", f"<!-- {NO} -->", None),
    ("HTML 13.1.6, comment", f"<!-- > {NO} --!>", None),
    ("HTML 13.1.6, comment", f"<!--> {NO} -->", NO),
    ("HTML 13.2.5.41, bogus comment", f"<? a='> {NO}", NO),
    ("HTML 4.12.1, script", f"<script>var a = '{NO}';</script>", None),
    ("HTML 13.2.6.2, style", f"<style>{NO}</style>", None),
    ("HTML 13.2.6.2, text area", f"<textarea>{NO}</textarea>", None),
    ("HTML 13.2.6.2, title", f"<title>{NO}</title >", None),
    ("HTML 4.12.3, template", f"<template>{NO}</template>", None),
    ("HTML 4.12.3, after a template", f"<template></template>{NO}", NO),
    ("HTML 4.12.2, noscript is markup to us", f"<noscript>{NO}</noscript>", NO),
    ("HTML 13.2.5.2, in an attribute", f"<p title='{NO}'>", None),
    ("HTML 13.2.6.5, foreign content", f"<svg><title/><style/></svg>{NO}", NO),
    ("HTML 13.2.6.5, foreign content", f"<svg><title>{NO}</title></svg>", NO),
    ("HTML 13.2.5.42, CDATA", f"<svg><![CDATA[{NO}]]></svg>", None),
    ("HTML 13.2.5.42, CDATA", f"<![CDATA[>{NO}]]>", NO),
]


@pytest.mark.parametrize(("section", "markup", "quote"), MARKUP)
def test_markup(site, section, markup, quote):
    statements, gaps = site.ask(robots_meta, site.page(HEAD.format(markup)))
    assert ([s.quote for s in statements], gaps) == ([quote] if quote else [], []), section


def test_place_of_an_element(site):
    page = site.page(HEAD.format(f'<!-- {NO} -->\n<meta charset="utf-8">\n{NO}'))
    assert [s.where for s in site.ask(robots_meta, page)[0]] == ["line 5, (//meta)[2]"]


TYPES = [
    # Content-Type, what precedes the element, is the page read as HTML
    ("text/html", "", True),
    ("TEXT/HTML; charset=utf-8", "", True),
    ("application/xhtml+xml", '<html xmlns="http://www.w3.org/1999/xhtml">', True),
    ("application/xml", '<html xmlns="http://www.w3.org/1999/xhtml">', True),
    ("text/xml", "<rss>", False),
    ("text/plain", "<html>", True),
    ("text/plain", "To reserve, write ", False),
    ("text/markdown", "<h1 align=center>Reservations</h1>", False),
    ("application/json", "<!-- x --><p>", True),
    ("image/png", "<!doctype html>", True),
    ("text/html,text/html", "", True),
    ("text/html charset=utf-8", "<p>", True),
    ("text/html: charset=utf-8", "<p>", True),
    ("text/html text/html; charset=utf-8", "<p>", True),
    ("text/plain, text/html", "", True),
    ("text/html, text/plain", "", True),
    ("application/vnd.wap.xhtml+xml", "<html>", True),
    ("text/html", "PK\x03\x04", True),
    ("text/html", "%PDF-1.4 %%EOF", True),
    ("", "<!doctype html>", True),
    ("", "\n <HTML>", True),
    ("", "To reserve, write ", False),
    ("unknown/unknown", "<html>", True),
]


@pytest.mark.parametrize(("media_type", "before", "is_html"), TYPES)
def test_media_type(site, media_type, before, is_html):
    statements, _ = site.ask(robots_meta, site.page(before + NO, media_type=media_type))
    assert [s.quote for s in statements] == ([NO] if is_html else [])


ENCODINGS = [
    ("utf-8", b"", "text/html"),
    ("utf-8", b"\xef\xbb\xbf", "text/html"),
    ("utf-16-le", b"\xff\xfe", "text/html"),
    ("utf-16-be", b"\xfe\xff", "text/html"),
    ("utf-16-le", b"", "text/html; charset=UTF-16LE"),
    ("cp1252", b"", "text/html; charset=ISO-8859-1"),
    ("cp1252", b"", "text/html"),
    ("cp1251", b"", "text/html; charset=windows-1251"),
    ("utf-8", b"", "text/html; charset=no-such"),
]


@pytest.mark.parametrize(("encoding", "mark", "media_type"), ENCODINGS)
def test_encoding(site, encoding, mark, media_type):
    body = mark + HEAD.format(f"<!-- \N{COPYRIGHT SIGN} -->{NO}").encode(encoding)
    assert [s.quote for s in site.ask(robots_meta, site.page(body, media_type=media_type))[0]] == [NO]


DOUBTFUL = [
    # what a reader of tags sees and the tree of the standard does not
    f"<math><annotation-xml><![CDATA[>{NO}]]></annotation-xml></math>",
    f"<frameset>{NO}",
    f"<plaintext>{NO}",
    f"<template>{NO}",
    f"<template><template>{NO}</template>",
    f"<template></b><template>{NO}</template></template>",
    f"<select><style>{NO}</style></select>",
]


@pytest.mark.parametrize("markup", DOUBTFUL)
def test_only_a_reader_of_tags_sees_it(site, markup):
    [statement], _ = site.ask(robots_meta, site.page(f"<!DOCTYPE html>{markup}"))
    assert (statement.quote, statement.force, statement.note) == (NO, StatementStatus.FLAGGED, html.DOUBTFUL)


@pytest.mark.parametrize(
    "element",
    [
        '<meta property="robots" content="noai,noimageai">',
        '<meta http-equiv="X-Robots-Tag" content="noai">',
        '<meta http-equiv="x-robots-tag" content="forbearbot: noai">',
        '<meta name="description" property="robots" content="noai">',
        '<meta http-equiv="x-robots-tag" name="" content="noai">',
        '<meta name="X-Robots-Tag" content="noai">',
        '<meta name="robots, otherbot" content="noai">',
        '<meta name="noai" content="true">',
    ],
)
def test_other_attributes_are_wishes(site, element):
    [statement, *_], _ = site.ask(robots_meta, site.page(HEAD.format(element)))
    assert (statement.quote, statement.force, statement.uses) == (element, StatementStatus.FLAGGED, AI_USES)


@pytest.mark.parametrize(
    "element",
    [
        '<meta name="noai" content="no">',
        '<meta property="og:title" content="noai">',
        '<meta name="otherbot" content="noai">',
    ],
)
def test_elements_about_something_else_are_none(site, element):
    assert site.ask(robots_meta, site.page(HEAD.format(element))) == ([], [])


def test_element_that_only_xml_sees(site):
    body = f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a"/>{NO[:-1]}/></head></html>'
    statements, _ = site.ask(robots_meta, site.page(body, media_type="application/xhtml+xml"))
    assert [s.quote for s in statements] == [f"{NO[:-1]}/>"]


IMAGES = [
    # Content-Type, first bytes, is it an image
    ("image/jpeg", b"", True),
    ("image/svg+xml", b"<svg/>", True),
    ("application/octet-stream", b"\x89PNG\r\n\x1a\n", True),
    ("application/octet-stream", b"RIFF\0\0\0\0WEBPVP8 ", True),
    ("application/octet-stream", b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", True),
    ("application/octet-stream", b"\0\0\0\x18ftypmif1\0\0\0\0heicmif1", True),
    ("application/octet-stream", b"\0\0\0\x0cJXL \r\n\x87\n", True),
    ("application/octet-stream", b"\xff\x0a", True),
    ("application/octet-stream", b"\0\0\0\x0cjP  \r\n\x87\n", True),
    ("application/octet-stream", b"8BPS\0\1", True),
    ("application/octet-stream", b"BM\x46\0\0\0\0\0\0\0", True),
    ("application/octet-stream", b"IIU\0", True),
    ("application/octet-stream", b"v/1\1\2\0\0\0", True),
    ("application/octet-stream", b"DDS \x7c\0\0\0", True),
    ("application/octet-stream", b"\xabKTX 20\xbb\r\n\x1a\n", True),
    ("application/octet-stream", b"\n\5\1\x08" + bytes(60), True),
    ("application/octet-stream", b"\xd7\xcd\xc6\x9a\0\0", True),
    ("application/octet-stream", b"\1\0\x09\0\0\3", True),
    ("application/octet-stream", b"\1\0\0\0" + bytes(36) + b" EMF", True),
    ("application/octet-stream", bytes(522) + b"\0\x11\x02\xff\x0c\0", True),
    ("application/octet-stream", bytes(18) + b"\0\0\0\0TRUEVISION-XFILE.\0", True),
    ("application/octet-stream", b"P6\n# tide\n2 2\n255\n\0\xff", True),
    ("text/plain", b"P3\n2 2\n255\n0 0 0 9 9 9\n", True),
    ("text/plain", b"#define tide_width 16\n#define tide_height 16\nstatic char tide_bits[] = {", True),
    ("application/postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n", True),
    ("application/octet-stream", b"\xc5\xd0\xd3\xc6", True),
    ("image/svg+xml", b"\x1f\x8b\x08", True),
    ("application/postscript", b"%!PS-Adobe-3.0\n", False),
    ("text/plain", b"P4 20 of the harbour's plan", False),
    ("text/plain", b"P1 10 12 metres\n", False),
    ("application/xml", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", True),
    ("text/plain", b"\xff\xd8\xff", True),
    ("application/octet-stream", b"\0\0\0\x14ftypisom\0\0\0\0isom", False),
    ("audio/wav", b"RIFF\0\0\0\0WAVEfmt ", False),
    ("text/plain", b"The free BMP of GIF 89a", False),
    ("text/html", b"<p>", False),
    ("application/pdf", b"%PDF-1.7", False),
]


@pytest.mark.parametrize(("media_type", "body", "is_image"), IMAGES)
def test_noimageai_speaks_about_images(site, media_type, body, is_image):
    statements, _ = site.ask(robots_meta, site.page(body, (("X-Robots-Tag", "noimageai"),), media_type))
    assert [(s.quote, s.uses) for s in statements] == [("noimageai", AI_USES if is_image else frozenset())]


def test_another_product_token(site):
    page = site.page('<meta name="tidebot" content="noai">', (("X-Robots-Tag", "tidebot: noai"),))
    assert len(site.ask(robots_meta, page, agent="TideBot")[0]) == 2
    assert site.ask(robots_meta, page)[0] == []
