"""Writes log lines as JSON (RFC 8259), one object a line: what happened, to which host and URL.

A line has ``time`` (RFC 3339, UTC), ``level``, ``event`` (a word), ``message`` (a sentence) and the fields of the
event: ``host``, ``url``, ``verdict`` and so on. What may name a person is redacted in URLs.
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
"""Loggers whose events are written."""

SILENT = ("scrapy", "twisted", "psycopg")
"""Loggers that are silenced: they log whole pages and URLs, or errors that the writer already reports."""


class JsonLines(logging.Formatter):
    """Formats a record with the attributes ``event`` (its name) and ``about`` (a dict of fields), if it has them."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line without its end; of a traceback, it has only the type of the error."""
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
    """Redacts the URLs in a text; returns anything else unchanged."""
    return _URL.sub(lambda found: redact.url(found[0]), value) if isinstance(value, str) else value


class _Stderr(logging.Handler):
    """Writes to the present ``sys.stderr``, which a progress display may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001 like the handlers of the library: a lost line must not stop a crawl
            self.handleError(record)


def log_to_stderr(kind: str) -> None:
    """Writes events to standard error: for ``text`` warnings as sentences, for ``json`` all events as JSON lines."""
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
    """Logs what a person should look at."""
    logging.getLogger("forbear.crawler").warning("%s", sentence, extra={"event": event})


def fail(sentence: str) -> None:
    """Logs why the program ends."""
    logging.getLogger("forbear.crawler").error("%s", sentence, extra={"event": "failed"})
