"""The Merkle tree over the rows of the log (RFC 9162), and the text of signed checkpoints.

Each row is hashed as a leaf in the transaction that writes it. Writers call ``chain.append`` and
``chain.append_event``. Nothing here knows what a decision means.
"""
