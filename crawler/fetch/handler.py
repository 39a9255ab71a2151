"""Scrapy's download handler, on top of Forbear's HTTP client (Scrapy 2.19)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from scrapy import exceptions, signals
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.http import Headers, Request, Response

from forbear.crawler.fetch.bot_auth import read_signer
from forbear.crawler.fetch.client import Client, Proxy, failure
from forbear.crawler.fetch.decoding import ACCEPTED
from forbear.crawler.fetch.http1 import BadAnswer
from forbear.crawler.fetch.network import Guard, NotPublic, explain
from forbear.crawler.fetch.scrapy_internals import check_stop_download, make_response
from forbear.optout.model import Failure
from forbear.optout.readers import url as urls

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from forbear.crawler.fetch.client import Answer
    from forbear.optout.readers.url import Url

_NO_LIMIT = 1 << 40

CUT_OFF = object()
"""Signal: abort all requests in flight with CutOff."""


CHECK = "forbear_check"
"""Key in ``request.meta`` for a function that is called just before sending, and may raise CutOff."""

_SCRAPYS = {
    Failure.DNS: exceptions.CannotResolveHostError,
    Failure.REFUSED: exceptions.DownloadConnectionRefusedError,
    Failure.TIMEOUT: exceptions.DownloadTimeoutError,
    Failure.TOO_LARGE: exceptions.DownloadCancelledError,
    Failure.TRUNCATED: exceptions.ResponseDataLossError,
}
"""Exceptions that Scrapy's own handlers raise and its middlewares know; the rest is DownloadFailedError."""


class CutOff(exceptions.IgnoreRequest):
    """The crawl ended, or lost its lease on the host, before the answer came: this is not the site's doing."""


class GuardedHandler(BaseDownloadHandler):
    """Downloads what the guard allows, and returns a whole answer or raises.

    Settings: ``FORBEAR_ALLOW_PRIVATE_NETWORKS`` (bool), ``FORBEAR_RESOLVE`` (list of pins),
    ``FORBEAR_SIGNING_KEY`` (path) with ``FORBEAR_SIGNATURE_AGENT`` (origin), Scrapy's
    ``DOWNLOAD_TIMEOUT`` (seconds, for the whole exchange) and ``DOWNLOAD_MAXSIZE`` (bytes, before and after decoding;
    0 is none). ``request.meta["received_headers"]`` gets the header fields as they came, in order, as
    ``model.Capture`` has them.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        settings = crawler.settings
        guard = Guard(
            allow_private=settings.getbool("FORBEAR_ALLOW_PRIVATE_NETWORKS"),
            resolve=settings.getlist("FORBEAR_RESOLVE"),
        )
        key = settings.get("FORBEAR_SIGNING_KEY")
        self._signer = read_signer(Path(key) if key else None, settings.get("FORBEAR_SIGNATURE_AGENT"))
        self._timeout = settings.getfloat("DOWNLOAD_TIMEOUT")
        self._limit = settings.getint("DOWNLOAD_MAXSIZE")
        self._client = Client(guard, keep=True)
        # Scrapy's downloader may start two requests to a host where it is to have one (2.19: _process_queue).
        self._one_at_a_time = settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN") == 1
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._under_way: set[asyncio.Task[Response]] = set()
        self._ended = False
        crawler.signals.connect(self._cut_off, signal=CUT_OFF)

    async def download_request(self, request: Request) -> Response:
        """Returns the answer with its body decoded. Raises CutOff or Scrapy's exceptions (see ``client.failure``)."""
        if self._ended:
            raise CutOff(f"{request.url} was not requested")
        task = asyncio.ensure_future(self._download(request))
        self._under_way.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            raise CutOff(f"{request.url} has not answered yet") from None
        except NotPublic:
            raise
        except (BadAnswer, OSError) as error:
            raise _SCRAPYS.get(failure(error), exceptions.DownloadFailedError)(explain(error)) from error
        finally:
            self._under_way.discard(task)

    async def _download(self, request: Request) -> Response:
        url = urls.parse(request.url)
        if not self._one_at_a_time:
            return await self._ask(request, url)
        async with self._turns.setdefault(url.host, asyncio.Lock()):
            return await self._ask(request, url)

    async def _ask(self, request: Request, url: Url) -> Response:
        request.headers[b"Accept-Encoding"] = ACCEPTED.encode()
        if self._signer:
            request.headers.update(self._signer.request_headers(request.method, url.origin))
        began = time.monotonic()
        async with self._client.ask(
            url,
            [(name, value) for name, values in request.headers.items() for value in values or ()],
            timeout=request.meta.get("download_timeout", self._timeout),
            proxy=_proxy(request),
            method=request.method,
            content=request.body,
            before=request.meta.get(CHECK),  # as late as possible
        ) as answer:
            request.meta["received_headers"] = answer.fields
            request.meta["download_latency"] = time.monotonic() - began
            return await self._read(request, answer)

    async def _read(self, request: Request, answer: Answer) -> Response:
        """Reads the body, unless a signal handler of the project stops the download."""
        head, octets = answer.head, bytearray()
        made = partial(
            make_response,
            request.url,
            head.status,
            headers := Headers(head.fields),
            certificate=answer.certificate,
            ip_address=ip_address(answer.address),
            protocol=head.version,
        )

        def send(signal: object, **about: Any) -> None:
            if stop := check_stop_download(signal, self.crawler, request, **about):
                raise _Stopped(made(body=bytes(octets), stop_download=stop))

        def seen(part: bytes) -> None:
            octets.extend(part)
            send(signals.bytes_received, data=part)

        limit = request.meta.get("download_maxsize", self._limit) or _NO_LIMIT
        try:
            send(signals.headers_received, headers=headers, body_length=answer.length)
            body = await answer.body(limit, seen)
        except _Stopped as stopped:
            return stopped.response
        headers.pop(b"Content-Encoding", None)
        return made(body=body)

    def _cut_off(self) -> None:
        self._ended = True
        for task in self._under_way:
            task.cancel()

    async def close(self) -> None:
        """Ends every connection."""
        await self._client.close()


class _Stopped(Exception):
    """A signal handler of the project stopped the download."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _proxy(request: Request) -> Proxy | None:
    """Returns the proxy in the request's meta, with the credentials that HttpProxyMiddleware set."""
    url = request.meta.get("proxy")
    if not url:
        return None
    proxy = Proxy.parse(url)
    credentials = request.headers.get(b"Proxy-Authorization")
    return replace(proxy, credentials=credentials) if credentials else proxy
