"""The item pipeline of the project."""

from itemadapter import ItemAdapter
from scrapy.exceptions import DropItem


class QuotesPipeline:
    """Strips the quotation marks, and drops quotations without an author."""

    def process_item(self, item):
        """Cleans an item; Scrapy calls it for each."""
        quote = ItemAdapter(item)
        if not quote.get("author"):
            raise DropItem("it has no author")
        quote["text"] = quote["text"].strip("“”")
        return item
