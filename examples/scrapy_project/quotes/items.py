"""The items that the spider yields."""

import scrapy


class Quote(scrapy.Item):
    """A quotation, its author and its URL."""

    text = scrapy.Field()
    author = scrapy.Field()
    url = scrapy.Field()
