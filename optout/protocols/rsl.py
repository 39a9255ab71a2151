"""Reads RSL licences: in files that robots.txt, a ``Link`` header or a ``<link>`` names, in the page, in feeds.

A use that a licence prohibits, does not permit, or sells is reserved.

RSL 1.0, Recommendation of 10 December 2025 with errata to 7 August 2026; ``readers.rsl`` reads the documents.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from forbear.optout.captures import Hop
from forbear.optout.model import (
    AI_USES,
    ALWAYS,
    IN_STRICT,
    NEVER,
    Capture,
    Gap,
    Place,
    Preference,
    Reading,
    Statement,
    StatementStatus,
)
from forbear.optout.protocols import robots
from forbear.optout.readers import html, link_header, mime, robots_txt
from forbear.optout.readers import rsl as documents
from forbear.optout.readers import url as urls
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.html import Element
from forbear.optout.readers.robots_txt import Line, RobotsTxt
from forbear.optout.readers.rsl import Document, Term, TooLarge
from forbear.optout.readers.text import quoted, readable
from forbear.optout.readers.url import NotAUrl
from forbear.optout.readers.xml_names import NotXml

NAME = "rsl"
PLACES: tuple[str, ...] = ()
MEDIA_TYPE = "application/rsl+xml"

MAX_LICENCES = 8
"""Licence files that are read for one page."""
MAX_TERMS = 64
"""What one document says of a page, as far as it is listed."""

_FEED = re.compile(rb"\s*(?:<\?xml|<rss|<feed|<rsl|<rdf)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Named:
    """A licence as a place names it: its URL, or the reason why it has none."""

    url: str
    quote: str
    source: str
    where: str
    of_page: bool = True
    error: str = ""


def read(hop: Hop) -> Reading:
    """Yields what the licences say that robots.txt, header or page name (4.2), and those in the page itself (4.6.2)."""
    named = list(_in_robots_txt(hop))
    if not named:
        yield from _elsewhere(hop)
    page = hop.page
    if page is not None:
        named += _in_header(page)
        markup = html.HtmlPage()
        try:
            markup = html.read(page)
        except Unreadable as error:
            yield Gap(NAME, "unreadable", page.url, "body", str(error))
        named += _in_elements(markup, page)
        for number, element in enumerate(markup.elements):
            if element.name == "script" and _is_rsl(element.attributes.get("type", "")):
                # A section that hides the document from old readers of HTML is part of the script's text there.
                source = element.content.strip().removeprefix("<![CDATA[").removesuffix("]]>")
                document = _document(page, f"{NAME} {number}", source.encode("utf-8", "replace"), "utf-8")
                yield from _said(hop, document, page.url, True, element.where)
        for element in markup.doubtful:
            if _names_licence(element) or (element.name == "script" and _is_rsl(element.attributes.get("type", ""))):
                note = html.DOUBTFUL
                yield Statement(
                    NAME,
                    Preference.DISALLOW,
                    element.quote,
                    page.url,
                    element.where,
                    AI_USES,
                    StatementStatus.FLAGGED,
                    note,
                )
        yield from _in_page(hop, page)
    yield from _licences(hop, named)


def _licences(hop: Hop, named: list[_Named]) -> Reading:
    licences: dict[str, _Named] = {}
    for one in named:
        if one.error:
            yield Gap(NAME, one.quote, one.source, one.where, one.error, IN_STRICT)
        elif one.url not in licences or one.of_page:
            licences[one.url] = one
    for one in [*licences.values()][MAX_LICENCES:][:1]:
        detail = f"More than {MAX_LICENCES} licences are named for this page; the rest are not read."
        yield Gap(NAME, one.quote, one.source, one.where, detail)
    for url, one in [*licences.items()][:MAX_LICENCES]:
        capture = yield from _look(hop, url)
        if capture is not None:
            yield from _said(hop, _document(capture, NAME, capture.body), capture.url, one.of_page)


def _look(hop: Hop, url: str) -> Generator[Gap | Place, None, Capture | None]:
    """Returns a licence file, or None; a missing one leaves the page unlicensed, which is not a prohibition (4.3)."""
    capture = yield from hop.look(NAME, url)
    if capture is None and hop.is_absent(url):
        known = hop.captures.get(url)
        status = str(known.status) if known else "404"
        yield Gap(NAME, status, url, "status", f"A licence is named, and {url} answered that there is none.", IN_STRICT)
    return capture


# --- what a document says


def _document(capture: Capture, memo: str, octets: bytes, encoding: str | None = None) -> Document | Unreadable:
    """Returns the document, parsed once for its capture; or why it cannot be."""
    if memo not in capture.memo:
        try:
            capture.memo[memo] = Document(octets, encoding)
        except Unreadable as error:
            capture.memo[memo] = error
    known: Document | Unreadable = capture.memo[memo]
    return known


def _said(
    hop: Hop, document: Document | Unreadable, source: str, of_page: bool, where: str = ""
) -> Iterator[Statement | Gap]:
    """Yields what a document says of the page; ``where`` is the element that holds it, empty for a file."""
    if isinstance(document, Unreadable):
        quote, defers = "too-large" if isinstance(document, TooLarge) else "unreadable", ALWAYS
        if isinstance(document, NotXml):
            quote, defers = "malformed", IN_STRICT  # 4.3: unlicensed, which is not a prohibition.
        yield Gap(NAME, quote, source, where or "whole file", f"{source}: {document}", defers)
        return
    for problem in document.problems:
        yield Gap(NAME, problem.quote, source, where or f"line {problem.line}", problem.detail, IN_STRICT)
    covering = hop.of_target(partial(document.covering, hop.url.host, of_page))
    yield from _listed(document.terms(covering), source, where)


def _listed(terms: Iterator[Term], source: str, where: str = "") -> Iterator[Statement | Gap]:
    for number, term in enumerate(terms):
        place = where or f"line {term.line}"
        if number == MAX_TERMS:
            yield Gap(NAME, term.quote, source, place, f"The document says more than {MAX_TERMS} things of this page.")
            return
        yield Statement(NAME, term.preference, term.quote, source, place, term.uses, term.force, term.note)
        if term.force is StatementStatus.MALFORMED:
            yield Gap(NAME, term.quote, source, place, term.note, NEVER)


# --- where licences are named


def _in_robots_txt(hop: Hop) -> tuple[_Named, ...]:
    """Returns the licences of the agent's groups, else those outside of any group (4.4.2)."""
    capture = robots.capture_of(hop)
    if capture is None:
        return ()
    memo = f"{NAME} {hop.question.agent}"
    if memo not in capture.memo:
        capture.memo[memo] = tuple(_license_lines(robots_txt.parse(capture), hop.question.agent))
    named: tuple[_Named, ...] = capture.memo[memo]
    return named


def _elsewhere(hop: Hop) -> tuple[Statement, ...]:
    """Returns License lines of other crawlers' groups, if our own groups have none."""
    capture = robots.capture_of(hop)
    if capture is None:
        return ()
    memo = f"{NAME} not for {hop.question.agent}"
    if memo not in capture.memo:
        file = robots_txt.parse(capture)
        lines = islice(file.elsewhere("license", hop.question.agent), MAX_LICENCES)
        capture.memo[memo] = tuple(_not_for_us(file, line) for line in lines)
    known: tuple[Statement, ...] = capture.memo[memo]
    return known


def _not_for_us(file: RobotsTxt, line: Line) -> Statement:
    quote, where = file.quote(line), file.where(line)
    note = "It is in a group of other crawlers, and so is not for this one (RSL 4.4.2)."
    return Statement(NAME, Preference.UNKNOWN, quote, file.source, where, AI_USES, StatementStatus.FLAGGED, note)


def _license_lines(file: RobotsTxt, agent: str) -> Iterator[_Named]:
    own = list(islice(file.records("license", agent), MAX_LICENCES + 1))
    for line in own or islice(file.ungrouped("license"), MAX_LICENCES + 1):
        quote, where = file.quote(line), file.where(line)
        try:
            url = urls.parse(readable(line.value)).href
        except NotAUrl:
            error = "A License line names an absolute URI (RSL 4.4)."
            yield _Named("", quote, file.source, where, of_page=False, error=error)
        else:
            yield _Named(url, quote, file.source, where, of_page=False)


def _in_header(page: Capture) -> Iterator[_Named]:
    """Yields ``Link`` fields with this relation and media type; others are ordinary links to a licence (4.5)."""
    for link in link_header.links(page.header("link")):
        if _is_licence(link.parameters):
            yield _named(link.target, quoted(link.text), page, "header link")


def _in_elements(markup: html.HtmlPage, page: Capture) -> Iterator[_Named]:
    """Yields ``link`` elements, whose URLs are relative to the page's base (4.6.1, HTML 2.4.1)."""
    for element in markup.elements:
        if _names_licence(element):
            yield _named(element.attributes["href"], element.quote, page, element.where, markup.base)


def _names_licence(element: Element) -> bool:
    return element.name == "link" and _is_licence(element.attributes) and "href" in element.attributes


def _is_licence(parameters: dict[str, str]) -> bool:
    return "license" in parameters.get("rel", "").lower().split() and _is_rsl(parameters.get("type", ""))


def _is_rsl(media_type: str) -> bool:
    kind = mime.parse(media_type)
    return kind is not None and kind.essence == MEDIA_TYPE


def _named(reference: str, quote: str, page: Capture, where: str, base: str | None = None) -> _Named:
    try:
        return _Named(urls.join(urls.base(page.url, base), reference.strip()).href, quote, page.url, where)
    except NotAUrl as error:
        return _Named("", quote, page.url, where, error=str(error))


def _in_page(hop: Hop, page: Capture) -> Iterator[Statement | Gap]:
    """Yields what a feed says of its items, taken as said of the feed, or what a licence file says (4.7)."""
    if documents.NAMESPACE.encode() not in page.body or html.is_html(page) or not _FEED.match(page.body[:1024]):
        return
    document = _document(page, NAME, page.body)
    if isinstance(document, Document) and not document.is_rsl:
        yield from _listed(document.all_terms(), page.url)
    else:
        yield from _said(hop, document, page.url, of_page=True)
