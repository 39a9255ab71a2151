"""Decides about whole data sets from a snapshot of host rules, which is one file: no database, no network."""
