"""The commands within ``forbear log``, with their exports opened in DuckDB, pandas and a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from forbear.optout import policy
from forbear.optout.model import Capture, Decision, Preference, Profile, Reason, Stage, Use, Verdict
from forbear.optout.readers.url import parse
from forbear.scripts.__main__ import cli
from forbear.storage.database import writing
from forbear.storage.db.records import (
    CaptureRecord,
    DecisionRecord,
    PageRecord,
    RecordDecision,
    RecordPage,
    new_id,
    now,
)
from forbear.storage.log.crawls import CrawlRecord, begin
from forbear.storage.log.log import write
from forbear.storage.reads import columns

FORMULA = '=HYPERLINK("http://evil.example")'


@pytest.fixture
def database(engine: Engine, database_url: str) -> str:
    """A page that was kept and reserved afterwards, with a query in its URL; and a site whose robots.txt failed."""
    record = CrawlRecord(
        "0.1.0", "ForbearBot", "ForbearBot/0.1.0", "https://operator.example/", Use.TRAIN_AI, Profile.STANDARD, False,
        policy.load(), {},
    )  # fmt: skip

    def decided(url: str, verdict: Verdict, day: int, *reasons: Reason, stage: Stage = Stage.REQUEST) -> RecordDecision:
        robots = CaptureRecord(new_id(), at, None, Capture(f"{parse(url).origin}/robots.txt", 200, (), b"Disallow: /"))
        decision = Decision(verdict, stage, parse(url).href, reasons, (), (), dict.fromkeys(Profile, verdict))
        row = DecisionRecord(new_id(), at + timedelta(days=day), crawl, url, decision, captures=(robots.id,))
        return RecordDecision(row, (robots,))

    at = now()
    with writing(engine) as connection:
        crawl = begin(connection, record, at).id
        url = "https://a.example/p?user=jane"
        kept = decided(url, Verdict.ALLOWED, 0, stage=Stage.PAGE)
        page = PageRecord(kept.decision.id, crawl, url, at, "1.warc.gz", 0, 9, "ab" * 32, "text/html", 9)
        no = Reason("tdmrep", Preference.DISALLOW, FORMULA, "https://a.example/x", "line 1", "1.3(1)(b)")
        failed = Reason("unreachable", Preference.UNKNOWN, "503", "https://b.example/robots.txt", "status", "1.3(1)(a)")
        for job in (
            kept,
            RecordPage(page),
            decided(url, Verdict.EXCLUDED, 1, no),
            decided("https://b.example/", Verdict.DEFERRED, 0, failed),
        ):
            write(connection, [job])
    return database_url


@pytest.fixture
def forbear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str):
    """Runs the program on that database, in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, [*words, "--db", database])
        assert done.exit_code == code, done.output
        return done.stderr if code else done.stdout

    return run


QUESTIONS = [
    (("log", "--verdict", "excluded"), "log", 1),
    (("log", "measures"), "measures", 2),
    (("log", "before-optout"), "before-optout", 1),
    (("log", "before-optout", "--domain", "b.example"), "before-optout", 0),
    (("log", "unreadable"), "unreadable", 1),
    (("log", "disagreements"), "disagreements", 0),
]


@pytest.mark.parametrize(("words", "name", "count"), QUESTIONS)
def test_each_question_in_each_form(forbear, words: tuple[str, ...], name: str, count: int) -> None:
    lines = [json.loads(line) for line in forbear(*words, "--json").splitlines()]
    assert [tuple(line) for line in lines] == [columns.SHAPES[name].names] * count
    rows = list(csv.DictReader(io.StringIO(forbear(*words, "--format", "csv"))))
    assert len(rows) == count
    result = forbear(*words)
    assert ("No rows match." in result) == (count == 0)
    assert all(str(line[key]) in result for line in lines for key in ("host", "measure", "failure") if key in line)


@pytest.mark.parametrize(("words", "name", "count"), QUESTIONS)
def test_exports_open_in_duckdb_pandas_and_a_spreadsheet(
    forbear, tmp_path: Path, words: tuple[str, ...], name: str, count: int
) -> None:
    table = tmp_path / "out.csv"
    table.write_text(forbear(*words, "--format", "csv"), encoding="utf-8", newline="")
    lines = tmp_path / "out.jsonl"
    lines.write_text(forbear(*words, "--json"), encoding="utf-8")
    names = list(columns.SHAPES[name].names)
    for path, read in ((table, "read_csv"), (lines, "read_json"))[: 2 if count else 1]:
        found = duckdb.sql(f"SELECT * FROM {read}('{path}')")
        assert found is not None
        assert (found.columns, len(found.fetchall())) == (names, count)
    frame = pd.read_csv(table)
    assert (list(frame.columns), len(frame)) == (names, count)
    frame.to_excel(tmp_path / "out.xlsx", index=False)
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert sheet is not None
    assert [cell.value for cell in sheet[1]] == names
    assert sheet.max_row == count + 1
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {
        "s",
        "n",
        "inlineStr",
    }  # and no formula ("f")


def test_urls_are_redacted_unless_asked_otherwise(forbear) -> None:
    for form in ("table", "csv", "jsonl"):
        result = forbear("log", "--format", form)
        assert "user=redacted" in result
        assert "jane" not in result
        assert "user=jane" in forbear("log", "--no-redact", "--format", form)
        query = "SELECT url FROM log_pages"
        assert "jane" not in forbear("log", "sql", query, "--format", form)
        assert "user=jane" in forbear("log", "sql", query, "--format", form, "--no-redact")


def test_no_cell_is_a_formula(forbear) -> None:
    assert json.loads(forbear("log", "sql", "--json", "SELECT quote FROM log_reasons WHERE protocol = 'tdmrep'")) == {
        "quote": FORMULA
    }
    [_, row] = csv.reader(
        io.StringIO(forbear("log", "sql", "--format", "csv", "SELECT quote FROM log_reasons WHERE protocol = 'tdmrep'"))
    )
    assert row == [f"'{FORMULA}"]


def test_sql(forbear) -> None:
    assert forbear("log", "sql", "SELECT count(*) AS n FROM log_decisions").split() == ["n", "3"]
    assert forbear("log", "sql", "--format", "csv", "SELECT verdict, count(*) FROM log_decisions GROUP BY 1 ORDER BY 1")
    assert "The query failed" in forbear("log", "sql", "DELETE FROM decisions", code=4)
    assert "log_reasons: One row for each reason" in forbear("log", "sql", "--views")
    assert "list the views with --views" in forbear("log", "sql", code=2)


def test_the_size_of_evidence(forbear) -> None:
    found: dict[str, Any] = json.loads(forbear("log", "size", "--json"))
    assert found | {"packed": 0} == {
        "captures": 3, "received": 33, "contents": 1, "size": 11, "packed": 0, "outside": 0,
    }  # fmt: skip
    assert "33 bytes" in forbear("log", "size")


def test_crawls_that_are_not_there(forbear) -> None:
    assert "There is no crawl 'x'" in forbear("log", "changes", "x", "y", code=4)


def test_schemas_are_printed() -> None:
    for name in (*columns.SHAPES, "datasette"):
        done = CliRunner().invoke(cli, ["log", "columns", name])
        assert json.loads(done.stdout)["title"]


def test_the_table_of_log_in_the_settings_sets_both(forbear, tmp_path: Path) -> None:
    (tmp_path / "forbear.toml").write_text('[log]\nverdict = "excluded"\n[log.size]\njson = true\n')
    assert len(forbear("log", "--json").splitlines()) == 1
    assert json.loads(forbear("log", "size"))["captures"] == 3
