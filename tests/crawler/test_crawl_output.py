from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.storage.database import open_database, writing
from forbear.storage.db.records import now
from forbear.storage.log import complaints
from tests.crawler.crawls import HTML, Crawler, all_paths, late, page, paths, plain, tree, until, urls

SAME = page(words="The same words under two addresses.")


def test_the_corpus_is_what_other_tools_expect(crawler: Crawler) -> None:
    letter = b'<html lang="cy"><title>Llythyr</title><p>Annwyl gyfaill, diolch am y llythyr.</p>'
    site = {"/": page("/a", "/b", "/c"), "/a": SAME, "/b": SAME, "/c": Reply(letter, headers=HTML)}
    with Web({"www.a.example": site}) as web:
        crawler.run(web, "http://www.a.example/")
    files = sorted((crawler.out / "warc").glob("*.warc.gz"))
    assert files
    subprocess.run([sys.executable, "-m", "warcio.cli", "check", "-v", *files], check=True, capture_output=True)
    responses = {record.rec_headers["WARC-Target-URI"]: record for record in crawler.records("response")}
    [revisit] = crawler.records("revisit")
    assert set(responses) == urls("www.a.example", ["/", "/a", "/c"])
    assert revisit.rec_headers["WARC-Target-URI"] == "http://www.a.example/b"
    assert revisit.rec_headers["WARC-Refers-To-Target-URI"] == "http://www.a.example/a"
    assert (
        revisit.rec_headers["WARC-Payload-Digest"]
        == responses["http://www.a.example/a"].rec_headers["WARC-Payload-Digest"]
    )
    decisions = {row[0]: row[1] for row in crawler.rows("SELECT url, decision FROM pages")}
    row = {row["url"]: row for row in crawler.table().to_pylist()}["http://www.a.example/c"]
    assert row["domain"] == "a.example"
    assert (row["status"], row["media_type"], row["language"], row["title"]) == (200, "text/html", "cy", "Llythyr")
    assert row["text"].strip() == "Annwyl gyfaill, diolch am y llythyr."
    assert row["decision_id"] == decisions["http://www.a.example/c"]
    assert row["time"].tzinfo is not None


def test_a_corpus_of_nothing(crawler: Crawler) -> None:
    with Web({"a.example": {"/robots.txt": plain("User-agent: *\nDisallow: /\n")}}) as web:
        done = crawler.run(web, "http://a.example/")
    assert done.summary["kept"] == 0
    assert done.summary["finished"]
    assert crawler.records() == []


AHEAD = "2099-01-01T00:00:00.000000+00:00"


def test_a_crawl_that_asks_no_site_says_why(crawler: Crawler) -> None:
    open_, shut = "http://a.example/", "http://b.example/"
    with Web({"a.example": tree(3), "b.example": {"/robots.txt": plain("User-agent: *\nDisallow: /\n")}}) as web:

        def idle(*seeds: str, **options: Any) -> str:
            said = crawler.run(web, *seeds, **options).summary["idle"]
            return str(said)

        assert idle(open_, max_pages=1) == "None"
        assert "a limit such as --max-pages is reached" in idle(open_, max_pages=1, resume=True)
        assert idle(open_) == "None"
        assert "brought all of its 3 URLs to an end" in idle(open_, resume=True)
        assert idle(shut) == "None"
        assert "every URL that was due is excluded or deferred" in idle(shut, max_depth=1)
        crawler.change("UPDATE frontier SET state = 'waiting' WHERE state = 'excluded'")
        crawler.change("UPDATE crawls SET state = 'stopped'")
        crawler.change("UPDATE queues SET ready_at = :at", at=AHEAD)
        asked = len(web.hits)
        assert "nothing is due before 2099-01-01 00:00 (UTC), which a clock that ran ahead may have set" in idle(shut)
        assert "is excluded" in idle(shut, resume=True)
    assert len(web.hits) == asked


def test_what_a_clock_dated_into_the_future_is_asked_for_again(crawler: Crawler) -> None:
    """robots.txt is as old as nobody knows, and the pause of its host is over."""
    robots = plain("User-agent: *\nDisallow:\n")
    with Web({"a.example": {"/robots.txt": robots, "/": page()}}) as web:
        crawler.run(web, "http://a.example/")
        crawler.change("UPDATE captures SET fetched_at = :at, expires_at = :at WHERE expires_at IS NOT NULL", at=AHEAD)
        crawler.change("UPDATE hosts SET last_seen = :at, next_at = :at", at=AHEAD)
        web.sites["a.example"]["/robots.txt"] = plain("User-agent: *\nDisallow: /\n")  # type: ignore[index]
        again = crawler.run(web, "http://a.example/").summary
    assert again["excluded"]["by_protocol"] == {"robots": 1}
    assert paths(web, "a.example").count("/robots.txt") == 2


HEAD = "effect,match,by,at,why,until,lifts\n"


def test_the_operators_list_comes_before_the_site(crawler: Crawler, tmp_path: Path) -> None:
    block = "block,blocked.example,legal team,2026-01-02,complaint 17,,"
    licence = "allow,http://licensed.example/,legal team,2026-01-02,licence 9,,tdmrep"
    listed = tmp_path / "list.csv"
    listed.write_text(f"{HEAD}{block}\n{licence}\n")
    tdm = plain('[{"location": "/*", "tdm-reservation": 1}]')
    sites = {
        "www.blocked.example": {"/": page()},
        "licensed.example": {
            "/robots.txt": plain("User-agent: *\nDisallow: /no\n"),
            "/.well-known/tdmrep.json": tdm,
            "/": page("/no"),
        },
        "unlicensed.example": {"/.well-known/tdmrep.json": tdm, "/": page()},
    }
    with Web(sites) as web:
        crawler.run(web, *(f"http://{host}/" for host in sites), operator_list=listed)
    assert all_paths(web, "www.blocked.example") == []
    assert crawler.reasons() == {
        "http://www.blocked.example/": {("operator", block)},
        "http://licensed.example/no": {("robots", "Disallow: /no")},
        "http://unlicensed.example/": {("tdmrep", '"tdm-reservation": 1')},
    }
    assert set(crawler.kept()) == {"http://licensed.example/"}


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("effect,match\nblock,a.example\n", "must begin with the line effect,match,by,at,why,until,lifts"),
        (f"{HEAD}block,a.example,me,yesterday,why,,\n", "Line 2"),
        (f"{HEAD}ban,a.example,me,2026-01-02,why,,\n", "write block or allow"),
    ],
)
def test_a_list_that_cannot_be_read_stops_it_before_it_begins(
    crawler: Crawler, tmp_path: Path, listed: str, said: str
) -> None:
    (tmp_path / "list.csv").write_text(listed)
    with Web({"a.example": {"/": page()}}) as web:
        done = crawler.run(web, "http://a.example/", operator_list=tmp_path / "list.csv", code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert web.hits == []


def failed(stderr: str) -> None:
    [line] = stderr.splitlines()
    assert line.startswith("Error: ")


def test_a_full_disk_under_the_database_ends_it_and_the_same_command_goes_on(crawler: Crawler) -> None:
    with Web({"a.example": late(tree(150), 0)}) as web:
        done = crawler.run(web, "http://a.example/", largest=900_000, code=4)
        failed(done.stderr)
        assert 0 < len(web.hits) < 150
        crawler.run(web, "http://a.example/")
    assert crawler.kept() == Counter(urls("a.example", ["/", *(f"/{number}" for number in range(1, 150))]))


@pytest.mark.parametrize(
    "refused", ["decisions WHEN NEW.stage = 'request'", "decisions WHEN NEW.stage = 'page'", "pages"]
)
def test_whatever_row_the_database_refuses_the_crawl_ends(crawler: Crawler, tmp_path: Path, refused: str) -> None:
    table, _, when = refused.partition(" ")
    connection = sqlite3.connect(tmp_path / "forbear.db")
    connection.execute(
        f"CREATE TRIGGER refuse BEFORE INSERT ON {table} {when} BEGIN SELECT RAISE(ABORT, 'no room'); END"
    )
    with Web({"a.example": tree(5)}) as web:
        done = crawler.run(web, "http://a.example/", code=4)
        failed(done.stderr)
        assert "no room" in done.stderr
        assert crawler.rows("SELECT * FROM pages") == []
        connection.execute("DROP TRIGGER refuse")
        connection.close()
        assert crawler.run(web, "http://a.example/").summary["kept"] == 5


def test_a_full_disk_under_the_corpus_ends_it_and_the_same_command_goes_on(crawler: Crawler) -> None:
    noise = Reply(random.Random(1).randbytes(3_000_000), headers=(("Content-Type", "application/octet-stream"),))
    with Web({"a.example": {"/": page("/big"), "/big": noise}}) as web:
        done = crawler.run(web, "http://a.example/", largest=2_500_000, code=4)
        failed(done.stderr)
        assert [url for (url,) in crawler.rows("SELECT url FROM pages")] == ["http://a.example/"]
        crawler.run(web, "http://a.example/")
    assert crawler.kept() == Counter(urls("a.example", ["/", "/big"]))


def test_a_folder_that_cannot_be_written_ends_it_before_anything_is_asked_for(crawler: Crawler) -> None:
    with Web({"a.example": {"/": page()}}) as web:
        done = crawler.run(web, "http://a.example/", out="/proc/corpus", code=4)
    failed(done.stderr)
    assert web.hits == []


def test_a_database_that_goes_away_ends_it(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    postgresql = request.getfixturevalue("postgresql")
    name = postgresql.create("forbear")
    crawler = Crawler(request.getfixturevalue("forks"), tmp_path, postgresql.url(name))
    with Web({"a.example": late(tree(300), 0.02)}) as web:
        process = crawler.start(web, "http://a.example/")
        until(lambda: len(web.hits) > 15)
        postgresql.drop(name)
        hits = len(web.hits)
        done = process.wait()
    assert done.code == 4
    failed(done.stderr)
    assert len(web.hits) - hits <= 2


def test_a_complaint_that_is_accepted_while_a_crawl_runs_is_honoured_by_its_next_decisions(crawler: Crawler) -> None:
    with Web({"a.example": late(tree(400), 0.02)}) as web:
        running = crawler.start(web, "http://a.example/")
        engine = open_database(crawler.database)
        notice = complaints.Notice("Ada", "ada@a.example", "", "All of it", ("a.example",), "It is kept.", True)
        until(lambda: len(web.hits) >= 10)
        with writing(engine) as connection:
            _, complaint = complaints.receive(connection, notice, now())
            for state in (complaints.ComplaintState.ACKNOWLEDGED, complaints.ComplaintState.IN_REVIEW):
                complaints.advance(connection, complaint.number, state, by="Grace", reason="r", at=now())
            accepted = complaints.ComplaintState.ACCEPTED
            blocks = ("a.example",)
            complaints.advance(connection, complaint.number, accepted, by="Grace", reason="r", at=now(), blocks=blocks)
        engine.dispose()
        done = running.wait()
    assert done.code == 0, done
    assert done.summary["excluded"]["by_protocol"] == {"operator": done.summary["excluded"]["decisions"]}
    assert done.summary["excluded"]["decisions"] > 0
    assert done.summary["kept"] < 400
    [(quote,)] = crawler.rows("SELECT DISTINCT quote FROM reasons WHERE protocol = 'operator'")
    assert quote.endswith(f"complaint {complaint.number} accepted,,")
