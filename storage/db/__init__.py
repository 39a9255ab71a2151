"""Defines the tables of the database and hides what SQLite and PostgreSQL do differently.

Holds the schema, its column types, roles, partitions and views, and the records that one transaction writes. Every
other package of storage builds on it; other rooms use its records, errors and host names; commands also its
views and roles. No other room uses its tables.
"""
