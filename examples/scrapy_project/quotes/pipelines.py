"""What becomes of the items."""

from itemadapter import ItemAdapter
from scrapy.exceptions import DropItem


class QuotesPipeline:
    """Takes off the quotation marks, and drops what nobody said."""

    def process_item(self, item):
        """As Scrapy calls it for each item."""
        quote = ItemAdapter(item)
        if not quote.get("author"):
            raise DropItem("nobody said it")
        quote["text"] = quote["text"].strip("“”")
        return item
