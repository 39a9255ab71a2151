"""``python -m bench.bare_spider PROXY URL…``: the peer: a plain Scrapy spider with default settings, links followed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import scrapy
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import HtmlResponse, Response


class Bare(scrapy.Spider):
    """Follows every link of the host it is on, and keeps nothing."""

    name = "bare"

    def parse(self, response: Response, **kwargs: Any) -> Iterator[Any]:
        """The page as an item of no substance, and its links."""
        yield {"url": response.url}
        if isinstance(response, HtmlResponse):
            host = urlsplit(response.url).netloc
            for link in response.css("a::attr(href)").getall():
                url = response.urljoin(link)
                if urlsplit(url).netloc == host:
                    yield response.follow(link)


def main() -> None:
    """Prints how many pages it met."""
    proxy, *seeds = sys.argv[1:]
    process = AsyncCrawlerProcess({"LOG_ENABLED": False})

    class Proxied(Bare):
        start_urls = seeds

        async def start(self) -> Any:
            for url in self.start_urls:
                yield scrapy.Request(url, meta={"proxy": proxy})

        def parse(self, response: Response, **kwargs: Any) -> Iterator[Any]:
            for found in super().parse(response, **kwargs):
                yield found.replace(meta={"proxy": proxy}) if isinstance(found, scrapy.Request) else found

    crawler = process.create_crawler(Proxied)
    process.crawl(crawler)
    process.start()
    assert crawler.stats
    print(json.dumps({"kept": crawler.stats.get_value("item_scraped_count")}))


if __name__ == "__main__":
    main()
