from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from forbear.crawler.demo.demo_server import Reply, Web
from tests.crawler.crawls import HTML, PLAIN, Crawler, late, page, paths, plain, tree, until, urls


def test_max_pages_is_exact_across_runs(crawler: Crawler) -> None:
    sites = {f"h{number}.example": late(tree(30), 0.02) for number in range(5)}
    seeds = [f"http://{host}/" for host in sites]
    with Web(sites) as web:
        process = crawler.start(web, *seeds, max_pages=37)
        until(lambda: len(web.hits) > 30)
        process.kill(signal.SIGTERM)
        first = process.wait()
        second = crawler.run(web, *seeds, max_pages=37)
    assert 0 < first.summary["kept"] < 37
    assert not first.summary["finished"]
    assert second.summary["finished"]
    assert first.summary["kept"] + second.summary["kept"] == 37
    assert sum(crawler.kept().values()) == 37


@pytest.mark.parametrize(("depth", "kept"), [(0, ["/"]), (1, ["/", "/1", "/2", "/3"])])
def test_max_depth(crawler: Crawler, depth: int, kept: list[str]) -> None:
    with Web({"a.example": tree(30)}) as web:
        crawler.run(web, "http://a.example/", max_depth=depth)
    assert paths(web, "a.example") == ["/robots.txt", *kept]
    assert set(crawler.kept()) == urls("a.example", kept)


@pytest.mark.parametrize(
    ("follow", "hosts"),
    [
        (None, {"www.a.example"}),
        ("same-host", {"www.a.example"}),
        ("same-domain", {"www.a.example", "a.example", "img.a.example"}),
        ("any", {"www.a.example", "a.example", "img.a.example", "b.example"}),
    ],
)
def test_follow(crawler: Crawler, follow: str | None, hosts: set[str]) -> None:
    everything = ("www.a.example", "a.example", "img.a.example", "b.example")
    links = [f"http://{host}/page" for host in everything]
    sites = {host: {"/": page(*links), "/page": page(words=f"This is {host}.")} for host in everything}
    with Web(sites) as web:
        crawler.run(web, "http://www.a.example/", follow=follow)
    assert {hit.host for hit in web.hits} == hosts
    assert set(crawler.kept()) == {"http://www.a.example/", *(f"http://{host}/page" for host in hosts)}


def test_shadow_mode_decides_as_usual_and_keeps_nothing(crawler: Crawler) -> None:
    with Web({"a.example": tree(5) | {"/robots.txt": plain("User-agent: *\nDisallow: /2\n")}}) as web:
        done = crawler.run(web, "http://a.example/", shadow=True)
    assert done.summary["kept"] == 0
    assert crawler.records() == []
    assert crawler.rows("SELECT * FROM pages") == []
    expected = dict.fromkeys(urls("a.example", ["/", "/1", "/3", "/4"]), "skipped") | {"http://a.example/2": "excluded"}
    assert crawler.frontier() == expected


def test_sitemaps_and_nofollow(crawler: Crawler) -> None:
    def sitemap(*locations: str) -> Reply:
        listed = "".join(f"<url><loc>{url}</loc></url>" for url in locations)
        return Reply(f"<urlset>{listed}</urlset>".encode(), headers=(("Content-Type", "application/xml"),))

    index = "<sitemapindex><sitemap><loc>http://a.example/deep.xml</loc></sitemap></sitemapindex>"
    site = {
        "/robots.txt": plain("User-agent: *\nDisallow: /shut\n\nSitemap: http://a.example/map.xml\n"),
        "/map.xml": Reply(index.encode(), headers=(("Content-Type", "text/xml"),)),
        "/deep.xml": sitemap("http://a.example/listed", "http://a.example/shut", "http://b.example/foreign"),
        "/listed": page(words="Only the sitemap knows it."),
        "/shut": page(),
        "/": Reply(b'<p>a<a href="/one" rel="nofollow">1</a><a href="/two">2</a><a href="/three">3</a>', headers=HTML),
        "/one": page(words="Nobody is led here."),
        "/two": Reply(b'<meta name="robots" content="nofollow"><a href="/four">4</a>', headers=HTML),
        "/three": Reply(b'<a href="/five">5</a>', headers=(*HTML, ("X-Robots-Tag", "nofollow"))),
    }
    with Web({"a.example": site}) as web:
        crawler.run(web, "http://a.example/", sitemaps=True)
    assert crawler.frontier() == {
        **dict.fromkeys(urls("a.example", ["/", "/two", "/three", "/listed"]), "kept"),
        **dict.fromkeys(urls("a.example", ["/map.xml", "/deep.xml"]), "skipped"),
        "http://a.example/shut": "excluded",
    }
    assert {hit.host for hit in web.hits} == {"a.example"}


def test_without_the_option_sitemaps_are_not_asked_for(crawler: Crawler) -> None:
    with Web({"a.example": {"/robots.txt": plain("Sitemap: http://a.example/map.xml\n"), "/": page()}}) as web:
        crawler.run(web, "http://a.example/")
    assert "/map.xml" not in paths(web, "a.example")


def test_resume_asks_again_for_what_was_given_up(crawler: Crawler) -> None:
    def flaky() -> Iterator[Reply]:
        yield from (Reply(b"", 500), Reply(b"", 500))
        while True:
            yield page(words="At last.")

    answers = flaky()
    replies = {"/": page("/flaky", "/fine"), "/fine": page(words="Fine.")}

    def site(path: str) -> Reply:
        return next(answers) if path == "/flaky" else replies.get(path, Reply(status=404, headers=PLAIN))

    with Web({"a.example": site}) as web:
        missing = crawler.run(web, "http://a.example/", resume=True, code=2)
        first = crawler.run(web, "http://a.example/")
        assert crawler.frontier()["http://a.example/flaky"] == "abandoned"
        second = crawler.run(web, "http://a.example/", resume=True)
        assert crawler.frontier()["http://a.example/flaky"] == "abandoned"
        third = crawler.run(web, resume=True)
        other = crawler.run(web, resume=True, max_depth=7, code=2)
    for done in (missing, other):
        assert "--resume: this database has no crawl with these settings" in done.stderr
    assert first.summary["finished"]
    assert second.summary["resumed"]
    assert first.summary["crawl"] == second.summary["crawl"] == third.summary["crawl"]
    assert (first.summary["kept"], second.summary["kept"], third.summary["kept"]) == (2, 0, 1)
    assert paths(web, "a.example") == ["/robots.txt", "/", "/flaky", "/fine", "/flaky", "/flaky"]
    assert crawler.frontier() == dict.fromkeys(urls("a.example", ["/", "/flaky", "/fine"]), "kept")


def test_a_frontier_that_somebody_else_has_written_to_ends_the_crawl_in_one_sentence(crawler: Crawler) -> None:
    with Web({"a.example": late(tree(60), 0.02)}) as web:
        process = crawler.start(web, "http://a.example/")
        until(lambda: len(web.hits) > 5)
        process.kill(signal.SIGTERM)
        assert not process.wait().summary["finished"]
        crawler.change("UPDATE frontier SET url = 'nonsense' WHERE state = 'waiting'")
        done = crawler.run(web, "http://a.example/", code=4)
    assert "nonsense" in done.stderr
    assert "Traceback" not in done.stderr
