"""Tables filtered by a snapshot of hosts: the same decisions as row by row, in the same log, a row for each answer."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forbear.batch.snapshot import SnapshotFile
from forbear.crawler.crawl.config import Network, Store, Terms
from forbear.crawler.demo.demo_server import Reply, Web
from forbear.crawler.filter import columnar
from forbear.crawler.filter import run as filters
from forbear.crawler.filter.config import FilterConfig, FilterResult
from forbear.optout import policy as policies
from forbear.scripts.filter import OFFLINE_CONTACT
from tests.crawler.crawls import Crawler, plain
from tests.invariants import check_laws
from tests.prefork import Done

SITES = {
    "yes.example": {},
    "no.example": {"/robots.txt": plain("User-agent: *\nDisallow: /no\nDisallow: /never\n")},
    "tdm.example": {"/.well-known/tdmrep.json": plain('[{"location": "/*", "tdm-reservation": 1}]')},
    "busy.example": {"/robots.txt": Reply(status=503)},
}
PATHS = ("/", "/no/{}", "/never/{}", "/a?{}")


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(SITES) as web:
        yield web


def table(path: Path, times: int) -> list[dict[str, Any]]:
    urls: list[str | None] = [
        f"http://{host}{path.format(number)}" for number in range(times) for host in SITES for path in PATHS
    ]
    urls += ["http://unknown.example/", "mailto:a@a.example", None]
    rows = [{"id": number, "url": url, "text": f"t{number}"} for number, url in enumerate(urls)]
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata({"owner": "us"}), path, row_group_size=50)
    return rows


def run(crawler: Crawler, *inputs: Path, code: int = 0, **options: Any) -> Done:
    crawler.program = "filter"
    given = {"retries": None, "contact": None, "offline": True, "grouped": True, **options}
    return crawler.run(None, *map(str, inputs), code=code, **given)


@pytest.fixture
def hosts(crawler: Crawler, tmp_path: Path, web: Web) -> Path:
    """A snapshot of SITES, from a log of its own."""
    known = tmp_path / "known.txt"
    known.write_text("".join(f"http://{host}/\n" for host in SITES))
    crawler.program = "filter"
    database = f"sqlite:///{tmp_path}/other.db"
    crawler.run(web, str(known), retries=None, db=database, out=tmp_path / "other")
    done = crawler.command("export", "hosts", "--db", database, "-o", str(tmp_path / "hosts.parquet"))
    assert done.code == 0, done
    return tmp_path / "hosts.parquet"


def test_each_row_goes_as_it_would_row_by_row(crawler: Crawler, tmp_path: Path, hosts: Path) -> None:
    rows = table(tmp_path / "rows.parquet", 20)
    told = run(crawler, tmp_path / "rows.parquet", snapshot=hosts).summary
    groups = crawler.rows("SELECT count(*) FROM decisions")
    row_by_row = tmp_path / "row by row"
    each = run(crawler, tmp_path / "rows.parquet", snapshot=hosts, grouped=None, out=row_by_row).summary
    assert told["counts"] == each["counts"] == {"allowed": 120, "excluded": 120, "deferred": 81, "unusable": 2}
    assert told["by_protocol"] == each["by_protocol"]
    kept = pq.read_table(crawler.out / "kept" / "rows.parquet")
    assert kept.equals(pq.read_table(row_by_row / "kept" / "rows.parquet"))
    assert kept.schema.metadata[b"owner"] == b"us"
    left = pq.read_table(crawler.out / "reasons" / "rows.parquet")
    other = pq.read_table(row_by_row / "reasons" / "rows.parquet.parquet")
    assert left.drop(["decision"]).equals(other.drop(["decision"]))
    assert groups == [(7,)], "one for each host, and two more rules of one of them"
    logged = {row[0]: row[1:] for row in crawler.rows("SELECT id, host, verdict FROM decisions")}
    for row in left.to_pylist():
        if row["verdict"] != "unusable":
            assert logged[row["decision"]] == (row["host"], row["verdict"])
    by_id = {row["id"]: row for row in rows}
    assert all(row == by_id[row["id"]] for row in kept.to_pylist())
    check_laws(crawler.database, tmp_path / "none")
    again = crawler.command("replay", "--db", crawler.database, "--json")
    assert again.code == 0, again
    assert run(crawler, tmp_path / "rows.parquet", snapshot=hosts).summary["inputs"]["rows.parquet"]["before"]
    assert "other settings" in run(crawler, tmp_path / "rows.parquet", snapshot=hosts, agent="Other", code=2).stderr


def run_here(crawler: Crawler, hosts: Path, folder: Path, dies_at: int | None = None) -> dict[str, int] | None:
    """The counts of a run in a process of its own; None if it was killed, after so many batches were in the log."""
    config = FilterConfig(
        Store(crawler.out, crawler.database),
        Terms(OFFLINE_CONTACT),
        Network(),
        inputs=(folder / "rows.parquet",),
        offline=True,
        snapshot=(hosts,),
        grouped=True,
    )
    batches = count()

    def watch(_done: FilterResult) -> None:
        if next(batches) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        (folder / "counts").write_text(json.dumps(filters.run(config, watch).total))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == (0 if dies_at is None else -signal.SIGKILL)
    found: dict[str, int] | None = json.loads((folder / "counts").read_text()) if dies_at is None else None
    return found


def test_killed_it_goes_on_with_the_part_it_was_at(
    crawler: Crawler, tmp_path: Path, hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(tmp_path / "rows.parquet", 60)
    monkeypatch.setattr(columnar, "ROWS", 100)
    expected = {"allowed": 360, "excluded": 360, "deferred": 241, "unusable": 2}
    kept, reasons = (crawler.out / folder / "rows.parquet" for folder in ("kept", "reasons"))
    assert run_here(crawler, hosts, tmp_path, dies_at=0) is None
    assert run_here(crawler, hosts, tmp_path, dies_at=3) is None
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir() if path.name.startswith("part")}
    assert len(before) == 3
    assert crawler.rows("SELECT count(*) FROM decisions") == [(6,)]
    assert run_here(crawler, hosts, tmp_path) == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert crawler.rows("SELECT count(*), count(DISTINCT crawl) FROM decisions") == [(7, 1)]
    assert sorted(path.name for path in kept.iterdir()) == [f"part-{number:05}.parquet" for number in range(10)]
    assert pq.read_table(reasons)["where"].to_pylist()[-3:] == ["row 960", "row 961", "row 962"]
    assert Counter(pq.read_table(kept)["id"].to_pylist()).most_common(1)[0][1] == 1


def test_what_it_cannot_take_is_reported_in_a_sentence(crawler: Crawler, tmp_path: Path, hosts: Path) -> None:
    table(tmp_path / "rows.parquet", 1)
    (tmp_path / "pages.txt").write_text("http://yes.example/\n")
    (tmp_path / "bad.parquet").write_bytes(b"no")
    pq.write_table(pa.table({"url": [1]}), tmp_path / "numbers.parquet")
    rows = tmp_path / "rows.parquet"
    for path, options, words in (
        (tmp_path / "pages.txt", {}, "--grouped takes only those"),
        (tmp_path / "numbers.parquet", {}, "has int64, not text"),
        (rows, {"url_column": "uri"}, "has no column 'uri'"),
        (rows, {"offline": False, "contact": "mailto:a@a.example"}, "--grouped needs --offline"),
        (rows, {"snapshot": None}, "--grouped needs --offline"),
        (rows, {"snapshot": tmp_path / "bad.parquet"}, "cannot be read as Parquet"),
        (rows, {"snapshot": rows}, "make one with `forbear export hosts`"),
    ):
        told = run(crawler, path, code=2, out=tmp_path / "out", **{"snapshot": hosts, **options}).stderr
        assert words in told
        assert told.strip().splitlines()[-1].endswith(".")


@pytest.mark.parametrize("each", [True, None])
def test_a_snapshot_that_is_damaged_within_is_reported_in_a_sentence(
    crawler: Crawler, tmp_path: Path, hosts: Path, each: bool | None
) -> None:
    table(tmp_path / "rows.parquet", 1)
    octets = bytearray(hosts.read_bytes())
    body = pq.read_metadata(hosts).row_group(0).column(9)
    start, size = body.data_page_offset, body.total_compressed_size
    octets[start : start + size] = bytes(size)
    hosts.write_bytes(octets)
    told = run(crawler, tmp_path / "rows.parquet", snapshot=hosts, grouped=each, code=2).stderr
    assert "is damaged" in told.strip().splitlines()[-1]
    assert not [path for path in (crawler.out / "kept").glob("**/*.parquet") if path.is_file()]


@pytest.mark.parametrize("each", [True, None])
def test_what_is_not_named_is_taken_from_the_snapshot(
    crawler: Crawler, tmp_path: Path, hosts: Path, each: bool | None
) -> None:
    blocks, policy = tmp_path / "blocks.csv", tmp_path / "policy.toml"
    blocks.write_text("effect,match,by,at,why,until,lifts\nblock,yes.example,legal,2026-01-01,a letter,,\n")
    policy.write_text("[protocols.tdmrep]\nlicensable = false\n")
    words = ("--operator-list", str(blocks), "--policy", str(policy), "--db", f"sqlite:///{tmp_path}/other.db")
    assert crawler.command("export", "hosts", "-o", str(hosts), *words).code == 0
    table(tmp_path / "rows.parquet", 1)
    run(crawler, tmp_path / "rows.parquet", snapshot=hosts, grouped=each)
    because = crawler.reasons()
    assert {protocol for protocol, _ in because["http://yes.example/"]} == {"operator"}
    [(used,)] = crawler.rows("SELECT DISTINCT policy FROM decisions")
    assert used == SnapshotFile(hosts).about.policy
    assert used != policies.load().digest


def test_what_the_snapshot_has_is_not_asked_for(crawler: Crawler, tmp_path: Path, hosts: Path, web: Web) -> None:
    listed = tmp_path / "pages.txt"
    listed.write_text("".join(f"http://{host}/\n" for host in (*SITES, "unknown.example")))
    before = len(web.hits)
    crawler.program = "filter"
    told = crawler.run(web, str(listed), retries=None, snapshot=hosts).summary
    assert told["counts"] == {"allowed": 3, "excluded": 1, "deferred": 1}
    assert {hit.host for hit in web.hits[before:]} <= {"unknown.example", "busy.example"}, "which failed, and is due"
