"""Quotations from all pages of a site."""

import scrapy

from quotes.items import Quote


class QuotesSpider(scrapy.Spider):
    """Follows "next" from page to page, and each author to their own page."""

    name = "quotes"

    def __init__(self, start="https://quotes.toscrape.com/", **kwargs):
        super().__init__(**kwargs)
        self.start_urls = [start]

    def parse(self, response):
        """A page of quotations."""
        for quote in response.css("div.quote"):
            yield Quote(
                text=quote.css("span.text::text").get(),
                author=quote.css("small.author::text").get(),
                url=response.url,
            )
        yield from response.follow_all(css="a.author", callback=self.parse_author)
        yield from response.follow_all(css="li.next a")

    def parse_author(self, response):
        """What the author's own page says."""
        yield Quote(text=response.css("p::text").get(), author=response.css("h1::text").get(), url=response.url)
