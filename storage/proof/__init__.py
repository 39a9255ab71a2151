"""Shows that the log is unchanged, and erases from it what must be erased without breaking the chain.

``verify`` reads the whole log and names what differs; ``checkpoints``, ``timestamps`` and ``witnesses`` keep the
state of the chain where an operator cannot change it. Commands and the portal call it; no writer does, except to
sign.
"""
