"""Checks that Scrapy still has the parts outside its public API that Forbear uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import scrapy
from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerRunner

MODULE = "forbear.crawler.fetch.scrapy_internals"
ENGINE, DOWNLOADER = "scrapy/core/engine.py", "scrapy/core/downloader/__init__.py"
PARTS = (
    ("engine", "_slot.closing", ENGINE, "is_closing"),
    ("engine", "_slot.nextcall.schedule", ENGINE, "schedule_next"),
    ("downloader", "get_slot_key", DOWNLOADER, "slot_delay"),
    ("downloader", "per_slot_settings", DOWNLOADER, "slow_down"),
    ("downloader", "slots", DOWNLOADER, "slow_down"),
    ("downloader", "_process_queue", DOWNLOADER, "send_queued"),
    ("slot", "delay", DOWNLOADER, "slow_down"),
    ("slot", "concurrency", DOWNLOADER, "slow_down"),
    ("slot", "jitter", DOWNLOADER, "slow_down"),
    ("slot", "lastseen", DOWNLOADER, "last_request"),
    ("slot", "lastseen", DOWNLOADER, "restart_delay"),
    ("slot", "latercall", DOWNLOADER, "send_queued"),
    ("handlers", "check_stop_download", "scrapy/utils/_download_handlers.py", "check_stop_download"),
    ("handlers", "make_response", "scrapy/utils/_download_handlers.py", "make_response"),
)
"""What is used, of which object, the file of Scrapy that has it, and the function of scrapy_internals that uses it."""


def changes(**objects: Any) -> Iterator[str]:
    """Says of each part that Scrapy no longer has where to look and what to change."""
    for name, part, file, function in PARTS:
        try:
            attrgetter(part)(objects[name])
        except AttributeError:
            yield (
                f"Scrapy {scrapy.__version__} has no {name}.{part} any more: see in {file} what replaces it, "
                f"and change {function}() in crawler/fetch/scrapy_internals.py."
            )


def test_scrapy_has_the_parts_that_are_used(server) -> None:
    """Tries each in a running spider: the second request to a host waits for half a minute until it is sent at once.

    Scrapy counts the delay of a new slot from the machine's start, so a delay above the uptime delays the first, too.
    """
    server.answers["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    found: list[str] = []
    done: dict[str, Any] = {}
    handlers = import_module("scrapy.utils._download_handlers")
    settings = {"TWISTED_REACTOR_ENABLED": False, "TELNETCONSOLE_ENABLED": False, "LOG_ENABLED": False}

    class Probe(Spider):
        name = "probe"

        async def start(self) -> AsyncIterator[Any]:
            engine: Any = self.crawler.engine
            request = Request(f"{server.origin}/", dont_filter=True)
            await engine.download_async(request)
            downloader = engine.downloader
            [(name, slot)] = downloader.slots.items()
            found.extend(changes(engine=engine, downloader=downloader, slot=slot, handlers=handlers))
            if not found:
                from forbear.crawler.fetch import scrapy_internals  # noqa: PLC0415 it needs them all

                done["closing"] = scrapy_internals.is_closing(self.crawler)
                done["slot"] = scrapy_internals.slot_delay(self.crawler, request) == (name, 30)
                done["sent"] = scrapy_internals.last_request(self.crawler, name) > 0
                scrapy_internals.restart_delay(self.crawler, name)
                waiting = asyncio.ensure_future(engine.download_async(request.copy()))
                for _ in range(1000):
                    await asyncio.sleep(0 if slot.latercall else 0.01)
                done["waits"] = slot.latercall is not None
                scrapy_internals.send_queued(self.crawler)
                done["queued"] = (await asyncio.wait_for(waiting, 10)).status
                scrapy_internals.slow_down(self.crawler, name, 7.0)
                done["slow"] = (slot.delay, scrapy_internals.slot_delay(self.crawler, request)[1])
                scrapy_internals.schedule_next(self.crawler)
            for nothing in ():
                yield nothing

    async def run() -> None:
        await AsyncCrawlerRunner(settings | {"DOWNLOAD_DELAY": 30, "DOWNLOAD_DELAY_JITTER": 0}).crawl(Probe)

    asyncio.run(run())
    assert not found, "\n".join(found)
    slow, yes = (7.0, 7.0), True
    assert done == {"closing": False, "slot": yes, "sent": yes, "waits": yes, "queued": 200, "slow": slow}


def test_a_part_that_is_gone_is_named_with_its_place() -> None:
    gone = SimpleNamespace()
    sentences = list(changes(engine=gone, downloader=gone, slot=gone, handlers=gone))
    assert len(sentences) == len(PARTS)
    assert sentences[0] == (
        f"Scrapy {scrapy.__version__} has no engine._slot.closing any more: see in scrapy/core/engine.py what replaces "
        "it, and change is_closing() in crawler/fetch/scrapy_internals.py."
    )
    assert {function for *_, function in PARTS} == set(import_module(MODULE).__all__)
