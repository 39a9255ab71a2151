"""The cost of reading an answer is limited for every caller: what exceeds it is deferred, and named."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.crawler.engine.reservation_files import SHORTEST, expiry
from forbear.crawler.limits import bounded
from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import TooCostly, WorkerPool
from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Failure, Question, Verdict
from forbear.storage.db.records import now
from tests.crawler import hostile_calls
from tests.crawler.crawls import Crawler, page, plain, until, urls
from tests.optout.pictures import packet, picture

TOO_LITTLE = 1 << 20
"""Bytes that no worker can do with, whatever it reads."""
BECAUSE = "cannot be read: more than 1 MiB of memory were needed."

URL = "https://a.example/photo"
RESERVED = Capture(URL, 200, (("Content-Type", "image/jpeg"),), picture(xmp=packet()))
PLAIN = Capture("https://a.example/", 200, (("Content-Type", "text/html"),), b"<p>text</p>")
NAMED = Capture(
    "https://a.example/", 200, (("Link", '</licence.xml>; rel="license"; type="application/rsl+xml"'),), b"<p>text</p>"
)
LICENCE = Capture(
    "https://a.example/licence.xml",
    200,
    (("Content-Type", "application/rsl+xml"),),
    b'<rsl xmlns="https://rslstandard.org/rsl"><content url="/"><license><prohibits type="usage">ai-train</prohibits>'
    b"</license></content></rsl>",
)


@pytest.fixture(scope="module")
def reader() -> Iterator[BoundedReader]:
    with WorkerPool(1) as pool:
        yield BoundedReader(pool)


def decided(reader: BoundedReader, *known: Capture) -> tuple[Decision, Captures]:
    """About the first of some captures, in both ways."""
    captures = Captures((Capture(one.url, one.status, one.headers, one.body) for one in known), complete=True)
    question = Question(known[0].url)
    answer = reader.decide(question, captures, policy.load())
    again = Captures((Capture(one.url, one.status, one.headers, one.body) for one in known), complete=True)
    assert asyncio.run(reader.decide_later(question, again, policy.load())) == answer
    assert isinstance(answer, Decision)
    return answer, captures


@pytest.mark.parametrize("known", [(RESERVED,), (PLAIN,), (NAMED, LICENCE)])
@pytest.mark.parametrize("cheap", [bounded.CHEAP, 0.0])
def test_the_decision_is_the_same_wherever_it_is_made(
    reader: BoundedReader, monkeypatch: pytest.MonkeyPatch, known: tuple[Capture, ...], cheap: float
) -> None:
    monkeypatch.setattr(bounded, "CHEAP", cheap)
    answer, captures = decided(reader, *known)
    assert answer == decide(Question(known[0].url), Captures(known, complete=True), policy.load())
    assert all(capture.error is None for capture in captures)


def test_a_page_costs_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with WorkerPool(1) as pool:
        monkeypatch.setattr(pool, "run", None)
        monkeypatch.setattr(pool, "run_in_thread", None)
        assert decided(BoundedReader(pool), PLAIN)[0].verdict is Verdict.ALLOWED


@pytest.mark.parametrize(
    ("known", "source"), [((RESERVED,), RESERVED), ((NAMED, LICENCE), LICENCE), ((RESERVED, LICENCE), RESERVED)]
)
def test_what_takes_too_much_is_a_failure_with_a_name(known: tuple[Capture, ...], source: Capture) -> None:
    with WorkerPool(1, memory=TOO_LITTLE) as pool:
        answer, captures = decided(BoundedReader(pool), *known)
    [reason] = answer.reasons
    assert (answer.verdict, reason.quote, reason.source) == (Verdict.DEFERRED, "too-costly", source.url)
    failed = captures.get(source.url)
    assert failed
    assert failed.error is Failure.TOO_COSTLY
    assert f"{source.url} {BECAUSE}" in [gap.detail for gap in answer.gaps]


def test_what_is_bearable_alone_and_not_together_costs_the_dearest(
    reader: BoundedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(function: object, *args: object) -> object:
        if function is decide:
            monkeypatch.setattr(reader.pool, "run", call)
            raise TooCostly("all together were too much")
        return {URL: 0.1, LICENCE.url: 0.3}[str(list(args[1])[-1].url)]  # type: ignore[call-overload]

    call = reader.pool.run
    monkeypatch.setattr(reader.pool, "run", run)
    captures = Captures([replace(RESERVED, memo={}), replace(LICENCE, memo={})], complete=True)
    answer = reader.decide(Question(URL), captures, policy.load())
    assert isinstance(answer, Decision)
    assert answer.verdict is Verdict.EXCLUDED
    assert {capture.url: capture.error for capture in captures} == {URL: None, LICENCE.url: Failure.TOO_COSTLY}


def test_what_took_too_much_is_not_asked_for_again_at_once() -> None:
    at = now()
    assert expiry(Capture(URL, error=Failure.TOO_COSTLY), at) == at + SHORTEST > at + timedelta(minutes=1)


def test_links_and_text_of_a_heavy_page_are_read_by_a_worker(reader: BoundedReader) -> None:
    heavy = Capture(URL, 200, (("Content-Type", "text/html"),), b"<p>" + b" " * (1 << 20))
    assert reader.read(hostile_calls.pid, heavy) == reader.read(hostile_calls.pid, heavy)
    assert reader.read(hostile_calls.pid, heavy) != reader.read(hostile_calls.pid, PLAIN)


# --- the commands

PHOTO = Reply(picture(), headers=(("Content-Type", "image/jpeg"),))


def test_a_crawl_defers_it_gives_it_up_and_goes_on(crawler: Crawler) -> None:
    sites = {"a.example": {"/": page("/photo", "/b"), "/photo": PHOTO, "/b": page()}}
    with Web(sites) as web:
        done = crawler.start(web, "http://a.example/", memory=TOO_LITTLE, retries=1, log_format="json").wait()
        assert (done.code, done.summary["kept"]) == (0, 2)
        assert done.summary["deferred"] == {"decisions": 2, "by_failure": {"too-costly": 2}}
        assert crawler.frontier()["http://a.example/photo"] == "abandoned"
        assert crawler.reasons() == {"http://a.example/photo": {("unreachable", "too-costly")}}
        assert [hit.path for hit in web.hits].count("/photo") == 2
        [(detail,)] = crawler.rows("SELECT DISTINCT detail FROM gaps WHERE quote = 'too-costly'")
        assert detail.endswith(BECAUSE)
        assert crawler.run(web, "http://a.example/", resume=True).summary["kept"] == 1
    assert set(crawler.kept()) == urls("a.example", ("/", "/photo", "/b"))


def test_a_licence_that_takes_too_much_defers_the_pages_of_its_host(crawler: Crawler) -> None:
    licence = Reply(LICENCE.body, headers=LICENCE.headers)
    robots = plain("License: http://a.example/licence.xml\n")
    with Web({"a.example": {"/": page(), "/licence.xml": licence, "/robots.txt": robots}}) as web:
        crawler.start(web, "http://a.example/", memory=TOO_LITTLE).wait()
    assert crawler.reasons() == {"http://a.example/": {("unreachable", "too-costly")}}
    [(error, minutes)] = crawler.rows(
        "SELECT error, round((julianday(expires_at) - julianday(fetched_at)) * 1440) FROM captures"
        " WHERE url = 'http://a.example/licence.xml'"
    )
    assert (error, minutes) == ("too-costly", 5)


def test_a_filter_leaves_it_out(crawler: Crawler, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(picture())
    (folder / "1.json").write_text(json.dumps({"url": "http://a.example/1.jpg"}))
    crawler.program = "filter"
    with Web({"a.example": {}}) as web:
        done = crawler.start(web, str(folder), memory=TOO_LITTLE, retries=None).wait()
    assert done.summary["counts"] == {"deferred": 1}
    assert crawler.reasons() == {"http://a.example/1.jpg": {("unreachable", "too-costly")}}


def test_a_page_that_processes_die_of_while_they_read_it_is_given_up_soon(crawler: Crawler) -> None:
    with Web({"a.example": {"/": page(words="dies here")}}) as web:
        for deaths in (0, 11, 55):
            if deaths == 55:
                crawler.change("UPDATE frontier SET deaths = 44")
            assert crawler.start(web, "http://a.example/", deadly="dies here").wait().code == -signal.SIGKILL
            assert crawler.rows("SELECT attempts, deaths FROM frontier") == [(0, deaths)]
        assert crawler.run(web, "http://a.example/", deadly="dies here").summary["finished"]
        assert [hit.path for hit in web.hits].count("/") == 3
    assert crawler.frontier() == {"http://a.example/": "abandoned"}
    assert crawler.reasons() == {"http://a.example/": {("unreachable", "too-costly")}}
    assert list((crawler.out / ".reading").iterdir()) == []


def test_a_page_that_was_under_way_at_many_deaths_is_given_up_too(crawler: Crawler) -> None:
    """Most pages that are fetched when a process dies are innocent."""
    with Web({"a.example": {"/": Reply(pause=3600)}}) as web:
        for deaths in range(2):
            process = crawler.start(web, "http://a.example/")
            until(lambda: [hit.path for hit in web.hits].count("/") > deaths)  # noqa: B023 in this turn alone
            process.kill()
            process.wait()
            assert crawler.rows("SELECT deaths FROM frontier") == [(deaths,)]
        crawler.change("UPDATE frontier SET deaths = 65")
        assert crawler.run(web, "http://a.example/").summary["finished"]
        assert [hit.path for hit in web.hits].count("/") == 2
    assert crawler.frontier() == {"http://a.example/": "abandoned"}
