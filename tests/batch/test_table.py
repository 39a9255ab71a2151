"""Tables of URLs: decided about as the URLs are one by one, in DuckDB too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forbear.batch import table as tables
from forbear.batch.rules import Snapshot
from forbear.batch.table import BadTable, decide_table
from forbear.optout.case import reason_to_json
from tests.batch.hosts import AT, answered, asked_of, write

ROBOTS = "User-agent: *\nDisallow: /no\nContent-Usage: /quiet train-ai=n\n"
URLS = [
    "https://a.example/yes",
    "https://b.example/",
    "https://a.example/no/1",
    None,
    "https://a.example/quiet",
    "mailto:a@a.example",
    "HTTPS://A.example:443/no/2",
    "https://a.example/yes?b",
]


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    said = asked_of("https://a.example/", answered("https://a.example/robots.txt", ROBOTS))
    with Snapshot(write(tmp_path / "hosts.parquet", said), at=AT) as snapshot:
        yield snapshot


def rows() -> pa.Table:
    return pa.table({"id": range(len(URLS)), "url": URLS}).replace_schema_metadata({"owner": "us"})


@pytest.mark.parametrize("form", ["table", "reader", "batches", "dictionary", "large", "one by one"])
def test_each_row_has_the_decision_about_its_url(
    snapshot: Snapshot, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rows()
    if form == "dictionary":
        table = table.set_column(1, "url", table["url"].dictionary_encode())
    if form == "large":
        table = table.set_column(1, "url", table["url"].cast(pa.large_string()))
    if form == "one by one":
        monkeypatch.setattr(tables, "ROWS", 1)
    given = {"reader": table.to_reader(3), "batches": iter(table.to_batches(3))}.get(form, table)
    found = decide_table(given, snapshot).read_all()
    assert found.select(["id", "url"]).equals(table.select(["id", "url"]))
    assert found.schema.metadata[b"owner"] == b"us"
    verdicts = found["verdict"].to_pylist()
    assert verdicts == ["allowed", "deferred", "excluded", "unusable", "excluded", "unusable", "excluded", "allowed"]
    assert found["quote"].to_pylist()[2:5] == ["Disallow: /no", None, "Content-Usage: /quiet train-ai=n"]
    assert found["protocol"].to_pylist() == [None, "unreachable", "robots", None, "aipref", None, "robots", None]
    for row in found.to_pylist():
        if row["verdict"] not in ("allowed", "unusable"):
            decision = snapshot.decide(row["url"])
            assert row["verdict"] == decision.verdict
            assert json.loads(row["reason"]) == [reason_to_json(reason) for reason in decision.reasons]
        else:
            assert row["reason"] is None
    for name in tables.DECIDED.names:
        assert pa.types.is_dictionary(found.schema.field(name).type)


def test_duckdb_asks_it_with_sql(snapshot: Snapshot, tmp_path: Path) -> None:
    pq.write_table(rows(), tmp_path / "rows.parquet")
    with duckdb.connect() as connection, connection.cursor() as other:
        given = other.sql(f"SELECT * FROM '{tmp_path}/rows.parquet'")
        connection.register("decided", decide_table(given, snapshot))
        connection.sql(f"COPY (SELECT * FROM decided) TO '{tmp_path}/decided.parquet'")
        counts = connection.sql(f"SELECT verdict, count(*) FROM '{tmp_path}/decided.parquet' GROUP BY 1 ORDER BY 1")
        assert counts.fetchall() == [("allowed", 2), ("deferred", 1), ("excluded", 3), ("unusable", 2)]
        connection.register("again", decide_table(rows(), snapshot))
        words = "SELECT id, reason->>'$[0].where' FROM again WHERE verdict = 'excluded' ORDER BY id"
        assert connection.sql(words).fetchall() == [(2, "line 2"), (4, "line 3"), (6, "line 2")]


def test_a_table_that_cannot_be_decided_about_is_refused_with_a_sentence(snapshot: Snapshot) -> None:
    for table, column, words in (
        (rows(), "uri", "has no column 'uri'. Choose one of id, url"),
        (rows(), "id", "has the type int64: URLs have to be text"),
        (rows().append_column("verdict", [URLS]), "url", "already has a column 'verdict'"),
        ([], "url", "has no record batch"),
    ):
        with pytest.raises(BadTable, match=words):
            decide_table(table, snapshot, column)


def test_an_empty_table_stays_empty(snapshot: Snapshot) -> None:
    found = decide_table(rows().slice(0, 0), snapshot).read_all()
    assert found.num_rows == 0
    assert found.schema.names == ["id", "url", *tables.DECIDED.names]
