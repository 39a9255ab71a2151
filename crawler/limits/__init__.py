"""Reads answers from strangers within limits on time and memory, in worker processes where that is needed.

``BoundedReader`` is the way in: it decides in this process what is cheap, and in a ``WorkerPool`` what may be costly.
It does not use Scrapy or open a database.
"""
