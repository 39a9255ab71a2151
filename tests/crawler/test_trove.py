"""datatrove reads what a crawl wrote, and drops what is reserved by now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pylibmagic  # noqa: F401 - brings libmagic for WarcReader where the system has none
import pytest
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader, ParquetReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter

from forbear.batch.trove import RightsFilter
from forbear.crawler.demo.demo_server import Reply, Web
from tests.crawler.crawls import Crawler, page, plain

SITES = {
    "yes.example": {"/": page("/1", words="yes, the first page"), "/1": page(words="yes, the second page")},
    "soon.example": {"/": page("/no", words="soon, the first page"), "/no": page(words="soon, the second page")},
    "gone.example": {"/": page(words="gone, the only page")},
}


@pytest.fixture
def soon() -> dict[str, Reply]:
    """What soon.example answers, which a test may change."""
    return dict(SITES["soon.example"])


@pytest.fixture
def web(soon: dict[str, Reply]) -> Iterator[Web]:
    with Web({**SITES, "soon.example": soon}) as web:
        yield web


def pipeline(folder: Path, reader: Any, step: RightsFilter) -> list[dict[str, Any]]:
    LocalPipelineExecutor(
        [reader, step, JsonlWriter(str(folder / "kept"), compression=None)],
        workers=1,
        logging_dir=str(folder / "logs"),
    ).run()
    return [json.loads(line) for path in (folder / "kept").iterdir() for line in path.read_text().splitlines()]


def test_pages_that_were_kept_leave_when_their_host_reserves_them(
    crawler: Crawler, tmp_path: Path, web: Web, soon: dict[str, Reply]
) -> None:
    crawler.run(web, *(f"http://{host}/" for host in SITES))
    assert sum(crawler.kept().values()) == 5
    soon["/robots.txt"] = plain("User-agent: *\nDisallow: /no\n")
    blocks = tmp_path / "blocks.csv"
    blocks.write_text("effect,match,by,at,why,until,lifts\nblock,gone.example,legal,2026-01-01,a letter,,\n")
    crawler.change(
        "UPDATE captures SET expires_at = fetched_at WHERE expires_at IS NOT NULL AND url LIKE 'http://soon.%'"
    )
    listed = tmp_path / "pages.txt"
    listed.write_text("http://soon.example/\n")
    crawler.program = "filter"
    crawler.run(web, str(listed), retries=None, out=tmp_path / "asked again")
    hosts = str(tmp_path / "hosts.parquet")
    words = ("export", "hosts", "--db", crawler.database, "-o", hosts, "--operator-list", str(blocks))
    assert crawler.command(*words).code == 0
    left = {"http://soon.example/no": "excluded", "http://gone.example/": "excluded"}
    stays = {"http://yes.example/", "http://yes.example/1", "http://soon.example/"}

    step = RightsFilter(hosts, reasons=str(tmp_path / "warc" / "reasons"), markup=True)
    kept = pipeline(tmp_path / "warc", WarcReader(str(crawler.out / "warc")), step)
    assert {each["metadata"]["url"] for each in kept} == stays
    assert all("page" in each["text"] for each in kept)
    dropped = pq.read_table(tmp_path / "warc" / "reasons").to_pylist()
    assert {row["url"]: row["verdict"] for row in dropped} == left
    assert {json.loads(row["reasons"])[0]["protocol"] for row in dropped} == {"robots", "operator"}

    step = RightsFilter(hosts)
    tables = ParquetReader(str(crawler.out / "pages"), id_key="decision_id", glob_pattern="*.parquet")
    assert {each["metadata"]["url"] for each in pipeline(tmp_path / "tables", tables, step)} == stays
    lines = tmp_path / "lines"
    lines.mkdir()
    rows = [{"text": "a page", "id": url, "url": url} for url in (*stays, *left)]
    (lines / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = pipeline(tmp_path / "jsonl", JsonlReader(str(lines)), RightsFilter(hosts))
    assert {each["metadata"]["url"] for each in found} == stays
