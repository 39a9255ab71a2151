"""Answers questions about the log: queries, look-ups, figures, exports, bundles and replays.

Nothing here changes a row of the log, except ``removals``, which records that pages leave the corpus. Commands, the
portal, reports and the crawler call it.
"""
