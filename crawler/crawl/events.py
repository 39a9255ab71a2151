"""Log lines as JSON (RFC 8259), one object a line: what happened, to which host and URL, for programs to read.

A line has ``time`` (RFC 3339, UTC), ``level``, ``event`` (a word), ``message`` (a sentence) and what belongs to the
event: ``host``, ``url``, ``verdict`` and so on. What may name a person is taken out of URLs.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

from forbear.storage.reads import redact

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")

ROOMS = ("forbear.crawler", "forbear.storage")
"""Whose events are told."""

SILENT = ("scrapy", "twisted", "psycopg")
"""Who is not listened to: they say whole pages and URLs, or what the writer has a sentence for."""


class JsonLines(logging.Formatter):
    """A record whose ``event`` names it and whose ``about`` (dict) says more; both may be missing."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a traceback is told by the kind of its error alone."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "message"),
            "message": _redacted(record.getMessage()),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        line |= {name: _redacted(value) for name, value in getattr(record, "about", {}).items()}
        return json.dumps(line, ensure_ascii=False)


def _redacted(value: Any) -> Any:
    """A text without what may name a person in the URLs of it; anything else as it is."""
    return _URL.sub(lambda found: redact.url(found[0]), value) if isinstance(value, str) else value


class _Stderr(logging.Handler):
    """Writes to what standard error is at the time: a progress display may have taken its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001 - as the handlers of the library do: a line that is lost stops no crawl
            self.handleError(record)


def tell(kind: str) -> None:
    """Has events written to standard error: ``text`` warnings as sentences, ``json`` all events as JSON lines."""
    level = logging.INFO if kind == "json" else logging.WARNING
    handler = _Stderr(level)
    if kind == "json":
        handler.setFormatter(JsonLines())
    for room in ROOMS:
        logger = logging.getLogger(room)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    for name in SILENT:
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    if kind == "json":
        logging.getLogger().addHandler(handler)


def warn(event: str, sentence: str) -> None:
    """Tells what a person should look at."""
    logging.getLogger("forbear.crawler").warning("%s", sentence, extra={"event": event})


def fail(sentence: str) -> None:
    """Tells why the program ends."""
    logging.getLogger("forbear.crawler").error("%s", sentence, extra={"event": "failed"})
