"""Reads the URLs in a sitemap (sitemaps.org protocol 0.9): XML, a feed, or a plain list, with or without gzip.

Many sitemaps break a rule of XML: a blank line before the declaration, a bare ampersand, a byte of another encoding. So
URLs are found in the text instead of parsed: one pass, no tree, and no entities but the five of XML and numbers.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from forbear.crawler.crawl.links import resolved
from forbear.crawler.fetch.decoding import Undecodable, decode
from forbear.optout.readers import representation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forbear.optout.model import Capture

MAX_OCTETS = 50 * 1024 * 1024
"""Most bytes of a decoded sitemap, the limit of sitemaps.org; a larger one is not read."""
MAX_URLS = 50_000
"""Most URLs taken from a sitemap, the limit of sitemaps.org."""

_GZIP = b"\x1f\x8b"
_FEED = re.compile(r"<(?:[\w.-]+:)?(?:rss|feed|RDF)[\s>]")
# The element with a URL, in any namespace, since many sitemaps name the wrong one. Comments are skipped.
_LOC = re.compile(r"<!--|<(?:[\w.-]+:)?loc(?:\s[^<>]*)?>")
_LINK = re.compile(r"<!--|<(?:[\w.-]+:)?link((?:\s[^<>]*)?)>")  # RSS 2.0 item/link, Atom (RFC 4287 4.2.7)
_HREF = re.compile(r"\shref\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_REL = re.compile(r"\srel\s*=\s*[\"']?+(?!alternate\b)")
_REFERENCE = re.compile(r"&(?:#(\d{1,7})|#x([\da-fA-F]{1,6})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_UNKNOWN = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z][\w.-]*;")


def urls(capture: Capture) -> list[str]:
    """Returns the canonical URLs that a sitemap, a sitemap index, a feed or a plain list names, in order, each once.

    Returns nothing for a file that cannot be unpacked or is larger than MAX_OCTETS. A URL with an entity that XML does
    not define is left out; other broken markup does not affect the URLs around it.
    """
    try:
        body = decode(capture.body, ["gzip"] if capture.body.startswith(_GZIP) else [], MAX_OCTETS)
    except (Undecodable, zlib.error):
        return []
    text = representation.of(replace(capture, body=body, memo={})).text
    found = _in_markup(text) if text.lstrip()[:1] == "<" else iter(text.split())
    return list(resolved(capture.url, dict.fromkeys(found), "utf-8", MAX_URLS))


def _in_markup(text: str) -> Iterator[str]:
    wanted = _LINK if _FEED.search(text, 0, 4096) else _LOC
    at = 0
    while match := wanted.search(text, at):
        at = match.end()
        if match[0] == "<!--":
            at = text.find("-->", at)
            if at < 0:
                return
            continue
        attributes = match[1] if wanted is _LINK else ""
        if href := _HREF.search(attributes):
            written = "" if _REL.search(attributes) else href[1] or href[2] or ""
        else:
            written, at = _content(text, at)
        if written.strip() and not _UNKNOWN.search(written):
            yield _REFERENCE.sub(_character, written).strip()


def _content(text: str, at: int) -> tuple[str, int]:
    """Returns the text of the element that begins at ``at``, and its end; no text if it holds other elements."""
    parts = []
    while (end := text.find("<", at)) >= 0:
        parts.append(text[at:end])
        if text.startswith("<!--", end):
            at = text.find("-->", end) + 3
        elif text.startswith("<![CDATA[", end):
            close = text.find("]]>", end)
            parts.append(text[end + 9 : close].replace("&", "&amp;") if close >= 0 else "")
            at = close + 3
        else:
            return ("".join(parts) if text.startswith("</", end) else ""), end
        if at < 3:
            break
    return "", len(text)


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        return _NAMED[name]
    code = int(decimal or hexadecimal, 10 if decimal else 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else ""
