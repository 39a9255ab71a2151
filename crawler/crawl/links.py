"""Extracts the links of a page (WHATWG HTML 4.6)."""

from __future__ import annotations

import codecs
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote

import turbohtml

from forbear.optout.readers import html, representation, robots_tags
from forbear.optout.readers import url as urls
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.url import NotAUrl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forbear.optout.model import Capture

MAX_LINKS = 10_000
"""Most links taken from one page, in order."""
MAX_LENGTH = 8192
"""Most bytes of a URL; a longer one is left out."""
_ATTRIBUTE = {"a": "href", "area": "href", "frame": "src", "iframe": "src"}
_NOT_FOLLOWED = frozenset({"nofollow", "none"})
_SPACE = "\t\n\f\r "


def links(capture: Capture, base_url: str, agent: str) -> list[str]:
    """Returns the canonical URLs that an HTML page links to, in order, each once; none if ``agent`` may not follow.

    Links are those of a, area, frame and iframe, resolved against ``<base href>`` or ``base_url``; with
    ``rel=nofollow`` they are left out (``ugc`` and ``sponsored`` alone only describe a link). What is not an http(s)
    URL is left out too.
    """
    known = representation.of(capture)
    if not known.is_page:
        return []
    try:
        document = known.document
    except Unreadable:
        return []
    if _closed(document, capture.header("x-robots-tag"), agent):
        return []
    base = html.base(document)
    references = islice(_references(document), MAX_LINKS)
    without_fragments = dict.fromkeys(reference.partition("#")[0] for reference in references)
    return list(resolved(urls.base(base_url, base), without_fragments, known.encoding))


def _closed(document: turbohtml.Document, fields: Iterable[str], agent: str) -> bool:
    """Returns whether header or markup forbid all crawlers or ``agent`` to follow links."""
    rules = [robots_tags.for_agent(field, agent) for field in fields]
    metas = (node for node in document.iter_elements("meta") if not html.is_inert(node))
    named = (node for node in metas if (node.attr("name") or "").strip().lower() in ("robots", agent.lower()))
    rules += (robots_tags.of_meta(node.attr("content") or "") for node in named)
    return any(not each.isdisjoint(_NOT_FOLLOWED) for each in rules)


def _references(document: turbohtml.Document) -> Iterator[str]:
    for node in document.iter_elements(list(_ATTRIBUTE)):
        reference = node.attr(_ATTRIBUTE[node.tag])
        closed = "nofollow" in (node.attr("rel") or "").lower().split()
        if reference is not None and not closed and not html.is_inert(node):
            yield reference.strip(_SPACE)


def resolved(base: str, references: Iterable[str], charset: str, most: int = MAX_LINKS) -> Iterator[str]:
    """Yields the canonical URLs of references found on ``base``, in a page of this encoding, each once."""
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


# Python's names of encodings; a URL is never in UTF-16 (URL standard 4.2, Encoding standard 4.3).
_IN_PYTHON = {
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "big5": "big5hkscs",
    "gbk": "gb18030",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
    "iso-8859-8-i": "iso-8859-8",
    "ibm866": "cp866",
}


def _escaped(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return b"".join(b"%%26%%23%d%%3B" % ord(sign) for sign in signs), error.end


codecs.register_error("forbear-url", _escaped)


def _encoded(reference: str, encoding: str) -> str:
    """Encodes a query in the encoding of its page, and a path in UTF-8 (WHATWG URL 4.2, query state).

    A character that the encoding does not have becomes a percent-encoded character reference (URL 1.3).
    """
    if reference.isascii() or encoding.startswith("utf-"):
        return reference
    path, mark, query = reference.partition("?")
    octets = query.encode(_IN_PYTHON.get(encoding, encoding), "forbear-url")
    return path + mark + quote(octets, safe="!$%&'()*+,-./:;=?@[\\]^_`{|}~")
