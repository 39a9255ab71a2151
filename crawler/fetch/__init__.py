"""Speaks HTTP with sites: one client for crawls, live checks, filters and the portal.

``client.Client`` sends a request and returns a whole answer or the reason why there is none; ``handler`` lets Scrapy
use it. Addresses that are not public are refused here, for every caller.
"""
