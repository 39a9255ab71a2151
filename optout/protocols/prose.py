"""Reads reservations in prose on a page: in footers, in copyright lines, in links to terms.

Our own rule: what is found is recorded with its words for people to judge, and decides nothing unless
the operator's policy says so. Linked terms are not fetched. Measure 1.3(2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from forbear.optout.captures import Hop
from forbear.optout.model import AI_USES, Preference, Reading, Statement, StatementStatus
from forbear.optout.readers import prose, representation, tree_bounds
from forbear.optout.readers.markup import Tag, tags
from forbear.optout.readers.text import readable

NAME = "prose"
PLACES: tuple[str, ...] = ()

MOST = 16
"""Sentences and links of one page that are listed."""

_LANGUAGE = re.compile(rb"<html\b[^>]{0,300}?\blang[ \t\r\n]*=[ \t\r\n]*[\"']?([a-z]{2})\b", re.IGNORECASE)
_NOTICE = re.compile(
    rb"footer|copyright|legal|imprint|impressum|disclaimer|contentinfo|terms|rights-?(?:notice|reserved)", re.IGNORECASE
)
# A sentence that names the law is about the page, wherever it is.
_LAW = re.compile(rb"2019/790|44\s?b\b|&copy;|\xa9", re.IGNORECASE)
_RIGHTS = re.compile(r"(?:dc(?:terms)?\.)?(?:access)?(?:rights?|copyright|licen[cs]e|usage-?terms)", re.IGNORECASE)
_INLINE = frozenset(
    b"a abbr b bdi bdo big br cite code del dfn em font i img ins kbd mark q s small span strong sub sup time tt u var "
    b"wbr".split()
)
_BLOCKS = frozenset(b"div p section aside ul ol li td address dl dd h1 h2 h3 h4 h5 h6 nav table".split())
MAX_PART = 65_536
"""A page of more than twice as many bytes is read so far from its beginning and its end, where notices are."""
MAX_LINK = 200
"""Bytes of the text of a link."""


def read(hop: Hop) -> Reading:
    """Yields what the page that may be kept says in prose."""
    page = hop.page
    known = representation.of(page) if page else None
    if page is None or known is None or not known.is_html or len(page.body) > tree_bounds.MAX_OCTETS:
        return
    source = known.source
    declared = _LANGUAGE.search(source[:4096])
    language = declared[1].decode().lower() if declared else ""
    parts = [(0, source)] if len(source) <= 2 * MAX_PART else [(0, source[:MAX_PART]), _end(source)]
    for begin, part in parts:
        if not prose.may_reserve(part.lower(), language):
            continue
        found = list(islice(_Notices(part).read(), MOST))
        for at, octets, preference, note in found:
            where = f"line {source.count(bytes((10,)), 0, begin + at) + 1}"
            yield Statement(NAME, preference, readable(octets), page.url, where, AI_USES, StatementStatus.FLAGGED, note)


def _end(source: bytes) -> tuple[int, bytes]:
    """Returns the last part of a long page, from a tag on, and its offset."""
    begin = max(source.find(b"<", len(source) - MAX_PART), len(source) - MAX_PART)
    return begin, source[begin:]


_Found = tuple[int, bytes, Preference, str]


class _Notices:
    """One pass over the tags of a page."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        # The element that is a notice, and how many of its name are open in it.
        self._notice = b""
        self._depth = 0
        self._link: Tag | None = None

    def read(self) -> Iterator[_Found]:
        """Yields what is found, in order."""
        begin = end = 0
        for tag in tags(self._source):
            yield from self._of_tag(tag)
            end = tag.end + len(tag.content)
            if tag.name in _INLINE:
                continue
            yield from self._sentences(begin, tag.start)
            begin = end
            self._step(tag)
        yield from self._sentences(begin, len(self._source))

    def _sentences(self, begin: int, end: int) -> Iterator[_Found]:
        """Yields the text between two tags that are not inline, if it is part of a notice."""
        text = self._source[begin:end]
        if len(text) < 20 or not (self._notice or _LAW.search(text)):
            return
        for at, sentence in prose.reserving(text):
            yield begin + at, sentence, Preference.DISALLOW, "Words for people, in no protocol's form."

    def _of_tag(self, tag: Tag) -> Iterator[_Found]:
        if tag.name == b"meta" and not tag.is_end:
            attributes = tag.attribute()
            name = attributes.get("name", "") or attributes.get("property", "")
            if _RIGHTS.fullmatch(name.strip()) and prose.reserves(attributes.get("content", "")[: prose.MAX_SENTENCE]):
                element = self._source[tag.start : tag.end]
                yield tag.start, element, Preference.DISALLOW, "Words for people, in no protocol's form."
        elif tag.name == b"a":
            opened, self._link = self._link, None if tag.is_end else tag
            if tag.is_end and opened and tag.start - opened.end <= MAX_LINK:
                text = self._source[opened.end : tag.start].decode("utf-8", "replace")
                if prose.names_terms(text):
                    octets = self._source[opened.start : tag.end]
                    yield opened.start, octets, Preference.UNKNOWN, "Terms that the page links; they are not looked up."

    def _step(self, tag: Tag) -> None:
        """Follows a tag into and out of a notice."""
        if self._notice:
            if tag.name == self._notice:
                self._depth += -1 if tag.is_end else 1
                self._notice = self._notice if self._depth else b""
        elif not tag.is_end and (tag.name == b"footer" or (tag.name in _BLOCKS and _NOTICE.search(tag.attributes))):
            self._notice, self._depth = tag.name, 1
