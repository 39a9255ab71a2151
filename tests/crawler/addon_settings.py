"""Settings of a Scrapy project that has everything a real one may have in the add-on's way."""

BOT_NAME = "odd"
SPIDER_MODULES = ["tests.crawler.addon_spiders"]
ADDONS = {"forbear.crawler.engine.addon.ForbearAddon": 100}
FORBEAR_CONTACT = "https://operator.example/bot"
DOWNLOADER_MIDDLEWARES = {
    "tests.crawler.addon_spiders.Canned": -1000,
    "tests.crawler.addon_spiders.Disguised": 950,
}
DOWNLOAD_DELAY = 0
RETRY_PRIORITY_ADJUST = 0
TELNETCONSOLE_ENABLED = False
