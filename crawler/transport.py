"""How httpx reaches the web for a single question: behind the guard, octet for octet (httpx 0.28, httpcore 1.0)."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpcore
import httpx

from crawler import http
from crawler.decoding import Undecodable
from crawler.http import Name
from optout.model import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from crawler.network import Guard

_EXACT = (
    Name(httpcore.RemoteProtocolError, Failure.RESET, "Server disconnected"),
    Name(httpcore.RemoteProtocolError, Failure.TRUNCATED, "peer closed connection"),
)
_VAGUE = (Name(httpcore.ConnectError, Failure.REFUSED), Name(httpcore.NetworkError, Failure.RESET))


def failure(exception: BaseException) -> Failure:
    """What the failure of a request through this transport is called in decide.md."""
    return http.failure(exception, _EXACT, _VAGUE)


class Transport(httpx.AsyncBaseTransport):
    """Connects where the guard lets it, or to the operator's proxy, an http(s) URL, and to nothing else.

    The request's extension ``target`` goes out as it is: httpx itself would escape some of what rules speak about.
    """

    def __init__(self, guard: Guard, proxy: str | None) -> None:
        context = ssl.create_default_context()
        if proxy is None:
            self._pool = httpcore.AsyncConnectionPool(context, network_backend=_Backend(guard))
            return
        to = httpx.Proxy(proxy)
        self._pool = httpcore.AsyncHTTPProxy(
            httpcore.URL(scheme=to.url.raw_scheme, host=to.url.raw_host, port=to.url.port, target="/"),
            to.raw_auth,
            ssl_context=context,
            proxy_ssl_context=context if to.url.scheme == "https" else None,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, whatever its status; raises httpcore's exceptions, which ``failure`` has names for."""
        address = request.url
        host = b"[%b]" % address.raw_host if b":" in address.raw_host else address.raw_host  # a proxy has to read it
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=address.raw_scheme, host=host, port=address.port, target=request.extensions["target"]),
            headers=request.headers.raw,
            extensions={"timeout": request.extensions["timeout"], "sni_hostname": address.raw_host.decode()},
        )
        try:
            response = await self._pool.handle_async_request(sent)
        except Exception as error:
            raise error from error.__context__  # the pool cuts the cause off
        return _Response(response.status, headers=response.headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Ends every connection."""
        await self._pool.aclose()


class _Backend(httpcore.AnyIOBackend):
    """Connects to the addresses that the guard has checked, as they are; each gets its share of the time."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = addresses = await self._guard.lookup(host, port)
        share = timeout and timeout / len(addresses)
        for address in others:
            try:
                return await super().connect_tcp(address, port, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await super().connect_tcp(last, port, share)


class _Body(httpx.AsyncByteStream):
    """The body as it comes in."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_stream():
                yield part
        except httpcore.ReadError as error:
            raise Undecodable("the connection broke in the middle of the body", Failure.TRUNCATED) from error

    async def aclose(self) -> None:
        await self._response.aclose()


class _Response(httpx.Response):
    """A redirect is an answer like any other: httpx would fail at some targets, though it is not to follow any."""

    @property
    def has_redirect_location(self) -> bool:
        return False
