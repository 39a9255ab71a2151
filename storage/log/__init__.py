"""Writes the audit log: decisions with their evidence, and events of crawls, policies, lists and complaints.

Everything that a crawl decides goes through ``writer.Writer``, one thread in each process, which commits jobs in
groups. Sums over the log are kept in the same transaction, so that look-ups need not count.
"""
