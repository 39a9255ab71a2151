"""``forbear filter``: applies the decision to data that exists, and writes it again without what is reserved.

Inputs are WARC, Parquet, JSON Lines, URL lists, image folders and webdataset shards. ``run.Filter`` is the way in.
"""
