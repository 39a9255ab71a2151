"""``forbear crawl`` and ``forbear recheck``: the frontier in the database, run by Scrapy.

``run.run`` takes a ``Config`` and returns a summary. The scheduler hands out one host to one process at a time, and
``pages`` turns each answer into a decision, a page and links.
"""
