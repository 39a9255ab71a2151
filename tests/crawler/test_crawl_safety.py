from __future__ import annotations

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.optout import __version__
from tests.crawler.crawls import HTML, Crawler, moved, page, paths

METADATA = "http://169.254.169.254/latest/meta-data/"
"""The service that hands out a cloud machine's keys."""

INSIDE = {
    "http://127.0.0.1:{port}/": "http://127.0.0.1:{port}/",
    "http://0x7f.1:{port}/": "http://127.0.0.1:{port}/",
    "http://2130706433:{port}/": "http://127.0.0.1:{port}/",
    "http://[::1]:{port}/": "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/": "http://[::ffff:7f00:1]:{port}/",
    "http://localhost:{port}/": "http://localhost:{port}/",
    METADATA: METADATA,
    "http://10.0.0.1/": "http://10.0.0.1/",
}
"""Addresses that are not public, and their canonical form."""

OTHER = ("file:///etc/passwd", "ftp://ftp.example/a", "javascript:alert(1)", "mailto:a@b.example", "data:text/html,x")


def refused(crawler: Crawler) -> dict[str, str]:
    """Why URLs were not requested, in our words, where the reason is that the connection was refused."""
    asked = """SELECT canonical, detail FROM decisions JOIN reasons ON reasons.decision = decisions.id
        JOIN gaps ON gaps.decision = decisions.id WHERE reasons.quote = 'refused' AND gaps.quote = 'refused'"""
    return dict(crawler.rows(asked))


def test_through_a_proxy_nothing_inside_is_reached_by_links_or_redirects(crawler: Crawler) -> None:
    sites: dict[str, dict[str, Reply]] = {"open.example": {}, "moving.example": {}}
    with Web(sites) as web:
        urls = {url.format(port=web.port): canonical.format(port=web.port) for url, canonical in INSIDE.items()}
        sites["open.example"]["/"] = page(*urls, *OTHER)
        sites["moving.example"]["/"] = page(*(f"/{number}" for number in range(len(urls))))
        sites["moving.example"] |= {f"/{number}": moved(url) for number, url in enumerate(urls)}
        crawler.run(web, "http://moving.example/", "http://open.example/", follow="any")
    assert {hit.host for hit in web.hits} == set(sites)
    inside = set(urls.values())
    assert {url for url, state in crawler.frontier().items() if state == "abandoned"} == inside
    assert set(refused(crawler)) == inside
    assert all("is not on the public Internet" in why for why in refused(crawler).values())
    assert all(url.startswith("http://") for url in crawler.frontier())


def test_directly_neither_addresses_nor_names_lead_inside(crawler: Crawler) -> None:
    with Web({"pinned.example": {"/": page()}, "127.0.0.1": {"/": page()}}) as web:
        seeds = [*(url.format(port=web.port) for url in INSIDE), f"http://pinned.example:{web.port}/"]
        crawler.run(None, *seeds, resolve=web.pin)
    assert web.hits == []
    inside = {url.format(port=web.port) for url in INSIDE.values()} | {f"http://pinned.example:{web.port}/"}
    assert set(refused(crawler)) == inside
    assert all("is not on the public Internet" in why for why in refused(crawler).values())


def test_even_where_private_networks_are_allowed_the_metadata_of_a_cloud_is_not(crawler: Crawler) -> None:
    with Web({"127.0.0.1": {"/": page("/to"), "/to": moved(METADATA)}}) as web:
        seed = f"http://127.0.0.1:{web.port}/"
        crawler.run(None, seed, allow_private_networks=True, follow="any")
    assert crawler.frontier() == {seed: "kept", f"{seed}to": "redirected", METADATA: "abandoned"}
    assert set(refused(crawler)) == {METADATA}


def test_requests_say_who_asks_and_nothing_else(crawler: Crawler) -> None:
    cookie = (*HTML, ("Set-Cookie", "session=1; Path=/"))
    links = '<a href="/a">on</a><a href="http://me:hunter2@open.example/b">on</a><a href="/c#part">on</a>'
    sites = {"open.example": {"/": Reply(links.encode(), headers=cookie), "/a": Reply(b"a", headers=cookie)}}
    with Web(sites) as web:
        crawler.run(web, "http://you:hunter2@open.example/")
    assert paths(web, "open.example") == ["/robots.txt", "/", "/a", "/b", "/c"]
    for hit in web.hits:
        assert hit.headers["User-Agent"] == f"ForbearBot/{__version__} (+https://operator.example/bot)"
        assert {name.lower() for name in hit.headers} <= {"host", "user-agent", "accept", "accept-encoding"}
    assert b"hunter2" not in crawler.octets().replace(b"you:hunter2@", b"")  # the seed is a setting of the crawl
    assert all("hunter2" not in url for url in crawler.frontier())
