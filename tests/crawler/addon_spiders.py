"""Spiders and middlewares of a Scrapy project that tries each way past the add-on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import scrapy
from scrapy.exceptions import IgnoreRequest
from scrapy.http import FormRequest, HtmlResponse, Request, Response
from twisted.python.failure import Failure


class Canned:
    """Answers by itself, before anybody is asked."""

    def process_request(self, request: Request) -> Response | None:
        if "/canned" not in request.url:
            return None
        headers = {"X-Robots-Tag": "noai"} if "reserved" in request.url else {}
        return HtmlResponse(request.url, body=b"<p>canned</p>", headers=headers)


class Disguised:
    """Gives every request another name, as close to the network as a middleware can be."""

    def process_request(self, request: Request) -> None:
        request.headers["User-Agent"] = "Mozilla/5.0 (a browser, honestly)"


class Outcomes(scrapy.Spider):
    """An item for each request: what came of it."""

    handle_httpstatus_list = (404,)

    def came(self, response: Response, **kwargs: Any) -> Iterator[dict[str, Any]]:
        asked = response.meta.get("asked", response.url)
        found = {"asked": asked, "url": response.url, "status": response.status, "bytes": len(response.body)}
        yield found | {"decision": response.meta.get("forbear_decision")}

    def failed(self, failure: Failure) -> Iterator[dict[str, Any]]:
        request: Request = failure.request  # type: ignore[attr-defined]
        error = failure.value
        refused = type(error).__name__, isinstance(error, IgnoreRequest)
        yield {"asked": request.meta["asked"], "url": request.url, "refused": refused, "message": str(error)}

    def ask(self, url: str, **more: Any) -> Request:
        meta = {"asked": url, "dont_obey_robotstxt": True} | more.pop("meta", {})
        return Request(url, callback=self.came, errback=self.failed, meta=meta, dont_filter=True, **more)


class Ways(Outcomes):
    """Every way past the add-on that a spider has."""

    name = "ways"

    async def start(self) -> AsyncIterator[Any]:
        """The requests; the last one is made beside the scheduler, as media pipelines do."""
        site = "http://open.example"
        for path in ("/", "/private/dont-obey", "/header", "/markup", "/moved", "/canned", "/canned/reserved", "/gone"):
            yield self.ask(site + path)
        yield self.ask(f"{site}/stay", meta={"dont_redirect": True, "handle_httpstatus_list": [302]})
        yield self.ask("data:text/html,<p>not the web</p>")
        yield self.ask("http://flaky.example/")
        yield self.ask("http://half.example/")
        yield self.ask("http://broken.example/")
        yield FormRequest(
            f"{site}/private/form",
            formdata={"a": "b"},
            callback=self.came,
            errback=self.failed,
            meta={"asked": "form"},
        )
        try:
            await self.crawler.engine.download_async(Request(f"{site}/private/image"))
        except IgnoreRequest as error:
            yield {"asked": "image", "url": f"{site}/private/image", "message": str(error)}


class Walk(Outcomes):
    """So many pages of a site."""

    name = "walk"

    def __init__(self, site: str = "http://open.example", pages: str = "3", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.site, self.pages = site, int(pages)

    async def start(self) -> AsyncIterator[Any]:
        """The pages, all at once."""
        for number in range(self.pages):
            yield self.ask(f"{self.site}/{number}")


class Stroll(Walk):
    """Another one, to be run beside the first."""

    name = "stroll"
