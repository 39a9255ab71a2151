"""One HTTP server on loopback that simulates many hosts, for the demo, the tests and the benchmarks."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Self

from aiohttp import web
from multidict import CIMultiDict


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer for a path, sent after ``pause`` seconds; 304 if its ETag matches If-None-Match."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/html; charset=utf-8"),)
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A request received: when (monotonic seconds), its host, its path with query, its header fields."""

    at: float
    host: str
    path: str
    headers: Mapping[str, str]


Site = Mapping[str, Reply] | Callable[[str], Reply]
"""Replies by path and query, or a function of them; anything else is 404."""


@dataclass
class Web:
    """The server; it runs in a thread of its own while the ``with`` block does.

    Reach it as an HTTP proxy (``proxy``), so that no name need resolve, or with ``--resolve`` (``pin``) and its port in
    the URL. Unknown hosts answer 404. ``hits`` are the requests received, in order; ``at_once`` is the most requests in
    flight at one time, by host.
    """

    sites: Mapping[str, Site]
    hits: list[Hit] = field(default_factory=list)
    at_once: dict[str, int] = field(default_factory=dict)
    port: int = 0

    @property
    def proxy(self) -> str:
        """The URL of the server as a proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pin(self) -> str:
        """The value for ``--resolve`` that makes this server answer for every host on its port."""
        return f"*:{self.port}:127.0.0.1"

    def __enter__(self) -> Self:
        self._under_way = Counter[str]()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loopback-web", daemon=True)
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(self._answer), handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        return runner

    async def _close(self) -> None:
        await self._runner.cleanup()
        late = asyncio.all_tasks() - {asyncio.current_task()}  # answers that nobody is waiting for
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        host = (request.headers.get("Host") or "").partition(":")[0].lower()
        target = request.raw_path
        if "://" in target:  # absolute-form: the request came to a proxy
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        self.hits.append(Hit(monotonic(), host, target, dict(request.headers)))
        reply = self._reply(host, target)
        self._under_way[host] += 1
        self.at_once[host] = max(self.at_once.get(host, 0), self._under_way[host])
        try:
            if reply.pause:
                await asyncio.sleep(reply.pause)
        finally:
            self._under_way[host] -= 1
        headers = CIMultiDict(reply.headers)
        if "ETag" in headers and request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    def _reply(self, host: str, target: str) -> Reply:
        site = self.sites.get(host)
        if site is None:
            return _NOT_FOUND
        return site(target) if callable(site) else site.get(target, _NOT_FOUND)


_NOT_FOUND = Reply(b"not found\n", 404, (("Content-Type", "text/plain"),))
