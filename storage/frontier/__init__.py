"""Holds the URLs that each crawl has found and still has to visit, and who may send requests to a host.

Schedulers call ``frontier`` for entries and ``leases`` for hosts. Also holds the lock that lets one
``forbear run`` at a time work on a database.
"""
