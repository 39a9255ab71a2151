"""``ADDONS = {"forbear.addon.ForbearAddon": 100}`` in the settings of a Scrapy project."""

from forbear.crawler.engine.addon import ForbearAddon

__all__ = ["ForbearAddon"]
