from __future__ import annotations

from crawler.web import Web
from tests.crawler.crawls import Crawler, page, paths, plain, tree


def test_robots_txt_comes_first(crawler: Crawler) -> None:
    with Web({"open.example": tree(10)}) as web:
        done = crawler.run(web, "http://open.example/")
    print(done, paths(web, "open.example"), crawler.frontier(), web.at_once)
    assert paths(web, "open.example")[:3] == ["/robots.txt", "/.well-known/tdmrep.json", "/"]
