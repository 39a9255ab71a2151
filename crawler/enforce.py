"""Scrapy's way in and out: no request goes out and no answer comes in before its decision is written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request, Response

from crawler.handler import failure
from crawler.network import explain
from crawler.places import expiry
from optout.captures import redirect
from optout.model import Capture, Verdict
from optout.readers import url as urls
from optout.readers.text import readable
from storage.database import StorageError
from storage.records import CaptureRecord, Keep, new_id, now

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from crawler.session import Ruling, Session

logger = logging.getLogger(__name__)

PLACE = "forbear_place"
"""Marks, in ``request.meta``, a request for a file with reservations, which was decided about before it was made."""

RULING = "forbear_ruling"
"""Where, in ``request.meta``, the ruling about an answer that passed is found."""

PLACE_OCTETS = 16 * 1024 * 1024
_ALL = {"dont_redirect": True, "dont_retry": True, "dont_cache": True, "handle_httpstatus_all": True}


class Refused(IgnoreRequest):
    """The decision was not ``allowed``; ``ruling`` says why, in the words of the site."""

    def __init__(self, ruling: Ruling) -> None:
        because = "; ".join(f"{r.protocol}: {r.quote} ({r.source}, {r.where})" for r in ruling.decision.reasons)
        super().__init__(f"{ruling.decision.verdict} by {because}")
        self.ruling = ruling


def capture_of(request: Request, response: Response) -> Capture:
    """An answer as the decision sees it: headers as received where the handler noted them."""
    received = request.meta.get("received_headers") or [
        (readable(name), readable(value)) for name, values in response.headers.items() for value in values or ()
    ]
    return Capture(urls.parse(request.url).href, response.status, tuple(received), response.body)


def failed(request: Request, exception: Exception) -> Capture:
    """No answer, as the decision sees it."""
    return Capture(urls.parse(request.url).href, error=failure(exception), memo={"detail": explain(exception)})


class Enforcement:
    """Downloader middleware, nearest to the engine: the first to see a request, the last to see its answer.

    Whatever other middlewares do with a request in between (retry it, answer it from a cache, redirect it: then it
    comes back here as a request of its own), no answer gets past ``process_response`` without a decision.
    """

    def __init__(self, crawler: Crawler, session: Session) -> None:
        self.crawler = crawler
        self.session = session

    async def process_request(self, request: Request) -> None:
        """May it be requested? Raises Refused if not."""
        if PLACE in request.meta or not _is_web(request):
            return
        await self._rule(request, None)

    async def process_response(self, request: Request, response: Response) -> Response:
        """May the answer be used? Raises Refused if not."""
        if PLACE in request.meta or not _is_web(request):
            return response
        capture = capture_of(request, response)
        if redirect(capture) is None:
            ruling = await self._rule(request, CaptureRecord(new_id(), now(), None, capture, Keep.QUOTED))
            request.meta[RULING] = ruling
        return response

    async def process_exception(self, request: Request, exception: Exception) -> None:
        """No answer came: that is on record too."""
        if PLACE in request.meta or not _is_web(request) or isinstance(exception, IgnoreRequest | StorageError):
            return
        record = CaptureRecord(new_id(), now(), None, failed(request, exception), Keep.QUOTED)
        await self._rule(request, record)

    async def fetch_place(self, url: str) -> CaptureRecord:
        """A file with reservations, from the network; a failure is a capture too."""
        meta = {PLACE: True, "dont_merge_cookies": True, "download_maxsize": PLACE_OCTETS, **_ALL}
        # Half a compressed file reads like one that reserves less, and not every handler notices.
        request = Request(url, meta=meta, headers={"Accept-Encoding": "identity"}, priority=1000)
        assert self.crawler.engine is not None
        try:
            response = await self.crawler.engine.download_async(request)
            capture = capture_of(request, response)
        except Exception as error:  # noqa: BLE001 whatever hinders the reading has a name, and doubt defers
            capture = failed(request, error)
        at = now()
        return CaptureRecord(new_id(), at, expiry(capture, at), capture)

    async def _rule(self, request: Request, page: CaptureRecord | None) -> Ruling:
        ruling = await self.session.rule(request.url, page)
        if ruling.decision.verdict is not Verdict.ALLOWED:
            raise Refused(ruling)
        return ruling


def _is_web(request: Request) -> bool:
    return request.url.startswith(("http:", "https:"))
