"""Shows that the log is unchanged, and erases from it what must be erased without breaking the chain.

``verify`` reads the whole log and names what differs; ``checkpoints``, ``timestamps`` and ``witnesses`` put the state
of the chain where the operator cannot change it. Commands, ``storage.reads`` and ``crawler.corpus`` call it; the
writer does not.
"""
