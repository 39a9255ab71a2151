"""What the portal does without being asked: publishes changes of the card, sends queued mail, expires records.

``app`` starts it once for each process.
"""
