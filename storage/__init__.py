"""Keeps the audit log, the evidence behind it, and the frontier of each crawl."""
