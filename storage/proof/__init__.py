"""Shows that the log is unchanged, and erases from it what must be erased without breaking the chain.

``verify`` reads the whole log and names what differs; ``checkpoints``, ``timestamps`` and ``witnesses`` put the state
of the chain where the operator cannot change it. Commands and the portal call it; writers only sign with it.
"""
