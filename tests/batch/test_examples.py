"""The examples run as they are written."""

from __future__ import annotations

import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.batch.hosts import answered, asked_of, write

EXAMPLES = Path(__file__).parents[2] / "examples" / "batch"
URLS = ["https://a.example/yes", "https://a.example/no", "https://b.example/", None]


@pytest.fixture
def hosts(tmp_path: Path) -> str:
    said = asked_of("https://a.example/", answered("https://a.example/robots.txt", "User-agent: *\nDisallow: /no\n"))
    return str(write(tmp_path / "hosts.parquet", said, at=datetime.now(UTC)))


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_a_table_in_duckdb(
    tmp_path: Path, hosts: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"id": range(4), "url": URLS}), tmp_path / "rows.parquet")
    run(monkeypatch, "table.py", hosts, str(tmp_path / "rows.parquet"), str(tmp_path / "kept.parquet"))
    assert pq.read_table(tmp_path / "kept.parquet").to_pylist() == [{"id": 0, "url": URLS[0]}]
    assert capsys.readouterr().out.splitlines()[1:] == [
        "        1  deferred  unreachable  unasked",
        "        1  excluded  robots  Disallow: /no",
        "        1  unusable",
    ]


def test_the_pages_of_a_crawl_in_datatrove(tmp_path: Path, hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pages").mkdir()
    urls = [URLS[0], *URLS]
    rows = [
        {"decision_id": f"{number}", "url": url, "text": "words", "language": "en" if number else None}
        for number, url in enumerate(urls)
    ]
    pages = pa.Table.from_pylist(rows)
    pq.write_table(pages, tmp_path / "pages" / "1.parquet")
    run(monkeypatch, "pipeline.py", hosts, str(tmp_path / "pages"), str(tmp_path / "out"))
    assert pq.read_table(tmp_path / "out" / "kept") == pages.slice(0, 2)
    assert pq.read_table(tmp_path / "out" / "reasons")["id"].to_pylist() == ["2", "3", "4"]
