"""What only the crawl's handler does: Scrapy's responses, and the operator's proxy."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from scrapy import Request
from scrapy.http import HtmlResponse, Response
from scrapy.utils.test import get_crawler

from forbear.crawler.fetch.client import failure
from forbear.crawler.fetch.handler import GuardedHandler
from forbear.crawler.fetch.network import NotPublic
from forbear.optout.model import Failure
from forbear.optout.readers.url import parse


def download(url: str, *, allow_private: bool = True, **meta: Any) -> Response:
    async def run() -> Response:
        settings = {"TWISTED_REACTOR_ENABLED": False, "FORBEAR_ALLOW_PRIVATE_NETWORKS": allow_private}
        handler = GuardedHandler(get_crawler(settings_dict=settings))
        try:
            return await handler.download_request(Request(url, meta={"verbatim_url": True, **meta}))
        finally:
            await handler.close()

    return asyncio.run(run())


def test_a_decoded_page_is_html_and_has_no_coding_left(server) -> None:
    body = gzip.compress("<p>für</p>".encode())
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\nContent-Length: %d"
    server.answers["/"] = head % len(body) + b"\r\n\r\n" + body
    response = download(f"{server.origin}/")
    assert isinstance(response, HtmlResponse)
    assert response.text == "<p>für</p>"
    assert "Content-Encoding" not in response.headers


def test_through_a_proxy_names_are_its_business_and_the_guard_stays(server) -> None:
    server.answers["http://site.example/a?"] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nby proxy"
    assert download("http://site.example/a?", allow_private=False, proxy=server.origin).body == b"by proxy"
    for host in ("127.0.0.1", "localhost", "10.0.0.1", "db.stage", "kubernetes.default.svc"):
        with pytest.raises(NotPublic) as raised:
            download(f"http://{host}/", allow_private=False, proxy=server.origin)
        assert failure(raised.value) is Failure.REFUSED
    assert server.targets == ["http://site.example/a?"]


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("/a b?x=^|", "/a%20b?x=^|"),
        ("/a|b/{c}?", "/a|b/%7Bc%7D?"),
        ("/?#part", "/?"),
        ("", "/"),
        ("/x/../y?q=ä b#z", "/y?q=%C3%A4%20b"),
        ("/%7e/%2F/%zz?a=%20+'\"<>", "/%7e/%2F/%zz?a=%20+%27%22%3C%3E"),
        ("/a\\b", "/a%5Cb"),
    ],
)
def test_what_was_decided_about_is_what_is_asked_for(server, written: str, target: str) -> None:
    """Scrapy would escape a request's URL again, and yarl drop an empty query; rules are compared with every byte."""
    href = parse(server.origin + written).href
    assert href == server.origin + target
    server.answers[target] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
    response = download(href)
    assert (response.url, response.body) == (href, b"fine")
    assert server.targets == [target]
