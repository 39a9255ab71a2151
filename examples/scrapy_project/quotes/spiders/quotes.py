"""The spider, which collects quotations from all pages of a site."""

import scrapy

from quotes.items import Quote


class QuotesSpider(scrapy.Spider):
    """Follows the links to the next page, and to the page of each author."""

    name = "quotes"

    def __init__(self, start="https://quotes.toscrape.com/", **kwargs):
        super().__init__(**kwargs)
        self.start_urls = [start]

    def parse(self, response):
        """Reads a page of quotations."""
        for quote in response.css("div.quote"):
            yield Quote(
                text=quote.css("span.text::text").get(),
                author=quote.css("small.author::text").get(),
                url=response.url,
            )
        yield from response.follow_all(css="a.author", callback=self.parse_author)
        yield from response.follow_all(css="li.next a")

    def parse_author(self, response):
        """Reads the page of an author."""
        yield Quote(text=response.css("p::text").get(), author=response.css("h1::text").get(), url=response.url)
