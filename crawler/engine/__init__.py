"""Decides about a URL and fetches what the decision needs: robots.txt, tdmrep.json and the like.

``session.Session`` writes each decision to the log before anything acts on it; ``live`` does the same without a log.
``enforce`` and ``addon`` put it into Scrapy.
"""
