"""The live fetcher asks politely, and nothing before it is decided."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from itertools import pairwise

import pytest

from forbear.crawler.engine.live import Live, Outcome, ask
from forbear.crawler.fetch.network import Guard
from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout import policy
from forbear.optout.model import Capture, Failure, Profile, Question, Stage, Verdict
from forbear.optout.readers.url import NotAUrl


def ok(body: str, *fields: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *fields, "", body]
    return "\r\n".join(lines).encode()


def to(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def asked(
    url: str, *, profile: Profile = Profile.STANDARD, page: bool = True, known: Iterable[Capture] = ()
) -> Outcome:
    async def run() -> Outcome:
        with WorkerPool() as pool:
            reader = BoundedReader(pool)
            async with Live(Guard(allow_private=True), version="1") as live:
                return await ask(Question(url, profile=profile), policy.load(), live, reader, known=known, page=page)

    return asyncio.run(run())


def test_the_page_is_read_once_everything_else_allows_it(server) -> None:
    server.answers |= {"/robots.txt": ok("User-agent: *\nDisallow: /b\n"), "/a": ok("<p>text</p>")}
    outcome = asked(f"{server.origin}/a")
    assert (outcome.decision.verdict, outcome.decision.stage) == (Verdict.ALLOWED, Stage.PAGE)
    assert (server.targets[0], server.targets[-1]) == ("/robots.txt", "/a")
    assert [capture.url for capture in outcome.captures] == [server.origin + target for target in server.targets]
    assert len(set(server.targets)) == len(server.targets)


def test_a_page_that_robots_txt_shuts_is_never_asked_for(server) -> None:
    server.answers["/robots.txt"] = ok("User-agent: *\nDisallow: /a\n")
    outcome = asked(f"{server.origin}/a")
    assert (outcome.decision.verdict, outcome.decision.stage) == (Verdict.EXCLUDED, Stage.REQUEST)
    assert "/a" not in server.targets


def test_a_page_behind_a_robots_txt_that_fails_is_never_asked_for(server) -> None:
    server.answers["/robots.txt"] = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    assert asked(f"{server.origin}/a").decision.verdict is Verdict.DEFERRED
    assert "/a" not in server.targets


def test_each_hop_of_a_redirect_is_decided_before_it_is_requested(server) -> None:
    server.answers |= {"/robots.txt": ok("User-agent: *\nDisallow: /c\n"), "/a": to("/b"), "/b": to("/c")}
    outcome = asked(f"{server.origin}/a")
    assert (outcome.decision.verdict, outcome.decision.url) == (Verdict.EXCLUDED, f"{server.origin}/c")
    assert server.targets[-2:] == ["/a", "/b"]


def test_a_redirect_to_an_address_that_is_not_public_is_not_followed(server, monkeypatch) -> None:
    """Here 127.0.0.1 alone counts as public; 127.0.0.2 plays a host behind the firewall."""
    monkeypatch.setattr(Guard, "allows", lambda _, address: address == "127.0.0.1")
    server.answers |= {"/robots.txt": ok(""), "/a": to(f"http://127.0.0.2:{server.port}/secret")}
    outcome = asked(f"{server.origin}/a")
    assert outcome.decision.verdict is Verdict.DEFERRED
    assert (outcome.captures[-1].url, outcome.captures[-1].error) == (
        f"http://127.0.0.2:{server.port}/robots.txt",
        Failure.REFUSED,
    )
    assert server.targets[-1] == "/a"


def test_without_the_page_the_answer_is_whether_it_may_be_requested(server) -> None:
    outcome = asked(f"{server.origin}/a", page=False)
    assert (outcome.decision.verdict, outcome.decision.stage) == (Verdict.ALLOWED, Stage.REQUEST)
    assert "/a" not in server.targets


def test_what_is_known_is_not_asked_for_again(server) -> None:
    server.answers["/a"] = ok("x")
    first = asked(f"{server.origin}/a")
    before = len(server.targets)
    again = asked(f"{server.origin}/a", known=first.captures)
    assert (again.captures, len(server.targets)) == ((), before)
    assert again.decision == first.decision


@pytest.mark.parametrize(
    ("contact", "identity"),
    [
        (None, b"ForbearBot/1"),
        ("https://a.example/bot", b"ForbearBot/1 (+https://a.example/bot)"),
        ("mailto:bot@a.example", b"ForbearBot/1 (+mailto:bot@a.example)"),
    ],
)
def test_it_says_who_it_is(server, contact: str | None, identity: bytes) -> None:
    async def run() -> None:
        async with Live(Guard(allow_private=True), version="1", contact=contact) as live:
            await live.fetch(f"{server.origin}/")

    asyncio.run(run())
    assert b"\r\nUser-Agent: %s\r\n" % identity in server.heads[0]
    assert b"Cookie" not in server.heads[0]


def times(server, targets: tuple[str, ...], *, delay: float = 0, max_delay: float = 10) -> list[float]:
    """When each of several requests, made at once, reached the server, which takes 0.05 s to answer."""
    arrived: list[float] = []
    for target in targets:
        body = server.answers.get(target, ok("x"))

        def answer(connection, body=body) -> None:
            arrived.append(time.monotonic())
            time.sleep(0.05)
            connection.sendall(body)

        server.answers[target] = answer

    async def run() -> None:
        async with Live(Guard(allow_private=True), version="1", delay=delay, max_delay=max_delay) as live:
            await asyncio.gather(*(live.fetch(server.origin + target) for target in targets))

    asyncio.run(run())
    return arrived


def gaps(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments)]


def test_a_host_gets_one_request_at_a_time(server) -> None:
    assert all(gap >= 0.045 for gap in gaps(times(server, ("/a", "/b", "/c"))))


def test_the_delay_is_kept(server) -> None:
    assert all(gap >= 0.24 for gap in gaps(times(server, ("/a", "/b", "/c"), delay=0.2)))


def test_a_crawl_delay_is_kept_up_to_a_limit(server) -> None:
    server.answers["/robots.txt"] = ok("User-agent: *\nCrawl-delay: 3600\n")
    assert all(60 > gap >= 0.14 for gap in gaps(times(server, ("/robots.txt", "/b", "/c"), max_delay=0.1)))


def test_through_a_proxy_names_are_its_business_and_the_guard_stays(server) -> None:
    server.answers |= {"http://site.example/a?": ok("by proxy"), "http://[2606:4700::1]:8080/": ok("by number")}

    async def run() -> list[Capture]:
        async with Live(Guard(), version="1", proxy=server.origin) as live:
            urls = (*server.answers, "http://127.0.0.1/", "http://localhost/", "http://10.0.0.1/")
            return [await live.fetch(url) for url in urls]

    by_name, by_number, *others = asyncio.run(run())
    assert (by_name.body, by_number.body) == (b"by proxy", b"by number")
    assert {capture.error for capture in others} == {Failure.REFUSED}
    assert server.targets == list(server.answers)


def test_a_proxy_that_wants_a_password_is_given_it_and_no_site_is(server) -> None:
    """RFC 9110 9.3.6: the tunnel to a site with TLS is asked for first; this proxy refuses it all the same."""
    server.answers["site.example:443"] = b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n"

    async def run() -> Capture:
        proxy = server.origin.replace("://", "://me:s%20t@")
        async with Live(Guard(), version="1", proxy=proxy) as live:
            return await live.fetch("https://site.example/a")

    capture = asyncio.run(run())
    assert (capture.status, capture.error) == (None, Failure.PROTOCOL)
    assert "407" in capture.memo["detail"]
    assert b"\r\nProxy-Authorization: Basic bWU6cyB0\r\n" in server.heads[0]


def test_a_cookie_is_not_sent_back(server) -> None:
    server.answers["/a"] = ok("", "Set-Cookie: seen=1; Path=/")

    async def run() -> None:
        async with Live(Guard(allow_private=True), version="1") as live:
            await live.fetch(f"{server.origin}/a")
            await live.fetch(f"{server.origin}/a")

    asyncio.run(run())
    assert len(server.heads) == 2
    assert not any(b"seen=1" in head for head in server.heads)


@pytest.mark.parametrize("location", ["http://xn--i-7iq.example/", "http://[x/", "https://a.example:99999/", "http://"])
def test_a_redirect_is_an_answer_wherever_it_points(server, location: str) -> None:
    server.answers["/a"] = to(location)

    async def run() -> Capture:
        async with Live(Guard(allow_private=True), version="1") as live:
            return await live.fetch(f"{server.origin}/a")

    capture = asyncio.run(run())
    assert (capture.status, capture.header("location")) == (302, [location])


def test_nothing_is_taken_from_the_environment(server, monkeypatch) -> None:
    for name in ("http_proxy", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.answers["/a"] = ok("direct")
    assert asked(f"{server.origin}/a").captures[-1].body == b"direct"


def test_what_is_not_a_url_is_not_fetched() -> None:
    with pytest.raises(NotAUrl):
        asked("ftp://a.example/")
