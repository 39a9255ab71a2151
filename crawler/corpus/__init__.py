"""Writes, reads, describes and repairs the corpus: WARC files, Parquet tables, versions and cards.

``writer.Corpus`` is the way in for kept pages. ``remove_pages`` takes pages out after the log says that they leave.
"""
