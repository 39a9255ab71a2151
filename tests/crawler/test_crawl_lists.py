"""A crawl and the lists of infringing sites in its database, or in a file."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path

from forbear.crawler.demo.demo_server import Web
from forbear.optout.protocols.infringing_list import to_csv
from forbear.storage.database import open_database, writing
from forbear.storage.log import lists
from tests.crawler.crawls import Crawler, page


def import_list(crawler: Crawler, *domains: str, on: date = date(2026, 11, 1)) -> bytes:
    """The list that is in force after an import of made-up entries."""
    engine = open_database(crawler.database)
    with writing(engine) as connection:
        issue = lists.Issue("denmark", "list.csv", on, True, repr(domains).encode(), [])
        entries = [lists.ListedSite(domain, "DK", "A court", "Section 413", None, "") for domain in domains]
        lists.import_list(connection, issue, entries, datetime.now(UTC))
        body = lists.current(connection)
    engine.dispose()
    assert body is not None
    return body


def test_a_listed_site_is_not_asked_and_each_row_names_list_and_entry(crawler: Crawler) -> None:
    body = import_list(crawler, "films.example")
    with Web({"a.example": {"/": page("http://cdn.films.example/")}, "cdn.films.example": {"/": page()}}) as web:
        done = crawler.run(web, "http://a.example/", follow="any")
        assert done.summary["kept"] == 1
        assert {hit.host for hit in web.hits} == {"a.example"}
    [(quote, measure)] = crawler.rows("SELECT quote, measure FROM reasons WHERE protocol = 'infringing-list'")
    assert quote.startswith("films.example,DK,A court,")
    assert measure == "1.2(1)(b)"
    [(note,)] = crawler.rows("SELECT note FROM statements WHERE protocol = 'infringing-list'")
    version = hashlib.sha256(body).hexdigest()
    assert version in note
    assert crawler.rows("SELECT size FROM bodies WHERE sha256 = '" + version + "'") == [(len(body),)]


def test_a_list_that_was_not_renewed_is_reported_before_the_crawl_and_the_recheck(crawler: Crawler) -> None:
    import_list(crawler, "films.example", on=date(2026, 1, 1))
    with Web({"a.example": {"/": page()}}) as web:
        assert "denmark is" in crawler.run(web, "http://a.example/").stderr
        (crawler.folder / "none.csv").write_bytes(to_csv([]))
        quiet = crawler.run(web, "http://a.example/", infringing_list=crawler.folder / "none.csv")
        assert quiet.stderr == "", "the lists of the database are not in use"
        crawler.program = "recheck"
        done = crawler.run(web)
    assert "denmark is" in done.stderr
    assert "Download it again from" in done.stderr
    assert done.summary["checkpoint"] is None


def test_a_file_replaces_the_lists_of_the_database(crawler: Crawler, tmp_path: Path) -> None:
    body = import_list(crawler, "films.example")
    path = tmp_path / "other.csv"
    path.write_bytes(body.replace(b"films.example", b"other.example"))
    with Web({"films.example": {"/": page()}, "other.example": {"/": page()}}) as web:
        both = ("http://films.example/", "http://other.example/")
        done = crawler.run(web, *both, infringing_list=path)
        assert done.summary["excluded"] == {"decisions": 1, "by_protocol": {"infringing-list": 1}}
        assert done.summary["kept"] == 1
