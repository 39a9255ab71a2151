"""Reads WARC files that others wrote, with their damage: records, stored answers, compressed members.

``filter`` calls it. Nothing is decided here.
"""
