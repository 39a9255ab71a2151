"""Keeps the people who use the portal: accounts, sessions, subscriptions, proofs of domain control, queued mail.

The portal, ``forbear user`` and ``forbear complaints`` call it. Secrets are stored as digests or encrypted.
"""
