"""As ``scrapy startproject`` leaves it, and below that what the add-on needs."""

BOT_NAME = "quotes"
SPIDER_MODULES = ["quotes.spiders"]
NEWSPIDER_MODULE = "quotes.spiders"
ROBOTSTXT_OBEY = True
ITEM_PIPELINES = {"quotes.pipelines.QuotesPipeline": 300}
FEED_EXPORT_ENCODING = "utf-8"

ADDONS = {"forbear.addon.ForbearAddon": 100}
FORBEAR_CONTACT = "https://operator.example/bot"
