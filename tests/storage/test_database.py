from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, ForeignKeyConstraint, create_engine, inspect, text

from forbear.storage.database import StorageError, open_database, upgrade, writing
from forbear.storage.db import account_tables, portal_tables, sum_tables  # noqa: F401 their tables are in the schema
from forbear.storage.db.partitions import NAME
from forbear.storage.db.schema import metadata


def indexes_and_constraints(connection: Connection) -> set[str]:
    """How the database itself words its tables (SQLite) or indexes and constraints (PostgreSQL)."""
    if connection.dialect.name == "sqlite":
        asked = "SELECT sql FROM sqlite_master WHERE tbl_name <> 'alembic_version' AND sql IS NOT NULL"
        # A column that was added later stands behind the last one, on its line.
        parts = (re.split(r"\n|(?<=\*/), ", sql) for sql in connection.scalars(text(asked)))
        lines = [sorted(filter(None, (line.strip(" \t,") for line in some))) for some in parts]
        return {"\n".join(some) for some in lines}  # in which order a table's constraints stand means nothing
    asked = """SELECT pg_get_indexdef(i.indexrelid) AS sql FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version' AND NOT c.relispartition
        UNION SELECT conname || pg_get_constraintdef(k.oid) FROM pg_constraint AS k LEFT JOIN pg_class AS c
        ON c.oid = k.conrelid WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
        AND conparentid = 0 AND NOT c.relispartition"""
    return set(connection.scalars(text(asked)))


def of_a_part(thing: Any) -> bool:
    """Whether it is a part of the decisions on PostgreSQL, or points to one: that is the database's own affair."""
    name = (
        thing.elements[0].target_fullname.partition(".")[0] if isinstance(thing, ForeignKeyConstraint) else thing.name
    )
    return bool(NAME.fullmatch(name or ""))


def test_migrations_and_schema_agree(new_database_url: str) -> None:
    engine = open_database(new_database_url)
    with writing(engine) as connection:
        options = {"compare_type": True, "include_object": lambda thing, *_: not of_a_part(thing)}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        migrated = indexes_and_constraints(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert indexes_and_constraints(connection) == migrated
    engine.dispose()


def test_every_table_and_column_is_explained() -> None:
    unexplained = [table.name for table in metadata.sorted_tables if not table.comment]
    unexplained += [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if not column.comment
    ]
    assert unexplained == []


def test_the_database_itself_explains_every_column(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if connection.dialect.name == "sqlite":
                asked = text("SELECT sql FROM sqlite_master WHERE name = :name")
                shown = connection.execute(asked, {"name": table.name}).scalar_one()
            else:
                shown = " ".join(str(column["comment"]) for column in inspect(connection).get_columns(table.name))
                shown += str(inspect(connection).get_table_comment(table.name)["text"])
            for comment in (table.comment, *(column.comment for column in table.columns)):
                assert str(comment) in shown
    engine.dispose()


def test_sqlite_is_opened_for_many_readers_and_one_writer(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    with engine.connect() as connection:
        found: dict[str, Any] = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_new_database_is_made_only_when_wanted(new_database_url: str) -> None:
    with pytest.raises(StorageError, match="or crawl first"):
        open_database(new_database_url, create=False)
    open_database(new_database_url).dispose()
    open_database(new_database_url, create=False).dispose()


def test_a_newer_database_is_not_touched(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for action in (open_database, upgrade):
        with pytest.raises(StorageError, match="newer Forbear"):
            action(database_url)


def test_a_database_of_another_program_is_not_touched(new_database_url: str) -> None:
    engine = create_engine(new_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    engine.dispose()
    for action in (open_database, upgrade):
        with pytest.raises(StorageError, match="another program"):
            action(new_database_url)


UNUSABLE = [
    ("nonsense", "is no database URL"),
    ("mysql://somewhere/db", "neither sqlite"),
    ("sqlite://", "must be a file"),
    ("sqlite:///:memory:", "must be a file"),
    ("sqlite:////nowhere/at/all/forbear.db", "create it first"),
    ("sqlite:////proc/forbear.db", "unable to open database file"),
    ("postgresql+psycopg://someone:secret@127.0.0.1:1/forbear", "Connection refused"),
    ("postgresql://someone:secret@/forbear?host=/nowhere", "cannot be used"),
]


@pytest.mark.parametrize(("url", "sentence"), UNUSABLE)
def test_what_cannot_be_opened_is_said_in_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as caught:
        open_database(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and not a database at all.\n" * 100)
    with pytest.raises(StorageError, match="not a database"):
        open_database(f"sqlite:///{path}")
    assert path.read_text().startswith("These are notes")
