"""The tables of the database, and what SQLite and PostgreSQL do differently.

Holds the schema, its column types, roles, partitions and views, and the records that one transaction writes. Every
other package of storage builds on it; other rooms take the schema's records and errors, but no tables.
"""
