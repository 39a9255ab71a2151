from __future__ import annotations

import gzip
import signal
import socket
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from forbear.crawler.demo.demo_server import Reply, Site, Web
from tests.crawler.crawls import HTML, Crawler, all_paths, gaps, late, page, paths, plain, tree, until

DELAY = 0.1


def robots(crawl_delay: float) -> Reply:
    return plain(f"User-agent: *\nCrawl-delay: {crawl_delay}\n")


def counted(*replies: Reply) -> Iterator[Reply]:
    """The replies in order, then the last one for ever."""
    yield from replies
    while True:
        yield replies[-1]


def test_the_longer_delay_counts_and_one_that_is_too_long_skips_the_host(crawler: Crawler) -> None:
    sites = {
        "plain.example": tree(8),
        "slower.example": tree(5) | {"/robots.txt": robots(0.3)},
        "faster.example": tree(8) | {"/robots.txt": robots(0.02)},
        "sleepy.example": tree(8) | {"/robots.txt": robots(20)},
    }
    with Web(sites) as web:
        crawler.run(web, *(f"http://{host}/" for host in sites), delay=DELAY, max_delay=2)
    for host, least in (("plain.example", DELAY), ("faster.example", DELAY)):
        assert min(gaps(web, host)) > least
    assert min(gaps(web, "slower.example")[1:]) > 0.3  # from robots.txt to the next file nobody knows of it yet
    assert min(gaps(web, "slower.example")) > DELAY
    assert paths(web, "sleepy.example") == ["/robots.txt"]
    assert crawler.frontier()["http://sleepy.example/"] == "skipped"
    assert set(web.at_once.values()) == {1}


def test_without_a_delay_it_is_still_one_request_at_a_time(crawler: Crawler) -> None:
    sites = {f"h{number}.example": late(tree(15), 0.02) for number in range(4)}
    with Web(sites) as web:
        crawler.run(web, *(f"http://{host}/" for host in sites))
    assert web.at_once == dict.fromkeys(sites, 1)
    assert len(crawler.kept()) == 60


def test_a_host_that_is_overloaded_is_left_alone_as_long_as_it_asks(crawler: Crawler) -> None:
    replies = {
        "busy.example": counted(Reply(b"", 429, (("Retry-After", "3"),)), page()),
        "ill.example": counted(Reply(b"", 503), page()),
        "dead.example": counted(Reply(b"", 500)),
        "later.example": counted(Reply(b"", 503, (("Retry-After", "3600"),))),
    }

    def site(host: str):
        return lambda path: next(replies[host]) if path == "/" else Reply(status=404)

    with Web({host: site(host) for host in replies}) as web:
        done = crawler.run(web, *(f"http://{host}/" for host in replies), retries=1)
    asked = {host: [hit.at for hit in web.hits if hit.host == host and hit.path == "/"] for host in replies}
    assert {host: len(times) for host, times in asked.items()} == {
        "busy.example": 2,
        "ill.example": 2,
        "dead.example": 2,
        "later.example": 1,
    }
    assert asked["busy.example"][1] - asked["busy.example"][0] >= 3
    assert asked["ill.example"][1] - asked["ill.example"][0] >= 2
    assert crawler.frontier() == {
        "http://busy.example/": "kept",
        "http://ill.example/": "kept",
        "http://dead.example/": "abandoned",
        "http://later.example/": "deferred",
    }
    assert done.summary["finished"]


def test_neither_a_stuck_host_nor_an_endless_one_starves_the_others(crawler: Crawler) -> None:
    days = count(1)
    small = {f"small{number}.example": tree(5) for number in range(20)}
    sites: dict[str, Site] = {
        **small,
        "stuck.example": late(tree(50), 3600),
        "calendar.example": lambda path: (
            Reply(status=404) if "." in path else page(*(f"/day/{next(days)}" for _ in range(30)), words=path)
        ),
    }
    seeds = [f"http://{host}/" for host in ("stuck.example", "calendar.example", *small)]
    wanted = {(host, path) for host in small for path in ("/", "/1", "/2", "/3", "/4")}
    with Web(sites) as web:
        process = crawler.start(web, *seeds, concurrency=4)
        until(lambda: wanted <= {(hit.host, hit.path) for hit in web.hits})
        endless = len(all_paths(web, "calendar.example"))
        process.kill(signal.SIGTERM)
        assert process.wait().code == 0
        assert endless < len(web.hits) / 2
    assert set(web.at_once.values()) == {1}


MEGABYTE = 1 << 20
MORE = 150
"""MiB that a crawl may need beyond those of a crawl of one small page, whatever it meets."""


@pytest.fixture
def least(crawler: Crawler) -> int:
    """MiB that a crawl of one small page needs."""
    with Web({"small.example": {"/": page()}}) as web:
        return crawler.run(web, "http://small.example/").memory


def big() -> dict[str, tuple[Reply, str]]:
    """Pages that could fill a memory, by host, and what becomes of each."""
    bomb = gzip.compress(bytes(200 * MEGABYTE), 1)
    return {
        "links.example": (page(*(f"/p/{number}?{'x' * 60}" for number in range(100_000))), "kept"),
        "large.example": (Reply(bytes(40 * MEGABYTE)), "abandoned"),
        "bomb.example": (Reply(bomb, headers=(*HTML, ("Content-Encoding", "gzip"))), "abandoned"),
        "header.example": (Reply(b"x", headers=(*HTML, ("X-Long", "x" * 300_000))), "abandoned"),
        "headers.example": (
            Reply(b"x", headers=(*HTML, *((f"X-{n}", "x" * 5_000) for n in range(1_000)))),
            "abandoned",
        ),
    }


def test_memory_stays_flat(crawler: Crawler, least: int) -> None:
    sites = big()
    with Web({host: {"/": reply} for host, (reply, _) in sites.items()}) as web:
        seeds = [f"http://{host}/" for host in sites]
        done = crawler.run(web, *seeds, max_bytes=10 * MEGABYTE, max_depth=1, max_pages=1)
    assert crawler.frontier().items() >= {f"http://{host}/": state for host, (_, state) in sites.items()}.items()
    assert done.memory - least < MORE


def test_a_body_without_end_is_given_up(crawler: Crawler, server: Any, least: int) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while True:
            connection.sendall(b"<p>on and on" * 1000)

    server.answers["/"] = endless
    done = crawler.run(None, f"{server.origin}/", max_bytes=10 * MEGABYTE, allow_private_networks=True)
    assert crawler.reasons() == {f"{server.origin}/": {("unreachable", "too-large")}}
    assert done.memory - least < MORE
