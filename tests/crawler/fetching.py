"""The two ways in which Forbear asks a server: the handler of a crawl, and the fetcher of a single question."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from scrapy import Request
from scrapy.utils.test import get_crawler

from forbear.crawler.engine.live import Live
from forbear.crawler.fetch import client, network
from forbear.crawler.fetch.handler import GuardedHandler
from forbear.crawler.fetch.network import Guard
from forbear.optout.model import Capture

LIMIT = 100_000
PATIENCE, SHORT = 60.0, 0.5
"""Seconds: what is answered at all is answered in the first, on any machine; the other is for what never is."""

Fetch = Callable[..., Coroutine[Any, Any, Capture]]


async def by_crawl(
    url: str, *, allow_private: bool = True, resolve: list[str] | None = None, patience: float = PATIENCE
) -> Capture:
    settings = {
        "TWISTED_REACTOR_ENABLED": False,
        "FORBEAR_ALLOW_PRIVATE_NETWORKS": allow_private,
        "FORBEAR_RESOLVE": resolve or [],
        "DOWNLOAD_MAXSIZE": LIMIT,
    }
    downloads = GuardedHandler(get_crawler(settings_dict=settings))
    request = Request(url, meta={"verbatim_url": True, "download_timeout": patience})
    try:
        response = await downloads.download_request(request)
    except Exception as error:  # noqa: BLE001 every one is to have a name
        return Capture(url, error=client.failure(error), memo={"detail": network.explain(error)})
    finally:
        await downloads.close()
    return Capture(url, response.status, request.meta["received_headers"], response.body)


async def live(
    url: str, *, allow_private: bool = True, resolve: list[str] | None = None, patience: float = PATIENCE
) -> Capture:
    guard = Guard(allow_private=allow_private, resolve=resolve or [])
    async with Live(guard, version="1", timeout=patience, max_body=LIMIT) as fetcher:
        return await fetcher.fetch(url)


both = pytest.mark.parametrize("fetch", [by_crawl, live])


def ok(body: bytes, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), b"Connection: close", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def encoded(coding: bytes, body: bytes) -> bytes:
    return ok(body, b"Content-Encoding: " + coding)
