"""Writes the audit log: decisions with their evidence, and the events of crawls, policies, lists and complaints.

``writer.Writer`` is the way in for everything that a crawl decides; it commits jobs in groups, one thread for each
database. Sums over the log are kept in the same transaction, so that look-ups need not count.
"""
