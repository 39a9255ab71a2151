from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Mapping

import pytest

from forbear.crawler.crawl.scheduler import AHEAD
from forbear.crawler.demo.demo_server import Reply, Web
from tests.crawler.crawls import FILES, HTML, Crawler, late, page, plain, tree, until, urls
from tests.invariants import check_laws

CONCURRENCY = 8
HOSTS = [f"h{number}.example" for number in range(8)]


def sites(pages: int) -> tuple[dict[str, Mapping[str, Reply]], set[str]]:
    """Hosts with that many pages each, every reply 10 ms late; and the URLs of what may be kept of them."""
    found: dict[str, Mapping[str, Reply]] = {}
    kept: set[str] = set()
    for host in HOSTS:
        replies = tree(pages) | {
            "/robots.txt": plain(f"User-agent: *\nDisallow: /{pages - 1}\n"),
            f"/{pages - 2}": Reply(b"<p>no</p>", headers=(*HTML, ("TDM-Reservation", "1"))),
            f"/{pages - 4}": page(words="The same on every host."),
        }

        replies.setdefault("/.well-known/tdmrep.json", Reply(status=404))
        found[host] = late(replies)
        kept |= urls(host, ["/", *(f"/{number}" for number in range(1, pages - 2))])
    return found, kept


@pytest.mark.parametrize(
    ("database", "pages", "kills"),
    [("crawler", 90, 12), ("crawler_on_postgresql", 30, 4)],
)
def test_killed_at_any_point_the_same_command_goes_on_and_loses_nothing(
    request: pytest.FixtureRequest, database: str, pages: int, kills: int
) -> None:
    crawler: Crawler = request.getfixturevalue(database)
    chance = random.Random(database)
    replies, kept = sites(pages)
    killed = 0
    with Web(replies) as web:
        seeds = [f"http://{host}/" for host in HOSTS]
        while killed < kills:
            before = len(web.hits)
            process = crawler.start(web, *seeds, concurrency=CONCURRENCY)
            more = chance.randint(1, 600 // kills)
            until(lambda: len(web.hits) >= before + more)  # noqa: B023 it is called in this turn alone
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
            assert process.wait().code == -signal.SIGKILL, "too few pages for so many kills"
            killed += 1
        done = crawler.run(web, *seeds, concurrency=CONCURRENCY)
    assert done.summary["resumed"]
    assert done.summary["finished"]
    check_laws(crawler.database, crawler.out)
    assert crawler.kept() == Counter(kept)
    assert {row for (row,) in crawler.rows("SELECT url FROM pages")} == kept
    assert len(crawler.rows("SELECT id FROM crawls")) == 1
    hits = Counter((hit.host, hit.path) for hit in web.hits)
    twice = {asked: times - 1 for asked, times in hits.items() if times > 1}
    files = {(host, path) for host in HOSTS for path in (*FILES, "/robots.txt")}
    # What was under way when it was killed: of each host, a page being fetched and one being kept, or its files.
    assert sum(times for asked, times in twice.items() if asked not in files) <= kills * AHEAD * len(HOSTS)
    assert all(times <= kills for asked, times in twice.items() if asked in files)
    again = crawler.rows("SELECT canonical FROM decisions GROUP BY canonical, stage HAVING count(*) > 1")
    assert len(again) <= kills * AHEAD * len(HOSTS)
    assert all(web.at_once[host] == 1 for host in HOSTS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_and_soon(crawler: Crawler, number: int) -> None:
    replies, kept = sites(12)
    replies["stuck.example"] = {"/": Reply(status=404, pause=3600)}
    seeds = [f"http://{host}/" for host in (*HOSTS, "stuck.example")]
    with Web(replies) as web:
        process = crawler.start(web, *seeds, delay=0.05)
        until(lambda: any(hit.host == "stuck.example" and hit.path == "/" for hit in web.hits) and len(web.hits) > 50)
        process.kill(number)
        done = process.wait()  # which is long before that answer
        assert done.code == 0
        assert not done.summary["finished"]
        check_laws(crawler.database, crawler.out)
        assert crawler.rows("SELECT host FROM hosts WHERE lease_owner IS NOT NULL") == []
        assert crawler.rows("SELECT state FROM crawls") == [("stopped",)]
        kept_before = len(crawler.kept())
        assert 0 < kept_before < len(kept)
        replies["stuck.example"] = {}
        again = crawler.run(web, *seeds, delay=0.05)
    assert again.summary["resumed"]
    assert again.summary["finished"]
    assert again.summary["kept"] == len(kept) - kept_before
    assert crawler.kept() == Counter(kept)
