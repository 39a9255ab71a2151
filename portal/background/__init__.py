"""Background jobs: publish changes of the card, send queued mail, expire old records.

``app`` starts it once for each process.
"""
