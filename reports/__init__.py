"""Tells: the documents that the law and the Code ask for, from what the log knows and what the operator says."""
