"""``python -m bench.peers NAME PROXY FOLDER URL…``: runs a peer, a Scrapy spider that follows every link of its host.

``bare`` has Scrapy's default settings and keeps nothing; ``obey`` adds ROBOTSTXT_OBEY; ``usual`` is a
common combination: LinkExtractor, trafilatura, warcio, and one committed ORM row per page.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import scrapy
import trafilatura
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import HtmlResponse, Response
from scrapy.linkextractors import LinkExtractor
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter


class Bare(scrapy.Spider):
    """Follows every link of its host, and keeps nothing."""

    name = "bare"

    def __init__(self, proxy: str, folder: str, urls: list[str]) -> None:
        super().__init__()
        self.proxy, self.folder, self.urls = proxy, Path(folder), urls

    async def start(self) -> AsyncIterator[Any]:
        """Yields the seeds."""
        for url in self.urls:
            yield self._ask(url)

    def _ask(self, url: str) -> scrapy.Request:
        return scrapy.Request(url, meta={"proxy": self.proxy})

    def parse(self, response: Response, **kwargs: Any) -> Iterator[Any]:
        """Yields the page as an item, and its links."""
        yield {"url": response.url}
        if isinstance(response, HtmlResponse):
            host = urlsplit(response.url).netloc
            for url in self.links(response):
                if urlsplit(url).netloc == host:
                    yield self._ask(url)

    def links(self, response: HtmlResponse) -> Iterator[str]:
        """Extracts the links as Scrapy's documentation shows."""
        return (response.urljoin(link) for link in response.css("a::attr(href)").getall())


class Base(DeclarativeBase):
    """The base of the table."""


class Row(Base):
    """A kept page."""

    __tablename__ = "pages"
    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(unique=True)
    status: Mapped[int]
    text: Mapped[str | None]


class Usual(Bare):
    """Keeps each page in a WARC file, and its text in a database."""

    name = "usual"

    def __init__(self, proxy: str, folder: str, urls: list[str]) -> None:
        super().__init__(proxy, folder, urls)
        self.extractor = LinkExtractor()
        self.warc = WARCWriter((self.folder / "pages.warc.gz").open("wb"), gzip=True)
        engine = create_engine(f"sqlite:///{self.folder}/pages.db")
        Base.metadata.create_all(engine)
        self.session = Session(engine)

    def parse(self, response: Response, **kwargs: Any) -> Iterator[Any]:
        """Writes the page, then follows its links."""
        headers = [(k.decode(), v.decode()) for k, values in response.headers.items() for v in values or ()]
        http = StatusAndHeaders(f"{response.status} OK", headers, protocol="HTTP/1.1")
        record = self.warc.create_warc_record(response.url, "response", io.BytesIO(response.body), http_headers=http)
        self.warc.write_record(record)
        text = trafilatura.extract(response.text) if isinstance(response, HtmlResponse) else None
        self.session.add(Row(url=response.url, status=response.status, text=text))
        self.session.commit()
        yield from super().parse(response)

    def links(self, response: HtmlResponse) -> Iterator[str]:
        """Extracts the links with LinkExtractor."""
        return (link.url for link in self.extractor.extract_links(response))


PEERS: dict[str, tuple[type[Bare], dict[str, Any]]] = {
    "bare": (Bare, {}),
    "obey": (Bare, {"ROBOTSTXT_OBEY": True}),
    "usual": (Usual, {}),
}


def main() -> None:
    """Prints the number of pages."""
    name, proxy, folder, *urls = sys.argv[1:]
    spider, settings = PEERS[name]
    process = AsyncCrawlerProcess({"LOG_ENABLED": False} | settings)
    crawler = process.create_crawler(spider)
    process.crawl(crawler, proxy=proxy, folder=folder, urls=urls)
    process.start()
    assert crawler.stats
    print(json.dumps({"kept": crawler.stats.get_value("item_scraped_count")}))


if __name__ == "__main__":
    main()
