from __future__ import annotations

import json
import shutil
import zlib
from collections import Counter
from pathlib import Path

import pytest

from forbear.crawler.demo.demo_server import Reply, Web
from tests.crawler.crawls import FILES, HTML, Crawler, all_paths, moved, page, paths, plain, urls
from tests.invariants import check_laws
from tests.prefork import Prefork

SECRET = "The herring belong to whoever caught them."
"""Words of pages that are reserved: they must be nowhere when the crawl is over."""

TDM = json.dumps([{"location": "/essays/*", "tdm-reservation": 1}])

SITES: dict[str, dict[str, Reply]] = {
    "open.example": {
        "/robots.txt": plain("User-agent: *\nDisallow: /private/\n"),
        "/.well-known/tdmrep.json": plain(TDM),
        "/": page(
            "/private/x", "/essays/1", "/header", "/meta", "/a", "/gone", "/moved", "/out", "/loop", "/long", "/paywall"
        ),
        "/a": page("/"),
        "/private/x": page(words=SECRET),
        "/essays/1": page(words=SECRET),
        "/header": Reply(f"<p>{SECRET}</p>".encode(), headers=(*HTML, ("TDM-Reservation", "1"))),
        "/meta": Reply(f'<meta name="robots" content="noai"><p>{SECRET}</p>'.encode(), headers=HTML),
        "/paywall": Reply(f"<p>{SECRET}</p>".encode(), 402),
        "/moved": moved("/target"),
        "/target": page(words="The target of a redirect."),
        "/out": moved("http://shut.example/page"),
        "/loop": moved("/loop2"),
        "/loop2": moved("/loop"),
        "/long": moved("/long1"),
        **{f"/long{number}": moved(f"/long{number + 1}") for number in range(1, 9)},
    },
    "shut.example": {"/robots.txt": plain("User-agent: *\nDisallow: /\n"), "/": page(), "/page": page(words=SECRET)},
    "down.example": {"/robots.txt": plain("", status=503), "/": page(words=SECRET)},
    "slow.example": {"/robots.txt": plain("", pause=3600), "/": page(words=SECRET)},
    "tdmdown.example": {"/.well-known/tdmrep.json": plain("", status=500), "/": page(words=SECRET)},
    # RFC 9309 2.3.1.2: the rules found at the end of the redirects are those of the host that was asked.
    "elsewhere.example": {
        "/robots.txt": moved("http://rules.example/shared.txt"),
        "/": page("/no"),
        "/no": page(words=SECRET),
    },
    "rules.example": {"/shared.txt": plain("User-agent: *\nDisallow: /no\n")},
    # A file with reservations is looked at where it is, and there the rules of that place bind.
    "lent.example": {"/.well-known/tdmrep.json": moved("http://shut.example/tdm.json"), "/": page(words=SECRET)},
    "circle.example": {"/robots.txt": moved("/r2"), "/r2": moved("/robots.txt"), "/": page(words=SECRET)},
    "far.example": {
        "/robots.txt": moved("/r1"),
        **{f"/r{number}": moved(f"/r{number + 1}") for number in range(1, 9)},
        "/": page(words=SECRET),
    },
    # RFC 3986 6.2.2: an URL goes out as it was decided about, also where libraries would spell it otherwise.
    "odd.example": {
        "/robots.txt": moved("/r|b^?"),
        "/r|b%5E?": plain("User-agent: *\nDisallow: /no\n"),
        "/": page("/no"),
        "/no": page(words=SECRET),
    },
    "five.example": {
        "/robots.txt": moved("/r1"),
        **{f"/r{number}": moved(f"/r{number + 1}") for number in range(1, 5)},
        "/r5": plain("User-agent: *\nDisallow: /no\n"),
        "/": page("/no"),
        "/no": page(words=SECRET),
    },
}


@pytest.fixture(scope="module")
def crawled(forks: Prefork, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Crawler, Web]:
    """All these sites, crawled once."""
    folder = tmp_path_factory.mktemp("order")
    shutil.copy(sqlite_template, folder / "forbear.db")
    crawler = Crawler(forks, folder, f"sqlite:///{folder}/forbear.db")
    seeds = [f"http://{host}/" for host in SITES if host != "rules.example"]
    with Web(SITES) as web:
        crawler.run(web, *seeds, timeout=5)
    check_laws(crawler.database, crawler.out)
    return crawler, web


Crawled = tuple[Crawler, Web]


def test_files_with_reservations_come_before_pages(crawled: Crawled) -> None:
    _, web = crawled
    requested = all_paths(web, "open.example")
    assert requested[0] == "/robots.txt"
    assert set(requested[1 : 1 + len(FILES)]) == FILES
    assert requested[1 + len(FILES)] == "/"
    assert all(web.at_once[host] == 1 for host in SITES)
    hits = Counter((hit.host, hit.path) for hit in web.hits)
    assert set(hits.values()) == {1}, "something was asked for twice"


@pytest.mark.parametrize(
    ("host", "requested"),
    [
        ("shut.example", ["/robots.txt"]),  # nothing but it: neither pages nor tdmrep.json, nor what others redirect to
        ("down.example", ["/robots.txt"]),
        ("slow.example", ["/robots.txt"]),
        ("tdmdown.example", ["/robots.txt"]),
        ("elsewhere.example", ["/robots.txt", "/"]),
        ("rules.example", ["/shared.txt"]),
        ("lent.example", ["/robots.txt"]),
        ("circle.example", ["/robots.txt", "/r2"]),
        ("far.example", ["/robots.txt", "/r1", "/r2", "/r3", "/r4", "/r5"]),
        ("odd.example", ["/robots.txt", "/r|b%5E?", "/"]),
        ("five.example", ["/robots.txt", "/r1", "/r2", "/r3", "/r4", "/r5", "/"]),
    ],
)
def test_what_is_shut_or_in_doubt_is_not_requested(crawled: Crawled, host: str, requested: list[str]) -> None:
    _, web = crawled
    assert paths(web, host) == requested
    assert (set(all_paths(web, "shut.example")) | set(all_paths(web, "down.example"))).isdisjoint(FILES)


def test_every_url_ends_as_its_owner_said(crawled: Crawled) -> None:
    crawler, _ = crawled
    open_states = {
        "/": "kept",
        "/a": "kept",
        "/target": "kept",
        "/moved": "redirected",
        "/out": "redirected",
        "/loop": "redirected",
        "/loop2": "redirected",
        "/long": "redirected",
        **{f"/long{number}": "redirected" for number in range(1, 6)},
        "/private/x": "excluded",
        "/essays/1": "excluded",
        "/header": "excluded",
        "/meta": "excluded",
        "/paywall": "excluded",
        "/gone": "gone",
    }
    expected = {f"http://open.example{path}": state for path, state in open_states.items()}
    expected |= {
        "http://shut.example/": "excluded",
        "http://elsewhere.example/": "kept",
        "http://elsewhere.example/no": "excluded",
        "http://five.example/": "kept",
        "http://five.example/no": "excluded",
        "http://odd.example/": "kept",
        "http://odd.example/no": "excluded",
        **{f"http://{host}.example/": "abandoned" for host in ("down", "slow", "tdmdown", "lent", "circle", "far")},
    }
    assert crawler.frontier() == expected


def test_the_words_that_decided_are_the_owners(crawled: Crawled) -> None:
    crawler, _ = crawled
    assert crawler.reasons() == {
        "http://open.example/private/x": {("robots", "Disallow: /private/")},
        "http://open.example/essays/1": {("tdmrep", '"tdm-reservation": 1')},
        "http://open.example/header": {("tdmrep", "1")},
        "http://open.example/meta": {("robots-meta", '<meta name="robots" content="noai">')},
        "http://open.example/paywall": {("access", "402")},
        "http://shut.example/": {("robots", "Disallow: /")},
        "http://elsewhere.example/no": {("robots", "Disallow: /no")},
        "http://five.example/no": {("robots", "Disallow: /no")},
        "http://odd.example/no": {("robots", "Disallow: /no")},
        "http://down.example/": {("unreachable", "503")},
        "http://slow.example/": {("unreachable", "timeout")},
        "http://tdmdown.example/": {("unreachable", "500")},
        "http://lent.example/": {("unreachable", "Disallow: /")},
        "http://circle.example/": {("unreachable", "too many redirects")},
        "http://far.example/": {("unreachable", "too many redirects")},
    }


def test_the_text_of_a_reserved_page_is_nowhere_but_digest_header_and_quotation_are(crawled: Crawled) -> None:
    crawler, _ = crawled
    assert set(crawler.kept()) == (
        urls("open.example", ["/", "/a", "/target"])
        | urls("elsewhere.example", "/")
        | urls("five.example", "/")
        | urls("odd.example", "/")
    )
    assert all(SECRET.encode() not in record.octets for record in crawler.records("response", "request", "metadata"))
    assert not any(SECRET in (value or "") for value in crawler.table().column("text").to_pylist())
    assert SECRET.encode() not in crawler.octets()
    assert not any(SECRET.encode() in zlib.decompress(body) for (body,) in crawler.rows("SELECT content FROM bodies"))
    [(digest, headers, excerpts)] = crawler.rows(
        "SELECT body_sha256, headers, excerpts FROM captures WHERE url = 'http://open.example/meta'"
    )
    assert len(digest) == 64
    assert ["Content-Type", HTML[0][1]] in json.loads(headers)
    assert json.loads(excerpts) == ['<meta name="robots" content="noai">']
