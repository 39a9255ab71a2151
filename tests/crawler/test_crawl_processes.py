from __future__ import annotations

import signal
from collections import Counter
from functools import partial
from itertools import pairwise
from typing import Any

from forbear.crawler.demo.demo_server import Hit, Reply, Web
from tests.crawler.crawls import FILES, Crawler, ask, gaps, late, moved, named, page, plain, tree, until, urls
from tests.prefork import Process

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


HELD = "SELECT count(*) FROM hosts JOIN queues USING (host) WHERE lease_owner LIKE :owner AND ready_at IS NOT NULL"


def held(crawler: Crawler, process: Process) -> int:
    """How many hosts with something to do are a process's."""
    [(number,)] = crawler.rows(HELD, owner=f"%:{process.pid}:%")
    return int(number)


def pages_of(hits: list[Hit]) -> set[tuple[str, str]]:
    return {(hit.host, hit.path) for hit in hits if hit.path not in FILES | {"/robots.txt"}}


def test_a_process_that_was_paused_asks_for_nothing_that_another_has_taken_over(crawler_on_postgresql: Crawler) -> None:
    crawler = crawler_on_postgresql
    sites = {host: tree(14) for host in HOSTS[:6]}
    seeds = [f"http://{host}/" for host in sites]
    with Web(sites) as web, Web(sites) as other:
        paused = crawler.start(web, *seeds, delay=DELAY, concurrency=3, lease=3, log_format="json")
        until(lambda: len(pages_of(web.hits)) > 6)
        paused.kill(signal.SIGSTOP)
        before = pages_of(web.hits)
        had = held(crawler, paused)
        second = crawler.start(other, *seeds, delay=DELAY, concurrency=3, lease=3, log_format="json")
        until(lambda: held(crawler, paused) == 0)
        woken = len(web.hits)
        paused.kill(signal.SIGCONT)
        done = [process.wait() for process in (paused, second)]
    assert [each.code for each in done] == [0, 0], done
    assert had
    assert named(paused, "lost")
    after, others = pages_of(web.hits[woken:]), pages_of(other.hits)
    assert len((before | after) & others) <= had, "more than one of each host was in flight"
    assert len(after & others) <= 1, "what was not sent yet when it was paused"
    kept = crawler.kept()
    assert set(kept) == {url for host in sites for url in urls(host, sites[host])}
    assert max(kept.values()) == 1
    for host in sites:
        every = [*web.hits[:woken], *(hit for hit in web.hits[woken:] if (host, hit.path) not in others), *other.hits]
        at = sorted(hit.at for hit in every if hit.host == host)
        assert min(later - earlier for earlier, later in pairwise(at)) > DELAY


def test_a_database_that_is_restarted_is_waited_for(crawler_on_postgresql: Crawler, postgresql: Any) -> None:
    crawler = crawler_on_postgresql
    replies, kept = sites(8)
    seeds = [f"http://{host}/" for host in HOSTS]
    with Web(replies) as web:
        options: dict[str, Any] = {
            "delay": DELAY,
            "follow": "any",
            "concurrency": 3,
            "log_format": "json",
            "metrics_port": 0,
        }
        processes = [crawler.start(web, *seeds, **options) for _ in range(2)]
        until(lambda: all(named(process, "kept") for process in processes))
        address = named(processes[0], "listening")[0]["address"]
        with postgresql.away():
            until(lambda: all(named(process, "database_lost") for process in processes))
            until(lambda: ask(address, "/health")[0] == 503)
            assert "cannot be used" in ask(address, "/health")[1]
        until(lambda: ask(address, "/health")[0] == 200)
        done = [process.wait() for process in processes]
    assert [each.code for each in done] == [0, 0], done
    for process in processes:
        assert named(process, "database_lost")[0]["message"].endswith("It is waited for.")
        assert "The database answers again after" in named(process, "database_back")[0]["message"]
    check(crawler, web, kept, extra=0)


def more(web: Web, hits: int) -> bool:
    return len(web.hits) > hits


def test_connections_that_are_cut_are_made_again(crawler_on_postgresql: Crawler, postgresql: Any) -> None:
    crawler = crawler_on_postgresql
    replies, kept = sites(8)
    seeds = [f"http://{host}/" for host in HOSTS]
    name = crawler.database.rpartition("/")[2].partition("?")[0]
    with Web(replies) as web:
        processes = [crawler.start(web, *seeds, delay=DELAY, follow="any", concurrency=3) for _ in range(2)]
        for hits in range(20, 120, 10):
            until(partial(more, web, hits))
            postgresql.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        done = [process.wait() for process in processes]
    assert [each.code for each in done] == [0, 0], done
    check(crawler, web, kept, extra=0)


def test_a_process_that_is_asked_to_stop_gives_its_hosts_to_the_other(crawler_on_postgresql: Crawler) -> None:
    crawler = crawler_on_postgresql
    replies, kept = sites(8)
    seeds = [f"http://{host}/" for host in HOSTS]
    with Web(replies) as web:
        processes = [crawler.start(web, *seeds, delay=DELAY, follow="any", concurrency=3) for _ in range(2)]
        until(lambda: held(crawler, processes[0]) and len(web.hits) > 40)
        processes[0].kill(signal.SIGTERM)
        stopped = processes[0].wait()
        assert (
            crawler.rows("SELECT host FROM hosts WHERE lease_owner LIKE :owner", owner=f"%:{processes[0].pid}:%") == []
        )
        finished = processes[1].wait()
    assert (stopped.code, finished.code) == (0, 0), (stopped, finished)
    assert (stopped.summary["finished"], finished.summary["finished"]) == (False, True)
    check(crawler, web, kept, extra=0)
