"""``forbear filter``: applies the decision to existing data, and writes it again without what is reserved.

Inputs are WARC, Parquet, URL lists, image folders and webdataset shards. ``run.run`` takes a ``FilterConfig`` and
returns counts. The log covers every item before it is written or left out.
"""
