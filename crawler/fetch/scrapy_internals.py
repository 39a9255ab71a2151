"""Uses the parts of Scrapy that are not in its public API, all in one place (Scrapy 2.19).

A new version of Scrapy may change them, so pyproject.toml pins Scrapy below 2.20. After an upgrade,
tests/crawler/test_scrapy_internals.py names what changed and where to look.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from scrapy.utils._download_handlers import check_stop_download, make_response

if TYPE_CHECKING:
    from scrapy.core.downloader import Downloader
    from scrapy.core.engine import ExecutionEngine
    from scrapy.crawler import Crawler
    from scrapy.http import Request

__all__ = [
    "check_stop_download",
    "is_closing",
    "last_request",
    "make_response",
    "restart_delay",
    "schedule_next",
    "send_queued",
    "slot_delay",
    "slow_down",
]


def is_closing(crawler: Crawler) -> bool:
    """Returns whether a signal or the operator has stopped the spider."""
    slot = crawler.engine._slot if crawler.engine else None
    return slot is not None and slot.closing is not None


def schedule_next(crawler: Crawler) -> None:
    """Has the engine ask the scheduler for requests now; by itself it does so every five seconds."""
    slot = crawler.engine._slot if crawler.engine else None
    if slot:
        slot.nextcall.schedule()


def slow_down(crawler: Crawler, slot: str, delay: float) -> None:
    """Makes a downloader slot send one request at a time, ``delay`` seconds apart."""
    downloader = _downloader(crawler)
    downloader.per_slot_settings[slot] = {"delay": delay, "concurrency": 1, "jitter": 0}
    if slot in downloader.slots:
        active = downloader.slots[slot]
        active.delay, active.concurrency, active.jitter = delay, 1, 0


def slot_delay(crawler: Crawler, request: Request) -> tuple[str, float]:
    """Returns the downloader slot of a request, and the delay that the project's settings give it."""
    downloader = _downloader(crawler)
    slot = downloader.get_slot_key(request)
    default = crawler.settings.getfloat("DOWNLOAD_DELAY")
    return slot, downloader.per_slot_settings.get(slot, {}).get("delay", default)


def last_request(crawler: Crawler, slot: str) -> float:
    """Returns when the last request of a downloader slot was sent, in monotonic seconds; 0 if none was."""
    active = _downloader(crawler).slots.get(slot) if crawler.engine else None
    return active.lastseen if active else 0.0


def restart_delay(crawler: Crawler, slot: str) -> None:
    """Counts the delay of a downloader slot from now on."""
    active = _downloader(crawler).slots.get(slot) if crawler.engine else None
    if active:
        active.lastseen = monotonic()


def send_queued(crawler: Crawler) -> None:
    """Hands all requests that wait for their turn to the download handler at once."""
    downloader = _downloader(crawler)
    for slot in downloader.slots.values():
        slot.delay = 0
        if slot.latercall:
            slot.latercall.cancel()
            slot.latercall = None
        downloader._process_queue(slot)


def _downloader(crawler: Crawler) -> Downloader:
    engine: ExecutionEngine | None = crawler.engine
    assert engine is not None
    return engine.downloader
