"""The people who use the portal: accounts, sessions, subscriptions, proofs of control over a site, queued mail.

Only portal/ and ``forbear user`` call it. Secrets are stored as digests or encrypted.
"""
