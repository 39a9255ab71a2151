"""Fetches: Scrapy for a crawl, and the live fetcher for one question."""
