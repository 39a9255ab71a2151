"""Where a kept page leads to: its links, and the URLs of a sitemap (WHATWG HTML 4.6, sitemaps.org protocol 0.9)."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from lxml import etree

from crawler.decoding import Undecodable, decode
from optout.readers import html, markup
from optout.readers import url as urls
from optout.readers.text import to_utf8
from optout.readers.url import NotAUrl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from optout.model import Capture

MAX_LINKS = 10_000
"""Links taken from one page; what comes after them is left."""
MAX_LENGTH = 8192
"""Octets of a URL; a longer one is left out."""
MAX_SITEMAP = 50 * 1024 * 1024
"""Octets of a sitemap when decoded, as sitemaps.org allows; a larger one is not read."""
MAX_SITEMAP_URLS = 50_000
"""URLs of a sitemap, as sitemaps.org allows; what comes after them is left."""

_ATTRIBUTE = {b"a": "href", b"area": "href", b"frame": "src", b"iframe": "src"}
_NAMES = frozenset({b"base", b"meta", *_ATTRIBUTE})
_SPACE = "\t\n\f\r "
_NO = frozenset({"nofollow", "none"})
_SCOPE = re.compile(r"\s*([A-Za-z_-]+)\s*:")
_DIRECTIVES = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
"""Words before a colon that are no crawler's name (X-Robots-Tag as Google documents it)."""


def links(capture: Capture, base_url: str, agent: str) -> list[str]:
    """The canonical URLs that an HTML page links to, in order, each once; none if the page forbids ``agent`` to follow.

    Links are those of a, area, frame and iframe, resolved against ``<base href>`` or ``base_url``; with
    ``rel=nofollow`` they are left out (``ugc`` and ``sponsored`` alone say who wrote a link, not that it is closed).
    What is no http(s) URL is left out too.
    """
    if not html.is_html(capture) or _closed(capture.header("x-robots-tag"), agent):
        return []
    source, charset = html.source_of(capture)
    names = {"robots", agent.lower()}
    base, references = None, list[str]()
    for tag in markup.start_tags(source, _NAMES):
        if tag.inert:
            continue
        attributes = tag.attribute(charset)
        if tag.name == b"meta":
            if attributes.get("name", "").strip().lower() in names and _says_no(attributes.get("content", "")):
                return []
        elif tag.name == b"base":
            base = attributes.get("href") if base is None else base
        elif len(references) < MAX_LINKS and "nofollow" not in attributes.get("rel", "").lower().split():
            reference = attributes.get(_ATTRIBUTE[tag.name])
            if reference is not None:
                references.append(reference.strip(_SPACE))
    without_fragments = dict.fromkeys(reference.partition("#")[0] for reference in references)
    return list(_resolved(_base(base_url, base), without_fragments, charset))


def sitemap(capture: Capture) -> list[str]:
    """The canonical URLs in a sitemap, a sitemap index or a plain list, in order, each once; gzip is undone.

    Broken XML gives what stood before the break; an entity, a bomb or another format gives nothing after it.
    """
    try:
        body = decode(capture.body, ["gzip"] if capture.body.startswith(b"\x1f\x8b") else [], MAX_SITEMAP)
    except (Undecodable, zlib.error):
        return []
    found = (
        _listed(body)
        if to_utf8(body[:512]).lstrip().startswith(b"<")
        else to_utf8(body).decode(errors="replace").split()
    )
    return list(_resolved(capture.url, dict.fromkeys(filter(None, found)), "utf-8", MAX_SITEMAP_URLS))


def _listed(body: bytes) -> list[str]:
    """The text of each ``loc``, in whatever namespace: half of the sitemaps in the world get it wrong."""
    parser = etree.XMLPullParser(
        ("end",), tag=("{*}loc", "loc"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    found = list[str]()
    try:
        for at in range(0, len(body), 1 << 16):
            parser.feed(body[at : at + (1 << 16)])
            for _, element in parser.read_events():
                if not len(element):  # an entity that is not expanded stands there as a child
                    found.append((element.text or "").strip())
                _forget(element)
            if len(found) >= MAX_SITEMAP_URLS:
                break
    except etree.XMLSyntaxError:
        pass
    return found


def _forget(element: etree._Element) -> None:
    """Frees what has been read: a sitemap of 50 MB is no tree in memory."""
    entry = element.getparent()
    element.clear()
    while entry is not None and entry.getprevious() is not None:
        del entry.getparent()[0]  # type: ignore[union-attr]  # who has siblings has a parent


def _base(page: str, base: str | None) -> str:
    try:
        return urls.join(page, base.strip(_SPACE)).href if base is not None else page
    except NotAUrl:
        return page


def _resolved(base: str, references: Iterable[str], charset: str, most: int = MAX_LINKS) -> Iterator[str]:
    seen = {""}
    for reference in references:
        if len(reference) > MAX_LENGTH:
            continue
        try:
            url = urls.join(base, _encoded(reference, charset)).href
        except NotAUrl:
            continue
        if url not in seen and len(url) <= MAX_LENGTH:
            seen.add(url)
            yield url
        if len(seen) > most:
            return


def _encoded(reference: str, charset: str) -> str:
    """A query is sent in the encoding of its page, a path in UTF-8 (WHATWG URL 4.2, query state)."""
    if reference.isascii() or charset == "utf-8":
        return reference
    reference = reference.partition("#")[0]
    path, mark, query = reference.partition("?")
    octets = query.encode(charset, "xmlcharrefreplace")
    return path + mark + quote(octets, safe="!$%&'()*+,-./:;=?@[\\]^_`{|}~")


def _closed(headers: Iterable[str], agent: str) -> bool:
    """Whether X-Robots-Tag says nofollow or none, to everybody or to ``agent``."""
    for header in headers:
        ours = True
        for part in header.split(","):
            scope = _SCOPE.match(part)
            if scope and scope[1].lower() not in _DIRECTIVES:
                ours, part = scope[1].lower() == agent.lower(), part[scope.end() :]  # noqa: PLW2901
            if ours and part.strip().lower() in _NO:
                return True
    return False


def _says_no(content: str) -> bool:
    return not _NO.isdisjoint(re.split(r"[,\s]+", content.lower()))
