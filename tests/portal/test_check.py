from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from fastapi import HTTPException

from forbear.crawler.demo.demo_server import Reply, Site, Web
from forbear.crawler.demo.sites import SITES
from forbear.crawler.limits import bounded, workers
from forbear.portal.web.limits import Limit, Room
from forbear.portal.web.proxies import networks
from forbear.portal.web.settings import Rates
from tests.crawler import hostile_calls
from tests.crawler.crawls import until
from tests.portal.conftest import PLENTY

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


BOMB = {"bomb.example": {"/": Reply(b"<title>a bomb</title>")}}


@pytest.fixture
def web() -> Iterator[Web]:
    torn = {"/robots.txt": Reply(b"User-agent: *\nDissallow: /\n", 200, (("Content-Type", "text/plain"),))}
    with Web({**SITES, "typo.example": {"/": Reply(b"<title>x</title>"), **torn}, **BOMB}) as web:
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


def test_what_is_not_an_address_is_reported(portal):
    page = checked(portal, "ftp://a.example")
    assert page.status_code == 422
    assert "is not a domain or URL" in page.text


def test_only_the_ports_of_the_web_are_asked(serve, web):
    page = checked(serve(proxy=web.proxy), "http://library.example:22/").text
    assert "port 22 is not checked from here, only 80 and 443" in page
    assert web.hits == []


def test_no_more_sites_are_asked_at_once_than_there_is_room_for(serve, web):
    portal = serve(proxy=web.proxy)
    portal.app.state.portal.limits.room = Room(0)
    page = checked(portal, "http://library.example/")
    assert (page.status_code, page.headers["retry-after"], web.hits) == (503, "30", [])
    assert "Too many checks are running" in page.text


def test_hosts_below_a_domain_are_one_target(serve):
    portal = serve(
        rates=Rates(pages=PLENTY.pages, forms=PLENTY.forms, checks=1), trusted_proxies=networks(["127.0.0.1"])
    )
    answers = []
    for number, url in enumerate(
        ("a.127.0.0.1.nip.example:22", "http://b.nip.example.:22/", "http://other.example:22/")
    ):
        portal.client.headers["X-Forwarded-For"] = f"198.51.100.{number}"
        answers.append(checked(portal, url))
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert "This site was read several times within a minute: try again in" in answers[1].text
    link = portal.post("/control", "/control", {"name": "c.other.example"}).headers["location"]
    assert portal.post(link, link, {}).status_code == 429


def test_a_site_is_counted_wherever_a_check_is_led_to_it(serve):
    """A redirect or a named licence leads to a site that was asked before: it is not asked more often for that."""
    robots = Reply(b"License: http://www.victim.example/rsl.xml\n", 200, (("Content-Type", "text/plain"),))
    sites: dict[str, Site] = {
        **{f"away{number}.example": _away for number in range(3)},
        "licensed.example": {"/": Reply(b"<title>x</title>"), "/robots.txt": robots},
        "victim.example": {"/": Reply(b"<title>x</title>")},
    }
    with Web(sites) as web:
        portal = serve(proxy=web.proxy)
        portal.app.state.portal.limits.sites = Limit(2, clock=lambda: 0.0)

        def check(host: str) -> tuple[httpx.Response, int]:
            """Checks a host, and counts what that had the victim asked."""
            before = len(web.hits)
            page = checked(portal, f"http://{host}/")
            return page, sum(hit.host.endswith("victim.example") for hit in web.hits[before:])

        for number in range(2):
            page, asked = check(f"away{number}.example")
            assert asked > 2, page.text
            assert "Nothing reserves it" in page.text
        for host in ("away2.example", "licensed.example"):
            page, asked = check(host)
            assert (page.status_code, asked) == (200, 0)
            assert "In doubt: nothing is kept until it is known" in page.text
            assert "<code>unasked</code>" in page.text
            assert "was not asked: victim.example was checked too often: try again in" in page.text
        page, asked = check("victim.example")
        assert (page.status_code, asked) == (429, 0)


def _away(path: str) -> Reply:
    return Reply(b"", 302, (("Location", f"http://victim.example{path}"),))


def test_slow_sites_leave_places_for_others(serve):
    slow = {f"slow{number}.example": lambda _: Reply(pause=3600) for number in range(3)}
    with ThreadPoolExecutor(4) as threads:
        with Web({**slow, "quick.example": {"/": Reply(b"<title>x</title>")}}) as web:
            portal = serve(proxy=web.proxy, trusted_proxies=networks(["127.0.0.1"]))
            token = portal.form("/check")

            def check(client: str, host: str) -> httpx.Response:
                sent = {"url": f"http://{host}/", "form_token": token}
                answer: httpx.Response = portal.client.post("/check", data=sent, headers={"X-Forwarded-For": client})
                return answer

            held = (("198.51.100.1", 0), ("198.51.100.1", 1), ("203.0.113.1", 2), ("203.0.113.2", 2))
            waiting = [threads.submit(check, client, f"slow{number}.example") for client, number in held]
            until(lambda: len(web.hits) == len(held))
            own = check("198.51.100.1", "quick.example")
            assert (own.status_code, own.headers["retry-after"]) == (429, "30")
            assert "Your last checks are still under way" in own.text
            same = check("192.0.2.1", "a.slow2.example")
            assert (same.status_code, "A check of slow2.example is already running" in same.text) == (503, True)
            assert check("192.0.2.1", "quick.example").status_code == 200
        assert [answer.result().status_code for answer in waiting] == [200] * len(held)
    assert check("198.51.100.1", "quick.example").status_code == 200


def test_a_check_ends_after_a_while(serve, monkeypatch):
    monkeypatch.setattr("forbear.portal.public.check.SECONDS", 0.2)
    with Web({"slow.example": lambda _: Reply(pause=3600)}) as web:
        page = checked(serve(proxy=web.proxy), "http://slow.example/")
    assert (page.status_code, "slow.example did not answer all requests within" in page.text) == (504, True)


def test_places_are_shared_between_clients_networks_and_targets(database_url):
    def asks(room: Room, places: int, client: str, target: str = "") -> int:
        """How many places a client gets, each for a target of its own if none is named; they are kept."""
        for number in range(places):
            try:
                stack.enter_context(room.place(client, target or f"{client}-{number}.example"))
            except HTTPException:
                return number
        return places

    with ExitStack() as stack:
        room = Room(16)
        assert asks(room, 9, "198.51.100.1") == 2
        assert asks(room, 9, "198.51.100.2") == 2
        assert asks(room, 9, "198.51.100.3") == 0  # its network has four
        assert asks(room, 9, "2001:db8:1:1::/64") == 2
        assert asks(room, 9, "2001:db8:1:2::/64") == 2
        assert asks(room, 9, "2001:db8:1:3::/64") == 0
        assert asks(room, 1, "2001:db8:2:3::/64", "one.example") == 1
        assert asks(room, 1, "203.0.113.1", "one.example") == 1
        assert asks(room, 1, "192.0.2.1", "one.example") == 0
        assert asks(room, 2, "192.0.2.1") == 2
        assert asks(room, 2, "192.0.2.2") == 0  # the last four are for networks without any
        assert [asks(room, 2, f"10.0.{number}.1") for number in range(5)] == [1, 1, 1, 1, 0]
    with ExitStack() as stack:
        assert [asks(room, 2, f"10.0.{number}.1") for number in range(8)] == [2, 2, 2, 2, 2, 2, 1, 1]


def test_a_site_that_takes_too_much_keeps_nobody_else_waiting(web, serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reads is at work in other processes, which are ended: health is asked all the while."""
    monkeypatch.setattr(bounded, "cost", hostile_calls.burn_at_a_bomb)
    monkeypatch.setattr(workers, "SECONDS", 1.0)
    with workers.WorkerPool(1) as pool, ThreadPoolExecutor(1) as thread:
        portal = serve(proxy=web.proxy, pool=pool)
        form = portal.form("/check")
        asked = {"form_token": form, "url": "http://bomb.example/"}
        check = thread.submit(portal.client.post, "/check", data=asked)
        answers = 0
        while not check.done():
            assert httpx.get(f"{portal.url}/health").status_code == 200
            answers += 1
        page = check.result()
    assert answers > 3
    assert (page.status_code, "In doubt: nothing is kept until it is known" in page.text) == (200, True)
    assert "too-costly: more than 1 seconds of processor time were needed" in page.text
