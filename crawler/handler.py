"""The connections of a crawl: Scrapy's aiohttp handler behind the guard, without leniency (Scrapy 2.19)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from scrapy import exceptions
from scrapy.core.downloader.handlers._aiohttp import AiohttpDownloadHandler, _ClientResponse
from scrapy.http import Headers, Request, Response, TextResponse
from scrapy.responsetypes import responsetypes

from crawler import http
from crawler.bot_auth import read_signer
from crawler.decoding import ACCEPTED, decode
from crawler.http import Name
from crawler.network import Guard
from optout.model import Failure
from optout.readers import url as urls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy.crawler import Crawler

_EXACT = (
    Name(exceptions.DownloadTimeoutError, Failure.TIMEOUT),
    Name(exceptions.DownloadCancelledError, Failure.TOO_LARGE),
    Name(aiohttp.ServerDisconnectedError, Failure.RESET),
    Name(aiohttp.http_exceptions.ContentLengthError, Failure.TRUNCATED),
    # A chunked body that ends early, and not one with a broken chunk:
    Name(aiohttp.http_exceptions.TransferEncodingError, Failure.TRUNCATED, "Not enough data"),
)
_VAGUE = (
    Name(aiohttp.ClientConnectorDNSError, Failure.DNS),
    Name(aiohttp.ClientConnectorError, Failure.REFUSED),
)
_NO_LIMIT = 1 << 40

CUT_OFF = object()
"""Signal: whoever sends it wants no more answers, and what is under way ends at once with CutOff."""


CHECK = "forbear_check"
"""Where, in ``request.meta``, a function stands that is called before the request is sent, and may raise CutOff."""


class CutOff(exceptions.IgnoreRequest):
    """The crawl ended before the answer came, or had to leave the host: that says nothing about the site."""


def failure(exception: BaseException) -> Failure:
    """What the failure of a download is called in decide.md."""
    return http.failure(exception, _EXACT, _VAGUE)


class GuardedHandler(AiohttpDownloadHandler):
    """Downloads what the guard lets through, and gives a whole answer or a failure.

    Settings: ``FORBEAR_ALLOW_PRIVATE_NETWORKS`` (bool), ``FORBEAR_RESOLVE`` (list of pins),
    ``FORBEAR_SIGNING_KEY`` (path) with ``FORBEAR_SIGNATURE_AGENT`` (origin), Scrapy's
    ``DOWNLOAD_TIMEOUT`` (seconds, for the whole exchange) and ``DOWNLOAD_MAXSIZE`` (octets, before and after decoding;
    0 is none). ``COMPRESSION_ENABLED`` must be off: Scrapy takes half a gzip file for a whole one.
    ``request.meta["received_headers"]`` gets the header fields as they came, in order, as ``model.Capture`` has them.
    """

    experimental: ClassVar[bool] = False  # its edges are what tests/crawler/test_failures.py is about

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        settings = crawler.settings
        self._guard = Guard(
            allow_private=settings.getbool("FORBEAR_ALLOW_PRIVATE_NETWORKS"),
            resolve=settings.getlist("FORBEAR_RESOLVE"),
        )
        key = settings.get("FORBEAR_SIGNING_KEY")
        self._signer = read_signer(Path(key) if key else None, settings.get("FORBEAR_SIGNATURE_AGENT"))
        self._to_proxy = self._session  # the operator's own choice, wherever it is
        self._session = self._open_session()
        self._under_way: set[asyncio.Task[Response]] = set()
        self._ended = False
        crawler.signals.connect(self._cut_off, signal=CUT_OFF)

    def _open_session(self) -> aiohttp.ClientSession:
        """Keeps no cookies, adds no header, decodes nothing, reads nothing from the environment."""
        connector = aiohttp.TCPConnector(
            ssl=ssl.create_default_context(),
            limit=self._pool_size_total,
            limit_per_host=self._pool_size_per_host,
            resolver=_Resolver(self._guard),
            socket_factory=self._guard.open_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            response_class=_ClientResponse,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def download_request(self, request: Request) -> Response:
        """The answer with its body decoded; raises what ``failure`` has a name for, or CutOff."""
        if self._ended:
            raise CutOff(f"{request.url} was not asked for")
        self._guard.check_literal(request.url)
        request.headers[b"Accept-Encoding"] = ACCEPTED.encode()
        if self._signer:
            request.headers.update(self._signer.request_headers(request.method, urls.parse(request.url).origin))
        task = asyncio.ensure_future(super().download_request(request))
        self._under_way.add(task)
        try:
            response = await task
        except asyncio.CancelledError:
            raise CutOff(f"{request.url} has not answered yet") from None
        finally:
            self._under_way.discard(task)
        limit = request.meta.get("download_maxsize", self._default_maxsize) or _NO_LIMIT
        return _decoded(response, limit)

    def _cut_off(self) -> None:
        self._ended = True
        for task in self._under_way:
            task.cancel()

    @asynccontextmanager
    async def _make_request(self, request: Request, timeout: float) -> AsyncIterator[_ClientResponse]:  # noqa: ASYNC109
        """As Scrapy's own, but the URL goes out in the octets that were decided about."""
        proxy = self._extract_proxy_url_with_creds(request)
        session = self._to_proxy if proxy else self._session
        if CHECK in request.meta:  # as late as can be
            request.meta[CHECK]()
        try:
            async with session.request(
                request.method,
                _verbatim(request.url),
                data=request.body or None,
                headers=self._request_headers(request).to_tuple_list(),
                timeout=aiohttp.ClientTimeout(total=timeout),
                allow_redirects=False,
                proxy=proxy,
            ) as response:
                request.meta["received_headers"] = http.received(response.raw_headers)
                yield cast("_ClientResponse", response)
        except TimeoutError as error:
            raise exceptions.DownloadTimeoutError(f"{request.url} took longer than {timeout} seconds") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise exceptions.CannotResolveHostError(str(error)) from error
        except aiohttp.ClientConnectorError as error:
            raise exceptions.DownloadConnectionRefusedError(str(error)) from error
        except aiohttp.ClientError as error:
            raise exceptions.DownloadFailedError(str(error)) from error

    @staticmethod
    def _extract_headers(response: _ClientResponse) -> Headers:
        """As Scrapy's own, which fails at octets that are no UTF-8."""
        return Headers(response.raw_headers)

    async def close(self) -> None:
        """Ends every connection."""
        await super().close()
        await self._to_proxy.close()


class _Resolver(AbstractResolver):
    """Gives aiohttp the addresses that the guard has checked, to connect to as they are."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._guard.lookup(host, port)
        kinds = [(address, socket.AF_INET6 if ":" in address else socket.AF_INET) for address in found]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for address, kind in kinds
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _verbatim(url: str) -> yarl.URL:
    """The URL as aiohttp sends it on unchanged: yarl would drop an empty query, which rules can speak about."""
    parts = urls.parse(url)
    authority = parts.origin.partition("://")[2]
    return yarl.URL.build(scheme=parts.scheme, authority=authority, path=parts.target, encoded=True)


def _decoded(response: Response, limit: int) -> Response:
    """The same answer without its content codings; raises Undecodable."""
    codings = response.headers.getlist("Content-Encoding")
    if not codings:
        return response
    body = decode(response.body, [coding.decode("latin-1") for coding in codings], limit)
    headers = response.headers.copy()
    del headers["Content-Encoding"]
    kind = responsetypes.from_args(headers=headers, url=response.url, body=body)
    if issubclass(kind, TextResponse):
        return response.replace(cls=kind, headers=headers, body=body, encoding=None)
    return response.replace(cls=kind, headers=headers, body=body)
