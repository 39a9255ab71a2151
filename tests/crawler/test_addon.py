from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings

from forbear.crawler.demo.demo_server import Reply, Site, Web
from forbear.crawler.engine.addon import Config, ForbearAddon
from forbear.crawler.identity import BadConfig
from forbear.optout import __version__
from tests.crawler.crawls import HTML, moved, page, plain
from tests.invariants import check_laws

ROOT = Path(__file__).parents[2]
CONTACT = "https://operator.example/bot"
NAME = f"ForbearBot/{__version__} (+{CONTACT})"
SHUT = plain("User-agent: *\nDisallow: /\n")


@dataclass(frozen=True)
class Run:
    """What a run of ``scrapy crawl`` left."""

    code: int
    log: str
    items: dict[str, dict[str, Any]]
    database: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    @property
    def decided(self) -> set[tuple[Any, ...]]:
        return set(self.rows("SELECT url, stage, verdict FROM decisions"))

    @property
    def stats(self) -> dict[str, int]:
        lines = (line.strip(" {},") for line in self.log.splitlines() if "'forbear/" in line)
        return {name.strip("'"): int(count) for name, _, count in (line.partition(": ") for line in lines)}


Scrapy = Callable[..., Run]


@pytest.fixture
def scrapy(tmp_path: Path) -> Scrapy:
    """``scrapy crawl SPIDER``, by name in a project, through a loopback web as its proxy."""

    def run(web: Web, spider: str, *words: str, project: Path | None = None, db: str = "forbear.db") -> Run:
        items, database = tmp_path / "items.json", tmp_path / db
        settings = {"FORBEAR_DB": f"sqlite:///{database}", "DOWNLOAD_DELAY": "0"}
        options = [word for name, value in settings.items() for word in ("-s", f"{name}={value}")]
        command = [sys.executable, "-m", "scrapy", "crawl", spider, "-O", str(items), *options, *words]
        done = _start(command, web, tmp_path, project)
        found = json.loads(items.read_text() or "[]") if items.exists() else []
        return Run(done.returncode, done.stderr, {item.get("asked", item["url"]): item for item in found}, database)

    return run


def _start(command: list[str], web: Web, folder: Path, project: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"http_proxy": web.proxy, "PYTHONPATH": str(ROOT)}
    if project is None:
        environment["SCRAPY_SETTINGS_MODULE"] = "tests.crawler.addon_settings"
    return subprocess.run(
        command, cwd=project or folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


# The example: a project of ordinary shape, with the one line in its settings.

QUOTE = (
    "<div class=quote><span class=text>“{}”</span> <small class=author>{}</small> <a class=author href={}>on</a></div>"
)


def quotes(text: str, author: str, about: str, onward: str = "") -> Reply:
    body = QUOTE.format(text, author, about) + (f"<ul><li class=next><a href={onward}>Next</a></ul>" if onward else "")
    return Reply(f"<!doctype html><title>Quotes</title>{body}".encode(), headers=HTML)


def author(name: str) -> Reply:
    return Reply(f"<!doctype html><h1>{name}</h1><p>Born somewhere.</p>".encode(), headers=HTML)


QUOTES: dict[str, Reply] = {
    "/robots.txt": plain("User-agent: ForbearBot\nDisallow: /author/private\n"),
    "/": quotes("One.", "Ann", "/author/ann", "/page/2"),
    "/page/2": quotes("Two.", "Bea", "/author/private", "/page/3"),
    "/page/3": Reply(quotes("Three.", "Cal", "/author/ann").body, headers=(*HTML, ("TDM-Reservation", "1"))),
    "/author/ann": author("Ann"),
    "/author/private": author("Bea"),
}


def test_a_project_of_ordinary_shape(scrapy: Scrapy, tmp_path: Path) -> None:
    with Web({"quotes.example": QUOTES}) as web:
        run = scrapy(web, "quotes", "-a", "start=http://quotes.example/", project=ROOT / "examples" / "scrapy_project")
    assert run.code == 0, run.log
    texts = {url: (item["text"], item["author"]) for url, item in run.items.items()}
    assert texts == {  # its own items, through its own pipeline: the quotation marks are off
        "http://quotes.example/": ("One.", "Ann"),
        "http://quotes.example/page/2": ("Two.", "Bea"),
        "http://quotes.example/author/ann": ("Born somewhere.", "Ann"),
    }
    assert "/author/private" not in {hit.path for hit in web.hits}
    assert {hit.headers["User-Agent"] for hit in web.hits} == {NAME}
    assert run.stats == {
        "forbear/allowed": 3,
        "forbear/excluded": 2,
        "forbear/excluded/robots": 1,
        "forbear/excluded/tdmrep": 1,
    }
    assert ("http://quotes.example/author/private", "request", "excluded") in run.decided
    assert ("http://quotes.example/page/3", "page", "excluded") in run.decided
    [(state, agent, configuration)] = run.rows("SELECT state, user_agent, configuration FROM crawls")
    assert (state, agent, json.loads(configuration)["spider"]) == ("finished", NAME, "quotes")
    assert "ROBOTSTXT_OBEY is switched off" in run.log
    check_laws(f"sqlite:///{run.database}", tmp_path / "no-corpus")


# A project that has everything in the way.

GZIPPED = gzip.compress(b"User-agent: *\nDisallow: /secret\n" * 50 + b"Disallow: /\n")


def flaky() -> Site:
    """Its robots.txt fails the first time, its page the second."""
    answers = {"/robots.txt": [Reply(b"", 503), plain("")], "/": [Reply(b"", 503), page()]}

    def answer(path: str) -> Reply:
        left = answers.get(path, [plain("", status=404)])
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


WAYS: dict[str, Site] = {
    "open.example": {
        "/robots.txt": plain("User-agent: *\nDisallow: /private/\n"),
        "/": page(),
        "/header": Reply(page().body, headers=(*HTML, ("X-Robots-Tag", "noai"))),
        "/markup": Reply(b'<meta name="robots" content="noai"><p>p</p>', headers=HTML),
        "/moved": moved("http://shut.example/page"),
        "/stay": Reply(b"<p>The whole page, and an address.</p>", 302, (*HTML, ("Location", "/private/x"))),
        "/private/dont-obey": page(),
        "/private/image": page(),
        "/private/form": page(),
    },
    "shut.example": {"/robots.txt": SHUT, "/page": page()},
    "half.example": {
        "/robots.txt": Reply(GZIPPED[: len(GZIPPED) // 2], headers=(("Content-Encoding", "gzip"),)),
        "/": page(),
    },
    "broken.example": {"/robots.txt": Reply(b"", 500), "/": page()},
}

REFUSED: dict[str, tuple[str, str, str]] = {
    "http://open.example/private/dont-obey": ("request", "excluded", "Disallow: /private/"),
    "http://open.example/header": ("page", "excluded", "noai"),
    "http://open.example/markup": ("page", "excluded", "noai"),
    "http://open.example/canned/reserved": ("page", "excluded", "noai"),
    "http://open.example/moved": ("request", "excluded", "Disallow: /"),
    "http://half.example/": ("request", "deferred", "truncated"),
    "http://broken.example/": ("request", "deferred", "500"),
    "form": ("request", "excluded", "Disallow: /private/"),
    "image": ("request", "excluded", "Disallow: /private/"),
}


def test_no_way_past_it(scrapy: Scrapy, tmp_path: Path) -> None:
    with Web(WAYS | {"flaky.example": flaky()}) as web:
        run = scrapy(web, "ways")
    assert run.code == 0, run.log
    came = {asked: item["status"] for asked, item in run.items.items() if "status" in item}
    assert came == {
        "http://open.example/": 200,
        "http://open.example/canned": 200,
        "http://open.example/gone": 404,  # the spider handles it itself
        "http://open.example/stay": 302,
        "http://flaky.example/": 200,  # tried again, both its robots.txt and its page
        "data:text/html,<p>not the web</p>": 200,
    }
    assert run.items["http://open.example/stay"]["bytes"] == 0  # where it leads, and nothing of the page
    assert {asked for asked, item in run.items.items() if "message" in item} == set(REFUSED)
    for asked, (stage, verdict, quote) in REFUSED.items():
        item = run.items[asked]
        assert quote in item["message"], asked
        assert item.get("refused", ["Refused", True]) == ["Refused", True]
        assert (item["url"], stage, verdict) in run.decided, asked
    [(verdict, stage)] = run.rows(
        f"SELECT verdict, stage FROM decisions WHERE id = '{run.items['http://open.example/']['decision']}'"
    )
    assert (verdict, stage) == ("allowed", "page")
    sent = {(hit.host, hit.path) for hit in web.hits}
    assert not {path for host, path in sent if path.startswith("/private")}
    assert not {host for host, path in sent if host in ("shut.example", "half.example") and path in ("/", "/page")}
    assert {hit.headers["User-Agent"] for hit in web.hits} == {NAME}
    check_laws(f"sqlite:///{run.database}", tmp_path / "no-corpus")


def test_an_answer_from_a_cache_is_decided_about(scrapy: Scrapy, tmp_path: Path) -> None:
    site = {"/robots.txt": plain(""), "/0": page()}
    cache = ("-s", "HTTPCACHE_ENABLED=1", "-s", f"HTTPCACHE_DIR={tmp_path}/cache", "-a", "pages=1")
    with Web({"open.example": site}) as web:
        assert scrapy(web, "walk", *cache, db="first.db").items["http://open.example/0"]["status"] == 200
        site["/robots.txt"] = SHUT
        second = scrapy(web, "walk", *cache, db="second.db")
    assert "Disallow: /" in second.items["http://open.example/0"]["message"]


def test_a_host_is_asked_as_slowly_as_it_says(scrapy: Scrapy) -> None:
    slow = {"/robots.txt": plain("User-agent: *\nCrawl-delay: 1\n")} | {f"/{number}": page() for number in range(3)}
    with Web({"slow.example": slow}) as web:
        run = scrapy(
            web,
            "walk",
            "-a",
            "site=http://slow.example",
            "-s",
            "AUTOTHROTTLE_ENABLED=1",
            "-s",
            "AUTOTHROTTLE_START_DELAY=0.1",
        )
    assert {item["status"] for item in run.items.values()} == {200}
    times = [hit.at for hit in web.hits if hit.path in ("/0", "/1", "/2")]
    # Scrapy counts from when a request left, which on a busy machine is some time before it is noted as received.
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.5


def test_shadow_mode_enforces_nothing_and_warns(scrapy: Scrapy) -> None:
    site = {"/robots.txt": plain("User-agent: *\nDisallow: /0\n"), "/0": page(), "/1": page(), "/2": page()}
    with Web({"open.example": site}) as web:
        run = scrapy(web, "walk", "-s", "FORBEAR_SHADOW=1")
    assert [item["status"] for item in run.items.values()] == [200, 200, 200]
    assert "NOTHING IS ENFORCED" in run.log
    assert ("http://open.example/0", "request", "excluded") in run.decided
    assert run.stats == {"forbear/allowed": 2, "forbear/excluded": 1, "forbear/excluded/robots": 1}
    assert run.rows("SELECT shadow, state FROM crawls") == [(1, "finished")]


def test_without_its_log_nothing_passes(scrapy: Scrapy, tmp_path: Path) -> None:
    database = tmp_path / "forbear.db"

    def site(path: str) -> Reply:
        if path == "/2":  # the log breaks while this page is on its way
            with sqlite3.connect(database) as connection:
                connection.execute("DROP TABLE decision_captures")
        return plain("") if path == "/robots.txt" else page() if path[1:].isdigit() else plain("", status=404)

    with Web({"open.example": site}) as web:
        run = scrapy(web, "walk", "-a", "pages=20", "-s", "CONCURRENT_REQUESTS=1")
    came = [asked for asked, item in run.items.items() if "status" in item]
    assert came == ["http://open.example/0", "http://open.example/1"]
    assert "'finish_reason': 'forbear_log_failed'" in run.log
    assert "cannot be used: no such table" in run.log
    assert "Traceback" not in run.log
    assert not {hit.path for hit in web.hits} & {f"/{number}" for number in range(4, 20)}


def test_a_run_with_a_jobdir_goes_on_with_its_crawl(scrapy: Scrapy, tmp_path: Path) -> None:
    site = {"/robots.txt": plain(""), "/0": page(), "/1": page(), "/2": page()}
    words = ("-s", f"JOBDIR={tmp_path}/job", "-s", "CONCURRENT_REQUESTS=1")
    with Web({"open.example": site}) as web:
        first = scrapy(web, "walk", *words, "-s", "CLOSESPIDER_ITEMCOUNT=1")
        assert first.rows("SELECT state FROM crawls") == [("stopped",)]
        assert scrapy(web, "walk", *words).rows("SELECT state FROM crawls") == [("finished",)]
        other = scrapy(web, "walk", "-s", "CONCURRENT_REQUESTS=1")
    assert other.rows("SELECT state FROM crawls") == [("finished",), ("finished",)]


TWO = """
import sys
from scrapy.crawler import {process}
from scrapy.utils.project import get_project_settings
process = {process}(get_project_settings())
process.settings.set("FORBEAR_DB", sys.argv[1])
process.crawl("walk")
process.crawl("stroll", pages="2")
process.start()
"""


@pytest.mark.parametrize("process", ["CrawlerProcess", "AsyncCrawlerProcess"])
def test_two_spiders_in_one_process(process: str, tmp_path: Path) -> None:
    database = tmp_path / "forbear.db"
    site = {"/robots.txt": plain(""), "/0": page(), "/1": page(), "/2": page()}
    with Web({"open.example": site}) as web:
        done = _start([sys.executable, "-c", TWO.format(process=process), f"sqlite:///{database}"], web, tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run(done.returncode, done.stderr, {}, database)
    pages = run.rows(
        "SELECT json_extract(configuration, '$.spider'), state, count(decisions.id) FROM crawls "
        "JOIN decisions ON decisions.crawl = crawls.id AND stage = 'page' GROUP BY crawls.id ORDER BY 1"
    )
    assert pages == [("stroll", "finished", 2), ("walk", "finished", 3)]


FATAL: dict[str, tuple[tuple[str, ...], str]] = {
    "no contact": (("-s", "FORBEAR_CONTACT="), "FORBEAR_CONTACT is missing"),
    "another reactor": (
        ("-s", "TWISTED_REACTOR=twisted.internet.selectreactor.SelectReactor"),
        "Forbear needs the asyncio reactor",
    ),
    "no such database": (("-s", "FORBEAR_DB=mysql://host/db"), "neither sqlite:///FILE nor postgresql"),
}


@pytest.mark.parametrize(("words", "sentence"), FATAL.values(), ids=FATAL)
def test_it_never_runs_without_enforcement(words: tuple[str, ...], sentence: str, scrapy: Scrapy) -> None:
    with Web({"open.example": {"/0": page()}}) as web:
        run = scrapy(web, "walk", *words)
    assert run.code == 1
    assert sentence in run.log
    assert web.hits == []


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no contact": ({"FORBEAR_CONTACT": None}, "FORBEAR_CONTACT is missing"),
    "not a contact": ({"FORBEAR_CONTACT": "me"}, "'me' is not a contact: set FORBEAR_CONTACT"),
    "not a product token": ({"FORBEAR_AGENT": "Bot 2"}, "'Bot 2' is not a product token"),
    "a browser's name": ({"USER_AGENT": "Mozilla/5.0 (X11)"}, "does not begin with a product token of its own"),
    "no name at all": ({"USER_AGENT": "2000"}, "does not begin with a product token of its own"),
    "another agent": ({"USER_AGENT": "Bot/1", "FORBEAR_AGENT": "Other"}, "'Other' is not in USER_AGENT 'Bot/1'"),
    "an unknown use": ({"FORBEAR_USE": "fun"}, "FORBEAR_USE 'fun' is unknown: choose"),
    "an unknown profile": ({"FORBEAR_PROFILE": "lax"}, "FORBEAR_PROFILE 'lax' is unknown: choose standard, strict"),
    "a list that is not there": ({"FORBEAR_OPERATOR_LIST": "/no/list"}, "FORBEAR_OPERATOR_LIST: /no/list cannot be"),
}


@pytest.mark.parametrize(("settings", "sentence"), BAD.values(), ids=BAD)
def test_settings_that_cannot_be_used(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadConfig, match=r".") as raised:
        ForbearAddon().update_settings(Settings({"FORBEAR_CONTACT": CONTACT} | settings))
    assert sentence in str(raised.value)


IDENTITIES: dict[str, tuple[dict[str, str], str, str]] = {
    "Scrapy's own": ({}, "ForbearBot", NAME),
    "an agent": ({"FORBEAR_AGENT": "QuoteBot"}, "QuoteBot", f"QuoteBot/{__version__} (+{CONTACT})"),
    "the project's": ({"USER_AGENT": "QuoteBot/2"}, "QuoteBot", f"QuoteBot/2 (+{CONTACT})"),
    "with contact": ({"USER_AGENT": f"QuoteBot/2 (+{CONTACT})"}, "QuoteBot", f"QuoteBot/2 (+{CONTACT})"),
    "inside another": (
        {"USER_AGENT": "Mozilla/5.0 (compatible; QuoteBot/2)", "FORBEAR_AGENT": "QuoteBot"},
        "QuoteBot",
        f"Mozilla/5.0 (compatible; QuoteBot/2) (+{CONTACT})",
    ),
}


@pytest.mark.parametrize(("settings", "agent", "header"), IDENTITIES.values(), ids=IDENTITIES)
def test_the_token_asked_about_is_the_one_sent(settings: dict[str, str], agent: str, header: str) -> None:
    config = Config.read(Settings({"FORBEAR_CONTACT": CONTACT} | settings))
    assert (config.agent, config.user_agent) == (agent, header)
