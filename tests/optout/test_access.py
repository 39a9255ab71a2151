"""A shut door: RFC 9110 15.5, challenges by header, captchas, and schema.org's isAccessibleForFree."""

from __future__ import annotations

import pytest

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import EVERY_USE, NEVER, Capture, Decision, Question, StatementStatus
from forbear.optout.protocols import access

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
    ("x-vercel-mitigated", "challenge", 429, True),
    ("x-vercel-mitigated", "deny", 200, True),
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
    assert [(s.quote, s.force) for s in statements] == [(FALSE, StatementStatus.MALFORMED)]
    assert [gap.defers for gap in gaps] == [NEVER]


def test_broken_linked_data_without_the_word_says_nothing(site):
    page = site.page('<script type="application/ld+json">{"isAccessibleForFree": true,}</script>')
    assert site.ask(access, page) == ([], [])


def test_script_of_another_type_is_not_linked_data(site):
    assert site.ask(access, site.page(f"<script type=text/javascript>x = {{{FALSE}}}</script>")) == ([], [])


MICRODATA = [
    # markup, quote or nothing
    ('<div itemscope itemtype="https://schema.org/Article"><meta itemprop="isAccessibleForFree" content="False"></div>',
     '<meta itemprop="isAccessibleForFree" content="False">'),
    ("<div itemscope><span itemprop=isAccessibleForFree>false</span></div>", "<span itemprop=isAccessibleForFree>"),
    ('<link itemprop="x isAccessibleForFree" href="http://schema.org/False">',
     '<link itemprop="x isAccessibleForFree" href="http://schema.org/False">'),
    ("<p itemprop=isAccessibleForFree>\n <b><i>false</i></b></p>", "<p itemprop=isAccessibleForFree>"),
    ("<div itemscope><p itemprop=isAccessibleForFree><b>true</b></p><i>false</i></div>", None),
    ("<div itemscope><p itemprop=isAccessibleForFree></p><i>false</i></div>", None),
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


VENDORS = [
    # vendor, markup, quote or nothing
    (
        "DataDome",
        "<p>Please enable JS</p><script>var dd={'host':'geo.captcha-delivery.com'}</script>",
        "captcha-delivery.com",
    ),
    (
        "DataDome",
        '<script data-cfasync="false" src="https://ct.captcha-delivery.com/c.js"></script>',
        '<script data-cfasync="false" src="https://ct.captcha-delivery.com/c.js">',
    ),
    ("HUMAN", '<div id="px-captcha"></div>', '<div id="px-captcha">'),
    (
        "Imperva",
        '<iframe id="main-iframe" src="/_Incapsula_Resource?CWUDNSAI=23">Request unsuccessful.</iframe>',
        '<iframe id="main-iframe" src="/_Incapsula_Resource?CWUDNSAI=23">',
    ),
    ("Imperva, a script of an open page", '<script src="/_Incapsula_Resource?SWJIYLWA=7"></script>', None),
    ("Akamai", '<div id="sec-if-cpt-container"></div>', '<div id="sec-if-cpt-container">'),
    (
        "Akamai",
        """<meta http-equiv="refresh" content="5; URL='/?bm-verify=AAQA'">""",
        """<meta http-equiv="refresh" content="5; URL='/?bm-verify=AAQA'">""",
    ),
    ("Sucuri", "<script>var s={},sucuri_cloudproxy_js='';</script>", "sucuri_cloudproxy_js"),
    ("Kasada", "<script>window.KPSDK={};</script><script src=/149e/ips.js></script>", "window.KPSDK"),
    ("on a page with text of its own", ARTICLE + '<div id="px-captcha"></div>', None),
    ("an article about it", ARTICLE + "<p>The container is called sec-if-cpt-container.</p>", None),
]


@pytest.mark.parametrize(("vendor", "markup", "quote"), VENDORS, ids=range(len(VENDORS)))
def test_challenge_pages_are_blocked_which_is_not_an_opt_out(site, vendor, markup, quote):
    statements, gaps = site.ask(access, site.page(f"<!DOCTYPE html><title>archive.example</title>{markup}"))
    assert ([s.quote for s in statements], gaps) == ([quote] if quote else [], []), vendor
    assert all(s.note.startswith("Blocked") for s in statements)


FORM = '<form><input name=user><input type="password" name=word></form>'
FIELD = '<input type="password" name=word>'
LOGINS = [
    # what, URL asked, where it leads, page there, is it shut
    ("a login in place of a page", "/letters/1", "/login?next=/letters/1", ARTICLE + FORM, True),
    ("by another host", "/letters/1", "https://sso.archive.example/", ARTICLE + FORM, True),
    ("with an ending", "/letters/1", "/user/signin.php", ARTICLE + FORM, True),
    ("a login form and nothing else", "/letters/1", None, FORM, True),
    ("a form beside the page", "/letters/1", None, ARTICLE + FORM, False),
    ("a page that moved", "/letters/1", "/letters/one", ARTICLE + FORM, False),
    ("words alone", "/letters/1", "/login", ARTICLE, False),
    ("a word that begins so", "/letters/1", "/authors", ARTICLE + FORM, False),
    ("the page about it was asked for", "/login", "/auth/login", ARTICLE + FORM, False),
]


@pytest.mark.parametrize(("what", "path", "leads", "markup", "shut"), LOGINS, ids=range(len(LOGINS)))
def test_login(what, path, leads, markup, shut):
    origin, html = "https://archive.example", (("Content-Type", "text/html"),)
    page = f"{origin}{path}"
    known = [Capture(page, 302, (("Location", leads or ""),))] if leads else []
    last = leads if leads and leads.startswith("https:") else f"{origin}{leads or path}"
    captures = Captures([*known, Capture(last, 200, html, markup.encode())], complete=True)
    decision = decide(Question(page), captures, policy.load())
    assert isinstance(decision, Decision)
    assert [(r.protocol, r.quote, r.source) for r in decision.reasons] == ([("access", FIELD, last)] if shut else [])


REDIRECTS = [
    # from, Location, is it a refusal
    ("/letters/1", "/denied", True),
    ("/letters/1", "https://www.archive.example/access-denied.html?ref=1", True),
    ("/letters/1", "/bot/blocked/", True),
    ("/letters/1", "/letters/denied-again", False),
    ("/denied", "/denied/", False),
]


@pytest.mark.parametrize(("path", "location", "shut"), REDIRECTS)
def test_visitors_who_are_sent_away(site, path, location, shut):
    url = f"https://archive.example{path}"
    statements, _ = site.ask(access, Capture(url, 307, (("Location", location),)), url=url)
    assert [(s.quote, s.where) for s in statements] == ([(location, "header location")] if shut else [])
