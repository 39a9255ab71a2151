"""Snapshots of a real log: what a crawl was told decides again, without its database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from forbear.batch import snapshot as snapshots
from forbear.batch.rules import Snapshot
from forbear.batch.snapshot import SnapshotFile
from forbear.crawler.corpus.export import export_hosts
from forbear.crawler.demo.demo_server import Reply, Web
from forbear.optout import policy
from forbear.optout.model import Capture, Profile, Use
from forbear.storage.chain import chain
from forbear.storage.database import writing
from forbear.storage.db.records import CaptureRecord, Keep, new_id, now
from forbear.storage.log.crawls import CrawlRecord
from forbear.storage.log.crawls import begin as begin_crawl
from forbear.storage.log.evidence import store
from tests.crawler.crawls import Crawler, moved, plain

SITES = {
    "yes.example": {},
    "no.example": {"/robots.txt": plain("User-agent: *\nDisallow: /no\n")},
    "tdm.example": {"/.well-known/tdmrep.json": plain('[{"location": "/*", "tdm-reservation": 1}]')},
    "busy.example": {"/robots.txt": Reply(status=503)},
    "moved.example": {"/robots.txt": moved("http://no.example/robots.txt")},
    "blocked.example": {},
}
PATHS = ("/", "/no", "/a?b=c")


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(SITES) as web:
        yield web


def test_a_snapshot_decides_as_the_log_it_is_from(crawler: Crawler, tmp_path: Path, web: Web) -> None:
    listed = tmp_path / "pages.txt"
    listed.write_text("".join(f"http://{host}{path}\n" for host in SITES for path in PATHS))
    blocks = tmp_path / "blocks.csv"
    blocks.write_text("effect,match,by,at,why,until,lifts\nblock,blocked.example,legal,2026-01-01,a letter,,\n")
    crawler.program = "filter"
    crawler.run(web, str(listed), retries=None, operator_list=blocks)
    file = tmp_path / "hosts.parquet"
    words = ("export", "hosts", "--db", crawler.database, "-o", str(file), "--operator-list", str(blocks), "--json")
    done = crawler.command(*words)
    assert done.code == 0, done
    about = json.loads(done.stdout)
    assert about["hosts"] == len(SITES) - 1, "who is blocked is not asked"
    [(size,)] = crawler.rows("SELECT count(*) FROM chain")
    assert about["log_size"] == size
    assert about["operator_list"] == hashlib.sha256(blocks.read_bytes()).hexdigest()
    logged = crawler.rows("SELECT id, canonical, verdict FROM decisions ORDER BY canonical")
    because = crawler.reasons()
    crawler.change("UPDATE captures SET expires_at = fetched_at")
    [(at,)] = crawler.rows("SELECT max(at) FROM decisions")
    with Snapshot(file, at=datetime.fromisoformat(str(at))) as snapshot:
        for _, url, verdict in logged:
            decision = snapshot.decide(url)
            assert decision.verdict == verdict
            assert {(reason.protocol, reason.quote) for reason in decision.reasons} == because.get(url, set())
    assert {verdict for _, _, verdict in logged} == {"allowed", "excluded", "deferred"}
    first = file.read_bytes()
    assert (
        "Cannot use /proc/.x.part"
        in crawler.command("export", "hosts", "--db", crawler.database, "-o", "/proc/x").stderr
    )
    missing = crawler.command("export", "hosts", "--db", f"sqlite:///{tmp_path}/none.db", "-o", str(file))
    assert (missing.code, file.read_bytes()) == (4, first)
    assert "There is no database" in missing.stderr


def test_the_newest_answer_of_each_place_is_in_it_and_no_page(engine: Engine, tmp_path: Path) -> None:
    url, at = "https://a.example/robots.txt", now()
    crawl = CrawlRecord("0", "A", "A", "mailto:a@a.example", Use.TRAIN_AI, Profile.STANDARD, False, policy.load(), {})
    records = [
        CaptureRecord(new_id(), at - timedelta(days=3), at - timedelta(days=2), Capture(url, 200, (), b"old")),
        CaptureRecord(new_id(), at, at + timedelta(days=1), Capture(url, 200, (("X", "\u00e9"),), b"new")),
        CaptureRecord(new_id(), at, at + timedelta(days=1), Capture("https://0.example/robots.txt", 404)),
        CaptureRecord(new_id(), at, None, Capture("https://a.example/p", 200, (), b"page"), Keep.QUOTED),
    ]
    with writing(engine) as connection:
        begun = begin_crawl(connection, crawl, at)
        store(connection, {record.id: (begun.id, record, ()) for record in records})
        size = chain.size(connection)
        root = chain.tree(connection, size).root()
    about = export_hosts(engine.url.render_as_string(hide_password=False), tmp_path / "hosts.parquet")
    file = SnapshotFile(tmp_path / "hosts.parquet")
    assert file.about == about
    assert (about.hosts, about.answers, about.log_size, about.log_root) == (2, 2, size, root.hex())
    assert (about.operator_list, about.infringing_list, about.checkpoint) == (None, None, None)
    [known] = file.answers("a.example")
    assert (known.capture.body, known.capture.headers) == (b"new", (("X", "\u00e9"),))
    assert known.id == records[1].id
    assert (known.fetched_at, known.expires_at) == (at, at + timedelta(days=1))
    assert snapshots.parse_time(about.made_at) >= at
    file.close()


def test_an_empty_log_makes_an_empty_snapshot(engine: Engine, tmp_path: Path) -> None:
    about = export_hosts(engine.url.render_as_string(hide_password=False), tmp_path / "hosts.parquet")
    assert (about.hosts, about.log_size) == (0, 0)
    with Snapshot(tmp_path / "hosts.parquet") as snapshot:
        assert snapshot.decide("https://a.example/").reasons[0].quote == "unasked"
