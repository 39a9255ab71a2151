"""The settings that ``scrapy startproject`` makes, followed by those of the add-on."""

BOT_NAME = "quotes"
SPIDER_MODULES = ["quotes.spiders"]
NEWSPIDER_MODULE = "quotes.spiders"
ROBOTSTXT_OBEY = True
ITEM_PIPELINES = {"quotes.pipelines.QuotesPipeline": 300}
FEED_EXPORT_ENCODING = "utf-8"

ADDONS = {"forbear.addon.ForbearAddon": 100}
FORBEAR_CONTACT = "https://operator.example/bot"
