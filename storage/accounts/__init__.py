"""Keeps the people who use the portal: accounts, sessions, subscriptions, proofs of domain control, queued mail.

Only portal/ and ``forbear user`` call it. Secrets are stored as digests or encrypted.
"""
