"""Enforcement in Scrapy: no request is sent and no answer is passed on before its decision is written."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from scrapy import exceptions, signals
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request, Response
from scrapy.utils.httpobj import urlparse_cached

from forbear.crawler.engine.reservation_files import expiry
from forbear.crawler.fetch.client import failure
from forbear.crawler.fetch.decoding import Undecodable, decode
from forbear.crawler.fetch.handler import CutOff
from forbear.crawler.fetch.http1 import received
from forbear.crawler.fetch.network import explain
from forbear.optout.captures import redirect
from forbear.optout.model import Capture, Failure, Verdict
from forbear.optout.readers import url as urls
from forbear.optout.readers.text import field_text
from forbear.optout.readers.url import NotAUrl
from forbear.storage.database import StorageError
from forbear.storage.db.records import CaptureRecord, Keep, new_id, now

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from forbear.crawler.engine.session import LoggedDecision, Session

PLACE = "forbear_place"
"""The key in ``request.meta`` of a request for a file with reservations, which needs no decision of its own.

Its value is the list of answers to it, as they were before any other middleware saw them.
"""

LOGGED_DECISION = "forbear_logged_decision"
"""The key in ``request.meta`` of the LoggedDecision that let an answer pass."""

DECISION = "forbear_decision"
"""The key in ``response.meta`` of the id of the decision that let an answer pass."""

PLACE_OCTETS = 16 * 1024 * 1024
_PLACE_META = {
    "allow_offsite": True,  # reservations may be on a host that the spider may not crawl
    "dont_cache": True,
    "dont_merge_cookies": True,
    "dont_redirect": True,
    "download_maxsize": PLACE_OCTETS,
    "handle_httpstatus_all": True,
    "verbatim_url": True,  # the URL is requested as it was decided about, byte for byte
}

_BROKEN_OFF = frozenset({"dataloss", "download_stopped"})
_UNBOUNDED = "partial"
"""Scrapy's mark of a body that ends with its connection, so it is unknown whether it is complete (RFC 9112 8)."""

_SCRAPYS = (
    (exceptions.CannotResolveHostError, Failure.DNS),
    (exceptions.DownloadConnectionRefusedError, Failure.REFUSED),
    (exceptions.ResponseDataLossError, Failure.TRUNCATED),
)
"""Scrapy's exceptions that do not name a cause, and the failures they stand for."""


class Refused(IgnoreRequest):
    """The decision was not ``allowed``; ``logged`` has the reason in the site's words."""

    def __init__(self, logged: LoggedDecision) -> None:
        because = "; ".join(f"{r.protocol}: {r.quote} ({r.source}, {r.where})" for r in logged.decision.reasons)
        super().__init__(f"{logged.decision.verdict} by {because}")
        self.logged = logged


def capture_of(request: Request, response: Response) -> Capture:
    """Returns an answer as a capture: headers as received if the handler has them, the body decoded and complete.

    As with ``client.Answer``, an answer that is not 2xx needs no body. Raises decoding.Undecodable.
    """
    fields = request.meta.get("received_headers") or received(
        (name, value) for name, values in response.headers.items() for value in values or ()
    )
    url = urls.parse(request.url).href
    is_page = 200 <= response.status < 300
    if _BROKEN_OFF & set(response.flags) or (PLACE in request.meta and _UNBOUNDED in response.flags):
        return Capture(url, error=Failure.TRUNCATED) if is_page else Capture(url, response.status, tuple(fields))
    codings = [field_text(coding) for coding in response.headers.getlist("Content-Encoding")]
    try:
        body = decode(response.body, codings, PLACE_OCTETS) if codings else response.body
    except Undecodable:
        if is_page:
            raise
        body = b""
    return Capture(url, response.status, tuple(fields), body)


def failed(request: Request, exception: Exception) -> Capture:
    """Returns the capture of a request that got no answer."""
    name = failure(exception)
    if name is Failure.PROTOCOL:
        name = next((known for kind, known in _SCRAPYS if isinstance(exception, kind)), name)
    return Capture(urls.parse(request.url).href, error=name, memo={"detail": explain(exception)})


class Enforcement:
    """Downloader middleware nearest to the engine: the first to see a request, the last to see its answer.

    Other middlewares may retry a request, answer it from a cache, or redirect it (then it comes back here as a new
    request): no answer gets past ``process_response`` without a decision.
    """

    def __init__(self, crawler: Crawler, session: Session) -> None:
        self.crawler = crawler
        self.session = session
        crawler.signals.connect(self._received, signals.response_downloaded)

    async def process_request(self, request: Request) -> None:
        """Decides whether the URL may be requested. Raises Refused if not."""
        if not _needs_decision(request):
            return
        await self._decide(request, None)

    async def process_response(self, request: Request, response: Response) -> Response:
        """Decides whether the answer may be used. Raises Refused if not."""
        if not _needs_decision(request):
            return response
        # A handler that followed a redirect itself returns another site's page: that site's rules apply.
        asked = request if response.url == request.url else request.replace(url=response.url)
        try:
            capture = capture_of(asked, response)
        except Undecodable as error:
            capture = failed(asked, error)
        if redirect(capture):
            return response.replace(body=b"")  # only the target matters; the body was not decided about
        request.meta[DECISION] = (await self._decide(asked, _page(capture))).id
        return response

    async def process_exception(self, request: Request, exception: Exception) -> None:
        """Logs a request that got no answer; the exception goes on to the next handler."""
        if not _needs_decision(request) or isinstance(exception, IgnoreRequest | StorageError | NotAUrl):
            return
        with suppress(Refused):
            await self._decide(request, _page(failed(request, exception)))

    async def _decide(self, request: Request, page: CaptureRecord | None) -> LoggedDecision:
        logged = await self.session.decide_and_log(request.url, page)
        if logged.decision.verdict is not Verdict.ALLOWED:
            raise Refused(logged)
        return logged

    def _received(self, request: Request, response: Response) -> None:
        if PLACE in request.meta:
            request.meta[PLACE].append(response.copy())  # HttpCompressionMiddleware removes fields of this object


async def fetch_place(crawler: Crawler, url: str) -> CaptureRecord:
    """Fetches a file with reservations through Scrapy's downloader; a failure is a capture too."""
    received: list[Response] = []
    # A truncated compressed file may read as one that reserves less, and not every handler notices.
    headers = {"Accept-Encoding": "identity"}
    meta = _PLACE_META | {PLACE: received}
    request = Request(url, meta=meta, headers=headers, priority=1000, dont_filter=True)
    assert crawler.engine is not None
    try:
        response = await crawler.engine.download_async(request)
        capture = capture_of(request, received[-1] if received else response)
    except CutOff:
        raise
    except Exception as error:  # noqa: BLE001 every failure has a name, and doubt defers
        capture = failed(request, error)
    at = now()
    return CaptureRecord(new_id(), at, expiry(capture, at), capture)


def _page(capture: Capture) -> CaptureRecord:
    return CaptureRecord(new_id(), now(), None, capture, Keep.QUOTED)


def is_web(request: Request) -> bool:
    """Returns whether a request goes to the web, not to a file, a bucket or the like."""
    return urlparse_cached(request).scheme in ("http", "https")


def _needs_decision(request: Request) -> bool:
    """Returns whether a request goes to the web and is not itself for a file with reservations."""
    return PLACE not in request.meta and is_web(request)
