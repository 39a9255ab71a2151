"""Removes what may name a person from URLs in exports (GDPR, Article 5(1)(c): data minimisation)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from forbear.storage.reads.columns import REASON, Shape

REDACTED = "redacted"
"""Replaces each removed value."""

_URL = re.compile(r"(?P<start>[A-Za-z][A-Za-z0-9+.-]*://)(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL)
_VALUE = re.compile(r"=[^&;#]+")
_ADDRESS = re.compile(r"[^/@]+(?:@|%40)[^/@]+\.[^/@]+", re.IGNORECASE)


def url(text: str) -> str:
    """Removes user name, password, query values, fragment and mail addresses from a URL.

    Names in the query stay, to show what was there; a query without names is removed whole. Text that is not a URL with
    ``://`` is returned unchanged.
    """
    match = _URL.fullmatch(text)
    if not match:
        return text
    userinfo, at, host = match["authority"].rpartition("@")
    path = _ADDRESS.sub(REDACTED, match["path"])
    return f"{match['start']}{REDACTED if userinfo else ''}{at}{host}{path}{_rest(match['rest'])}"


def _rest(text: str) -> str:
    query, mark, fragment = text.partition("#")
    if len(query) > 1:
        query = _VALUE.sub(f"={REDACTED}", query) if "=" in query else f"?{REDACTED}"
        query = _ADDRESS.sub(REDACTED, query[1:])
        query = f"?{query}"
    return f"{query}{mark}{REDACTED if fragment else ''}"


def rows(shape: Shape, found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Redacts the URLs of rows of a shape, in reasons too; quotations stay, since they are the site's own words."""
    urls = [column.name for column in shape.columns if column.kind == "url"]
    lists = [column.name for column in shape.columns if column.kind == "reasons"]
    of_reason = [column.name for column in REASON if column.kind == "url"]
    for row in found:
        row |= {name: url(row[name]) for name in urls if row[name]}
        for name in lists:
            row[name] = [reason | {key: url(reason[key]) for key in of_reason} for reason in row[name]]
        yield row


def header(name: str, content: str) -> str:
    """Redacts a header value: cookies, and URLs that may name a person."""
    return REDACTED if name.lower() in ("set-cookie", "cookie") else url(content)


def cell(value: Any) -> Any:
    """Redacts the value of an unknown column, if it is a URL."""
    return url(value) if isinstance(value, str) else value
