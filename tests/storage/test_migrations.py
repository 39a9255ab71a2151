"""Revisions of the schema: what they create is what the code declares, and an upgrade loses nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, ForeignKeyConstraint, create_engine, inspect, text

from forbear.optout import __version__
from forbear.optout.model import Verdict
from forbear.storage import migrations
from forbear.storage.database import OutOfDate, StorageError, open_database, reading, upgrade, writing
from forbear.storage.db import account_tables, portal_tables, sum_tables, views  # noqa: F401 their tables are in it
from forbear.storage.db.partitions import NAME
from forbear.storage.db.records import now
from forbear.storage.db.schema import metadata
from forbear.storage.proof.verify import Report, verify

Write = Callable[..., list[int]]

NEXT = '''
"""Adds a table."""

import sqlalchemy as sa
from alembic import op

revision = "{after}"
down_revision = "{head}"


def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    if op.get_bind().dialect.name == "postgresql":  # which refuses this while a view shows the column
        op.alter_column("decisions", "engine", type_=sa.String())
    {then}
'''


def catalogue(connection: Connection) -> set[str]:
    """How the database itself words its tables (SQLite), or columns, comments, indexes and constraints (PostgreSQL)."""
    if connection.dialect.name == "sqlite":
        asked = "SELECT sql FROM sqlite_master WHERE tbl_name <> 'alembic_version' AND sql IS NOT NULL"
        lines = [sorted(line.strip(" \t,") for line in sql.split("\n")) for sql in connection.scalars(text(asked))]
        return {"\n".join(some) for some in lines}  # the order of a table's constraints means nothing
    asked = """SELECT pg_get_indexdef(i.indexrelid) AS sql FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version' AND NOT c.relispartition
        UNION SELECT conname || pg_get_constraintdef(k.oid) FROM pg_constraint AS k LEFT JOIN pg_class AS c
        ON c.oid = k.conrelid WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
        AND conparentid = 0 AND NOT c.relispartition
        UNION SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, attnotnull,
        col_description(attrelid, attnum), obj_description(attrelid)) FROM pg_attribute JOIN pg_class AS c
        ON c.oid = attrelid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND c.relname NOT LIKE 'alembic%' AND NOT c.relispartition AND attnum > 0 AND NOT attisdropped"""
    return set(connection.scalars(text(asked)))


def of_a_part(thing: Any) -> bool:
    """Whether it is a part of the decisions on PostgreSQL, or points to one: that is the database's own affair."""
    name = (
        thing.elements[0].target_fullname.partition(".")[0] if isinstance(thing, ForeignKeyConstraint) else thing.name
    )
    return bool(NAME.fullmatch(name or ""))


def test_revisions_create_what_the_code_declares(new_database_url: str) -> None:
    engine = open_database(new_database_url)
    with writing(engine) as connection:
        options = {"compare_type": True, "include_object": lambda thing, *_: not of_a_part(thing)}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        assert set(inspect(connection).get_view_names()) == set(views.VIEWS)
        views.drop(connection)
        migrated = catalogue(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert catalogue(connection) == migrated
    engine.dispose()


def test_a_revision_that_a_release_has_is_frozen() -> None:
    root = Path(__file__).parents[2]
    is_unreleased = "## [0.1.0] - unreleased" in (root / "CHANGELOG.md").read_text()
    first = (root / "storage/migrations/versions/0001_initial.py").read_text()
    assert (is_unreleased and migrations.revisions() == ("0001",)) or "metadata" not in first, (
        "0.1.0 is released, or a revision follows: write out storage/migrations/versions/0001_initial.py as its"
        " docstring says, so that changes of the schema no longer change it"
    )


@pytest.fixture
def add_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Puts a revision behind those that there are, whose last statement is given; returns its name."""

    def add(then: str) -> str:
        head = migrations.revisions()[-1]
        after = f"{int(head) + 1:04}"
        folder = tmp_path / after
        shutil.copytree(str(migrations.FOLDER), folder)
        (folder / "versions" / f"{after}_next.py").write_text(NEXT.format(head=head, after=after, then=then))
        monkeypatch.setattr(migrations, "FOLDER", folder)
        return after

    return add


def test_an_older_database_is_upgraded_and_loses_nothing(
    engine: Engine, database_url: str, make: Any, write: Write, add_revision: Callable[[str], str]
) -> None:
    write(make.decided("https://a.example/no", Verdict.EXCLUDED, at=now()))
    [head] = migrations.revisions()
    assert upgrade(database_url) == (head, head)
    after = add_revision("pass")
    with pytest.raises(OutOfDate, match=r"run `forbear db upgrade --db "):
        open_database(database_url)
    assert upgrade(database_url) == (head, after)
    again = open_database(database_url)
    with reading(again) as connection:
        assert connection.execute(text("SELECT * FROM later")).all() == []
        assert connection.execute(text("SELECT url, verdict FROM log_decisions")).all() == [
            ("https://a.example/no", "excluded")
        ]
        assert list(verify(connection, Report())) == []
    again.dispose()


def test_an_upgrade_that_fails_changes_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch, add_revision: Callable[[str], str]
) -> None:
    before = migrations.FOLDER
    add_revision('op.execute("SELECT * FROM nowhere")')
    with pytest.raises(StorageError, match="nowhere"):
        upgrade(database_url)
    monkeypatch.setattr(migrations, "FOLDER", before)
    engine = open_database(database_url)
    assert not inspect(engine).has_table("later")
    assert set(inspect(engine).get_view_names()) == set(views.VIEWS)
    engine.dispose()


@pytest.mark.parametrize("revision", ["0020", "9999"])
def test_a_database_of_an_unknown_schema_is_not_touched(database_url: str, revision: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        before = catalogue(connection)
    for action in (open_database, upgrade):
        with pytest.raises(StorageError) as caught:
            action(database_url)
        shown = engine.url.render_as_string()
        assert str(caught.value) == (
            f"{shown} has schema {revision}, which Forbear {__version__} does not know: install the version"
            " that created it, or name another database with --db."
        )
    with engine.connect() as connection:
        assert catalogue(connection) == before
    engine.dispose()
