from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from crawler.demo import SITES
from crawler.web import Reply, Web
from portal.settings import Rates
from tests.portal.conftest import PLENTY

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def web() -> Iterator[Web]:
    torn = {"/robots.txt": Reply(b"User-agent: *\nDissallow: /\n", 200, (("Content-Type", "text/plain"),))}
    with Web({**SITES, "typo.example": {"/": Reply(b"<title>x</title>"), **torn}}) as web:
        yield web


def checked(portal, url):
    return portal.post("/check", "/check", {"url": url})


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://journal.example/", ("Reserved: our crawler leaves it alone", "&#34;tdm-reservation&#34;: 1")),
        ("http://library.example/", ("Nothing reserves it: our crawler may keep it", "/ai.txt", "404")),
        ("http://storm.example/", ("In doubt: nothing is kept until it is known", "503")),
        ("http://studio.example/sketches", ("train-ai=n", "header content-usage", "no to train-ai, standing")),
        ("http://typo.example/", ("Dissallow: /", "Correction", "Disallow: /")),
    ],
)
def test_what_a_site_says_now_is_fetched_and_shown_as_it_is_read(serve, web, url, says):
    page = checked(serve(proxy=web.proxy), url)
    assert page.status_code == 200
    for words in says:
        assert words in page.text


def test_the_crawler_comes_under_its_own_name_and_honours_the_door(serve, web):
    checked(serve(proxy=web.proxy, contact="https://operator.example/bot"), "http://press.example/")
    asked = [hit for hit in web.hits if hit.host == "press.example"]
    assert {hit.headers["User-Agent"].partition("/")[0] for hit in asked} == {"ForbearBot"}
    assert all("https://operator.example/bot" in hit.headers["User-Agent"] for hit in asked)
    assert "/" not in [hit.path for hit in asked]  # its robots.txt shuts the page to everybody


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest/meta-data/", "http://2130706433/"]
)
def test_nothing_but_the_public_internet_is_asked(portal, url):
    page = checked(portal, url)
    assert "not on the public Internet" in page.text
    assert "In doubt: nothing is kept until it is known" in page.text


def test_a_check_is_not_made_by_following_a_link(portal):
    assert 'value="https://a.example/x"' in portal.get("/check", params={"url": "https://a.example/x"}).text


def test_a_form_that_is_not_ours_is_refused(serve):
    portal = serve()
    without = portal.client.post("/check", data={"url": "http://127.0.0.1/"})
    assert without.status_code == 403
    assert "This form is too old, or cookies are off" in without.text
    token = portal.form("/check")
    portal.client.cookies.set("form", "0" * 32)
    assert portal.client.post("/check", data={"url": "http://127.0.0.1/", "form_token": token}).status_code == 403
    portal.client.cookies.clear()
    elsewhere = portal.post("/check", "/check", {"url": "http://127.0.0.1/"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    assert "sent from another site" in elsewhere.text


def test_with_tls_in_front_the_cookie_is_bound_to_it(serve):
    cookie = serve(base_url="https://portal.example").get("/check").headers["set-cookie"]
    assert cookie.startswith("__Host-form=")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"))


@pytest.mark.parametrize("rates", [{"checks": 1}, {"forms": 1}])
def test_checks_and_forms_are_limited(serve, rates):
    portal = serve(rates=Rates(**{"pages": PLENTY.pages, "forms": 9, "checks": 9, **rates}))
    assert checked(portal, "http://127.0.0.1/").status_code == 200
    assert checked(portal, "http://127.0.0.2/").status_code == 429


def test_more_than_fits_is_refused(portal):
    token = portal.form("/check")
    huge = portal.client.post("/check", data={"form_token": token, "url": "a.example"}, files={"x": bytes(33 << 20)})
    assert (huge.status_code, "More than 32 MiB were sent" in huge.text) == (413, True)


def test_what_is_no_address_is_said(portal):
    page = checked(portal, "ftp://a.example")
    assert page.status_code == 422
    assert "is no domain or URL" in page.text


def test_only_the_ports_of_the_web_are_asked(serve, web):
    page = checked(serve(proxy=web.proxy), "http://library.example:22/").text
    assert "port 22 is not asked from here, only 80 and 443" in page
    assert web.hits == []


def test_no_more_sites_are_asked_at_once_than_there_is_room_for(serve, web):
    portal = serve(proxy=web.proxy)
    limits = portal.app.state.portal.limits
    limits.room = asyncio.Semaphore(0)
    page = checked(portal, "http://library.example/")
    assert (page.status_code, web.hits) == (503, [])
    assert "Too many sites are being asked just now" in page.text
