from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from forbear.storage.database import StorageError, open_database, upgrade
from forbear.storage.db import account_tables, portal_tables, sum_tables  # noqa: F401 their tables are in the schema
from forbear.storage.db.schema import metadata


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


def test_a_database_of_another_program_is_not_touched(new_database_url: str) -> None:
    engine = create_engine(new_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    engine.dispose()
    for action in (open_database, upgrade):
        with pytest.raises(StorageError, match="another program"):
            action(new_database_url)


UNUSABLE = [
    ("nonsense", "is not a database URL"),
    ("mysql://somewhere/db", "neither sqlite"),
    ("sqlite://", "must be a file"),
    ("sqlite:///:memory:", "must be a file"),
    ("sqlite:////nowhere/at/all/forbear.db", "create it first"),
    ("sqlite:////proc/forbear.db", "unable to open database file"),
    ("postgresql+psycopg://someone:secret@127.0.0.1:1/forbear", "Connection refused"),
    ("postgresql://someone:secret@/forbear?host=/nowhere", "cannot be used"),
]


@pytest.mark.parametrize(("url", "sentence"), UNUSABLE)
def test_what_cannot_be_opened_is_reported_in_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as caught:
        open_database(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and not a database at all.\n" * 100)
    with pytest.raises(StorageError, match="not a database"):
        open_database(f"sqlite:///{path}")
    assert path.read_text().startswith("These are notes")
