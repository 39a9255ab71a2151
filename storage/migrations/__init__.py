"""Creates the database and brings an older one to the present schema, with Alembic.

``storage.database`` calls it when a database is created or upgraded. Nothing else does.
"""
