from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from forbear.crawler.demo.demo_server import Reply, Web
from tests.crawler.crawls import HTML, Crawler, page, plain
from tests.invariants import check_laws
from tests.prefork import Prefork

SITE = {
    "/robots.txt": plain("User-agent: *\nDisallow: /shut\n"),
    "/": page("/shut", "/reserved", "/a"),
    "/a": page(words="Another page."),
    "/reserved": Reply(b'<meta name="robots" content="noai"><p>no</p>', headers=HTML),
}


@pytest.fixture(scope="module")
def crawled(forks: Prefork, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Crawler:
    """A crawl that kept both laws."""
    folder = tmp_path_factory.mktemp("laws")
    shutil.copy(sqlite_template, folder / "forbear.db")
    crawler = Crawler(forks, folder, f"sqlite:///{folder}/forbear.db")
    with Web({"a.example": SITE}) as web:
        crawler.run(web, "http://a.example/")
    check_laws(crawler.database, crawler.out)
    return crawler


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE reasons SET quote = 'Disallow: /a' WHERE protocol = 'robots'",
        "UPDATE reasons SET quote = 'noindex' WHERE protocol = 'robots-meta'",
        "UPDATE reasons SET source = 'http://b.example/robots.txt'",
        "DELETE FROM reasons",
        "DELETE FROM decision_captures",
        "UPDATE captures SET body = NULL",
        "DELETE FROM bodies",
        "DELETE FROM pages",
        "UPDATE pages SET warc_offset = warc_offset + 1",
        "UPDATE pages SET sha256 = ''",
        "UPDATE decisions SET verdict = 'excluded' WHERE id IN (SELECT decision FROM pages)",
        "UPDATE frontier SET state = 'kept'",
        "UPDATE frontier SET decision = NULL",
    ],
)
def test_a_log_that_breaks_a_law_is_seen(crawled: Crawler, tmp_path: Path, harm: str) -> None:
    shutil.copy(crawled.folder / "forbear.db", tmp_path / "harmed.db")
    connection = sqlite3.connect(tmp_path / "harmed.db")
    with connection:
        assert connection.execute(harm).rowcount
    connection.close()
    with pytest.raises(AssertionError):
        check_laws(f"sqlite:///{tmp_path}/harmed.db", crawled.out)


@pytest.mark.parametrize("harm", ["warc/*.warc.gz", "pages/*.parquet"])
def test_a_corpus_that_breaks_a_law_is_seen(crawled: Crawler, tmp_path: Path, harm: str) -> None:
    shutil.copytree(crawled.out, tmp_path / "corpus")
    for path in (tmp_path / "corpus").glob(harm):
        path.unlink()
    with pytest.raises(AssertionError):
        check_laws(crawled.database, tmp_path / "corpus")
