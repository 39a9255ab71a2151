"""Readers of formats that more than one protocol uses: robots.txt, HTML, XMP, C2PA, RSL and others.

Each takes bytes or a capture and returns values with their places in the source. Protocols and advice call them;
what a statement means for a use, they do not know.
"""
