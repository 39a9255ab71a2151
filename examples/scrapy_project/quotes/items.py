"""What the spider brings home."""

import scrapy


class Quote(scrapy.Item):
    """A quotation, who said it, and where it stands."""

    text = scrapy.Field()
    author = scrapy.Field()
    url = scrapy.Field()
