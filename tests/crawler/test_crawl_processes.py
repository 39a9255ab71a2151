from __future__ import annotations

import signal
from collections import Counter

from crawler.web import Reply, Web
from tests.crawler.crawls import Crawler, gaps, late, moved, page, plain, tree, until, urls

DELAY = 0.15
HOSTS = [f"h{number}.example" for number in range(10)]


def sites(pages: int) -> tuple[dict[str, dict[str, Reply]], set[str]]:
    """Hosts that all redirect to pages of one further host, whose turn has to be waited for."""
    found: dict[str, dict[str, Reply]] = {}
    kept: set[str] = set()
    for number, host in enumerate(HOSTS):
        replies = tree(pages) | {"/robots.txt": plain("User-agent: *\nDisallow: /no\n")}
        replies[f"/{pages - 1}"] = moved(f"http://shared.example/{number}")
        found[host] = late(replies)
        kept |= urls(host, ["/", *(f"/{number}" for number in range(1, pages - 1))])
    found["shared.example"] = {f"/{number}": page(words=f"Shared {number}.") for number in range(len(HOSTS))}
    return found, kept | urls("shared.example", found["shared.example"])


def check(crawler: Crawler, web: Web, kept: set[str], extra: int) -> None:
    assert crawler.kept() == Counter(kept)
    for host in web.sites:
        assert web.at_once[host] == 1
        assert min(gaps(web, host)) > DELAY, (host, sorted(gaps(web, host))[:3])
    hits = Counter((hit.host, hit.path) for hit in web.hits)
    assert sum(hits.values()) - len(hits) <= extra, hits.most_common(8)
    assert len(crawler.rows("SELECT id FROM crawls")) == 1


def test_two_processes_share_one_crawl_and_one_politeness(crawler_on_postgresql: Crawler) -> None:
    crawler = crawler_on_postgresql
    replies, kept = sites(12)
    seeds = [f"http://{host}/" for host in HOSTS]
    with Web(replies) as web:
        processes = [crawler.start(web, *seeds, delay=DELAY, follow="any", concurrency=3) for _ in range(2)]
        done = [process.wait() for process in processes]
    assert [each.code for each in done] == [0, 0], done
    assert all(each.summary["kept"] for each in done), "one process did all the work"
    assert sum(each.summary["kept"] for each in done) == len(kept)
    check(crawler, web, kept, extra=0)


def test_of_three_processes_one_is_killed_and_the_others_take_over_its_hosts(crawler_on_postgresql: Crawler) -> None:
    crawler = crawler_on_postgresql
    replies, kept = sites(18)
    seeds = [f"http://{host}/" for host in HOSTS]
    with Web(replies) as web:
        processes = [crawler.start(web, *seeds, delay=DELAY, follow="any", concurrency=2) for _ in range(3)]
        held = "SELECT count(*) FROM hosts WHERE lease_owner LIKE :owner"
        victim = processes[0]
        until(lambda: crawler.rows(held, owner=f"%:{victim.pid}:%") != [(0,)] and len(web.hits) > 40)
        victim.kill()
        # Were its leases waited for, instead of the dead process seen, the others would not end for an hour.
        crawler.change(
            "UPDATE hosts SET lease_until = lease_until + interval '1 hour' WHERE lease_owner LIKE :owner",
            owner=f"%:{victim.pid}:%",
        )
        done = [process.wait() for process in processes]
    assert [each.code for each in done] == [-signal.SIGKILL, 0, 0], done
    check(crawler, web, kept, extra=2 * len(HOSTS))
