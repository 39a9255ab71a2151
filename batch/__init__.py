"""Decides about whole data sets from a snapshot of host rules: one file, no database, no network."""
