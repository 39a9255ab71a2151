"""A shut door: RFC 9110 15.5, challenges by header, captchas, and schema.org's isAccessibleForFree."""

from __future__ import annotations

import pytest

from optout.model import EVERY_USE, NEVER, Force
from optout.protocols import access

STATUSES = [(status, status in {401, 402, 403, 407, 451}) for status in
            (200, 202, 204, 301, 304, 400, 401, 402, 403, 404, 405, 407, 410, 429, 451, 500, 503)]  # fmt: skip


@pytest.mark.parametrize(("status", "shut"), STATUSES)
def test_status(site, status, shut):
    statements, gaps = site.ask(access, site.page("no", status=status))
    assert ([(s.quote, s.where, s.uses) for s in statements], gaps) == (
        [(str(status), "status", EVERY_USE)] if shut else [],
        [],
    )


def test_page_that_is_not_known_says_nothing(site):
    assert site.ask(access) == ([], [])


HEADERS = [
    # header, value, status, is it a challenge
    ("cf-mitigated", "challenge", 200, True),
    ("CF-Mitigated", "challenge", 503, True),
    ("cf-mitigated", "Challenge ", 403, True),
    ("cf-mitigated", "none", 200, False),
    ("x-amzn-waf-action", "captcha", 405, True),
    ("x-amzn-waf-action", "challenge", 202, True),
    ("x-amzn-waf-action", "count", 200, False),
    ("x-tides", "challenge", 200, False),
]


@pytest.mark.parametrize(("header", "value", "status", "challenge"), HEADERS)
def test_challenge(site, header, value, status, challenge):
    statements, _ = site.ask(access, site.page("", ((header, value),), status=status))
    found = [(s.quote, s.where) for s in statements if s.where != "status"]
    assert found == ([(value.strip(), f"header {header.lower()}")] if challenge else [])


ARTICLE = "<p>" + "The first lamp was lit in 1811 and burned whale oil. " * 8 + "</p>"
CAPTCHAS = [
    # markup, the quoted widget or nothing
    ('<p>Please go on.</p><div class="g-recaptcha" data-sitekey="x"></div>',
     '<div class="g-recaptcha" data-sitekey="x">'),
    ('<div data-sitekey=x class="big h-captcha">', '<div data-sitekey=x class="big h-captcha">'),
    ("<form><div class=cf-turnstile></div></form>", "<div class=cf-turnstile>"),
    (ARTICLE + '<form><div class="g-recaptcha"></div></form>', None),
    ('<form><div class="g-recaptcha"></div></form>' + ARTICLE, None),
    ('<div class="h-captcha"></div>' + "Seven boats left the harbour before sunrise. " * 8, None),
    ("<p>What a captcha is</p>", None),
    ('<pre>&lt;div class="g-recaptcha"&gt;</pre>', None),
    ('<!-- <div class="g-recaptcha"></div> -->', None),
    ('<script>document.write(\'<div class="g-recaptcha"></div>\')</script>', None),
    ('<div class="my-g-recaptcha-box"></div>', None),
]  # fmt: skip


@pytest.mark.parametrize(("markup", "quote"), CAPTCHAS)
def test_captcha(site, markup, quote):
    body = f"<!DOCTYPE html><html><head><title>A long title {'x' * 400}</title></head><body>{markup}"
    assert [s.quote for s in site.ask(access, site.page(body))[0]] == ([quote] if quote else [])


FALSE = '"isAccessibleForFree": false'
LINKED_DATA = [
    # what, JSON-LD, quotes
    ("top level", '{"@type": "NewsArticle", FALSE}', [FALSE]),
    ("as a string", '{"@type": "Article", "isAccessibleForFree" : "False"}', ['"isAccessibleForFree" : "False"']),
    ("as an IRI", '{"isAccessibleForFree":"https://schema.org/False"}',
     ['"isAccessibleForFree":"https://schema.org/False"']),
    ("as a value object", '{"isAccessibleForFree":{"@value":false}}', ['"isAccessibleForFree":{"@value":false}']),
    ("true", '{"@type": "NewsArticle", "isAccessibleForFree": true}', []),
    ("array", '[{"@type": "Organization"}, {"@type": "NewsArticle", FALSE}]', [FALSE]),
    ("graph", '{"@graph": [{"@type": "WebSite"}, {"@type": "NewsArticle", FALSE}]}', [FALSE]),
    ("main entity", '{"@type": "WebPage", "mainEntity": {"@type": "Article", FALSE}}', [FALSE]),
    ("part", '{"@type": "Article", "hasPart": [{"@type": "WebPageElement", FALSE}]}', [FALSE]),
    ("part of the free", '{"isAccessibleForFree": true, "hasPart": {FALSE}}', [FALSE]),
    ("no type", "{FALSE}", [FALSE]),
    ("unknown type", '{"@type": "TideTable", FALSE}', [FALSE]),
    ("prefixed", '{"@type": "schema:Article", "schema:isAccessibleForFree": false}',
     ['"schema:isAccessibleForFree": false']),
    ("place", '{"@type": "Museum", FALSE}', []),
    ("place", '{"@type": "https://schema.org/Place", FALSE}', []),
    ("event", '{"@type": ["Event", "Festival"], FALSE}', []),
    ("place and work", '{"@type": ["Museum", "Article"], FALSE}', [FALSE]),
    ("about a place", '{"@type": "Article", "about": {"@type": "Museum", FALSE}}', []),
    ("another work", '{"@type": "ItemList", "itemListElement": [{"@type": "Article", FALSE}]}', []),
    ("in a text", '{"@type": "Article", "text": "isAccessibleForFree: false"}', []),
]  # fmt: skip


@pytest.mark.parametrize(("what", "data", "quotes"), LINKED_DATA)
@pytest.mark.parametrize("tag", ['<script type="application/ld+json">', "<script type='Application/LD+JSON; x=y'>"])
def test_linked_data(site, what, data, quotes, tag):
    page = site.page(f"<title>a</title><script>var a</script>{tag}\n{data.replace('FALSE', FALSE)}\n</script>{ARTICLE}")
    statements, gaps = site.ask(access, page)
    assert ([s.quote for s in statements], gaps) == (quotes, []), what


@pytest.mark.parametrize("data", ["{FALSE,}", "{FALSE, 'a': 1}", '{FALSE, "a": ' + "[" * 100_000])
def test_broken_linked_data_counts_where_doubt_does(site, data):
    statements, gaps = site.ask(
        access, site.page(f'<script type="application/ld+json">{data.replace("FALSE", FALSE)}</script>')
    )
    assert [(s.quote, s.force) for s in statements] == [(FALSE, Force.MALFORMED)]
    assert [gap.defers for gap in gaps] == [NEVER]


def test_broken_linked_data_without_the_word_says_nothing(site):
    page = site.page('<script type="application/ld+json">{"isAccessibleForFree": true,}</script>')
    assert site.ask(access, page) == ([], [])


def test_script_of_another_type_is_no_linked_data(site):
    assert site.ask(access, site.page(f"<script type=text/javascript>x = {{{FALSE}}}</script>")) == ([], [])


MICRODATA = [
    # markup, quote or nothing
    ('<div itemscope itemtype="https://schema.org/Article"><meta itemprop="isAccessibleForFree" content="False"></div>',
     '<meta itemprop="isAccessibleForFree" content="False">'),
    ("<div itemscope><span itemprop=isAccessibleForFree>false</span></div>", "<span itemprop=isAccessibleForFree>"),
    ('<link itemprop="x isAccessibleForFree" href="http://schema.org/False">',
     '<link itemprop="x isAccessibleForFree" href="http://schema.org/False">'),
    ('<meta itemprop="isAccessibleForFree" content="true">', None),
    ('<div itemscope itemtype="http://schema.org/Museum"><div><meta itemprop="isAccessibleForFree" content="false">',
     None),
    (('<div itemscope itemtype="http://schema.org/Museum"><div></div></div>'
      '<meta itemprop="isAccessibleForFree" content="false">'),
     '<meta itemprop="isAccessibleForFree" content="false">'),
    (('<div itemscope itemtype="https://schema.org/Article"><p itemscope itemtype="https://schema.org/Place"></p>'
      '<meta itemprop="isAccessibleForFree" content="false"></div>'),
     '<meta itemprop="isAccessibleForFree" content="false">'),
    ('<pre>&lt;meta itemprop="isAccessibleForFree" content="false"&gt;</pre>', None),
]  # fmt: skip


@pytest.mark.parametrize(("markup", "quote"), MICRODATA)
def test_microdata(site, markup, quote):
    assert [s.quote for s in site.ask(access, site.page(markup))[0]] == ([quote] if quote else [])
