"""The Scrapy add-on, for the settings of a project: ``ADDONS = {"forbear.addon.ForbearAddon": 100}``."""

from forbear.crawler.engine.addon import ForbearAddon

__all__ = ["ForbearAddon"]
