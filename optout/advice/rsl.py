"""Rules for licence files: RSL 1.0, 10 December 2025, with errata to 7 August 2026."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from forbear.optout.advice.finding import ROBOTS_TXT, Fix, Level, Placement, Remark, Site, rule
from forbear.optout.model import Capture
from forbear.optout.readers import xml_source
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.rsl import NAMESPACE
from forbear.optout.readers.text import field_octets, readable, to_utf8
from forbear.optout.readers.xml_source import Node

_USAGES = ("all", "ai-all", "ai-train", "ai-input", "ai-index", "search")
_TYPES = ("usage", "user", "geo")
_PAYMENTS = ("purchase", "subscription", "training", "crawl", "use", "contribution", "attribution", "free")
_ELEMENTS = frozenset(
    {"rsl", "content", "license", "permits", "prohibits", "payment", "amount", "standard", "custom", "accepts"}
    | {"reporting", "legal", "alternate", "schema", "copyright", "terms"}
)
_IN_PAYMENT = ("amount", "standard", "custom", "accepts")


def licence(url: str = "/", permits: tuple[str, ...] = (), prohibits: tuple[str, ...] = ("ai-train",)) -> str:
    """Returns a whole licence file that permits and prohibits these uses."""
    words = [("permits", " ".join(permits)), ("prohibits", " ".join(prohibits))]
    lines = [f'      <{name} type="usage">{uses}</{name}>\n' for name, uses in words if uses]
    return (
        f'<rsl xmlns="{NAMESPACE}">\n  <content url={quoteattr(url)}>\n    <license>\n'
        f"{''.join(lines)}    </license>\n  </content>\n</rsl>\n"
    )


def _files(site: Site) -> Iterator[Capture]:
    """Yields the licence files among what was looked at."""
    for capture in site.looked_at:
        is_page = b"<html" in capture.body[:4096].lower()
        if capture.status == 200 and not is_page and b"<rsl" in capture.body and NAMESPACE.encode() in capture.body:
            yield capture


def _roots(site: Site) -> Iterator[tuple[Capture, Node]]:
    for capture in _files(site):
        try:
            yield capture, xml_source.parse(capture.body)
        except Unreadable:
            continue


def _elements(site: Site, *names: str) -> Iterator[tuple[Capture, Node]]:
    for capture, root in _roots(site):
        for node in root.iterate():
            if node.namespace == NAMESPACE and (not names or node.name in names):
                yield capture, node


def _found(capture: Capture, node: Node, message: str, fix: Fix | None = None) -> Remark:
    return Remark(message, node.quote, capture.url, f"line {node.line}", fix)


@rule("rsl/not-xml", Level.ERROR, "RSL 2.2; XML 1.0", "A licence file is well-formed XML.")
def not_xml(site: Site) -> Iterator[Remark]:
    """Finds an element that is not closed, a bare ampersand."""
    for capture in _files(site):
        try:
            xml_source.parse(capture.body)
        except Unreadable as error:
            text = readable(to_utf8(capture.body))
            match = re.search(r"<prohibits[^>]*>[^<]*", text) or re.search(r"<rsl[^>]*>?", text)
            fix = Fix(licence(), Placement.FILE) if "<prohibits" in text else None
            if match:
                message = f"No crawler can read any of this file: {error}"
                yield Remark(message, match[0], capture.url, "whole file", fix)


@rule("rsl/type", Level.ERROR, "RSL 3.5, 3.6", "The type of permits and prohibits is usage, user or geo.")
def type_of_terms(site: Site) -> Iterator[Remark]:
    """Finds ``<permits type="ai-train">no</permits>``."""
    for capture, root in _roots(site):
        nodes = [node for node in root.iterate() if node.namespace == NAMESPACE]
        terms = [node for node in nodes if node.name in ("permits", "prohibits")]
        fix = _mended(nodes, terms)
        for node in terms:
            if node.attributes.get("type", "").strip() not in _TYPES:
                message = f"This {node.name} says nothing: the use is its text, type is usage, a no is a prohibits."
                yield _found(capture, node, message, fix)


def _mended(nodes: list[Node], terms: list[Node]) -> Fix:
    """Returns the licence with what its terms seem to mean: a use with a no is prohibited, in doubt too."""
    named_uses: dict[str, bool] = {}
    for node in terms:
        kind, words = node.attributes.get("type", "").strip(), node.text.replace(",", " ").split()
        negated = node.name == "prohibits" or any(word.lower() in ("no", "false", "deny") for word in words)
        for word in (kind, *words):
            if word in _USAGES:
                named_uses[word] = named_uses.get(word, True) and not negated
    url = next((node.attributes.get("url", "/") for node in nodes if node.name == "content"), "/")
    permits, prohibits = ((*(word for word in _USAGES if named_uses.get(word) is want),) for want in (True, False))
    return Fix(licence(url, permits, prohibits), Placement.FILE)


@rule("rsl/unknown-use", Level.WARNING, "RSL 3.4.1.1", "The uses that are prohibited are those of RSL.")
def unknown_use(site: Site) -> Iterator[Remark]:
    """Finds a word of no vocabulary, which prohibits nothing."""
    yield from _unknown_uses(site, "prohibits")


@rule("rsl/unknown-permit", Level.NOTE, "RSL 3.4.1.1", "The uses that are permitted are those of RSL.")
def unknown_permit(site: Site) -> Iterator[Remark]:
    """Finds permissions in unknown words (``grounding``, ``ai-summarize``): nobody uses them, nothing is lost."""
    yield from _unknown_uses(site, "permits")


def _unknown_uses(site: Site, name: str) -> Iterator[Remark]:
    for capture, node in _elements(site, name):
        words = node.text.replace(",", " ").split() if node.attributes.get("type", "").strip() == "usage" else []
        unknown = [word for word in words if word not in _USAGES and ":" not in word]
        if unknown:
            message = f"RSL has no use named {' or '.join(unknown)}: its words are {', '.join(_USAGES)}."
            yield _found(capture, node, message)


@rule("rsl/unknown-element", Level.WARNING, "RSL 3", "The elements and their places are those of RSL.")
def unknown_element(site: Site) -> Iterator[Remark]:
    """Finds ``<attribution>``; ``<standard>`` outside of a payment; a payment of an unknown type."""
    for capture, root in _roots(site):
        parents = {id(child): node for node in root.iterate() for child in node.children}
        for node in root.iterate():
            if node.namespace != NAMESPACE:
                continue
            parent = parents.get(id(node))
            if node.name not in _ELEMENTS and (parent is None or parent.name in _ELEMENTS):
                yield _found(
                    capture, node, f"RSL has no element {node.name}; crawlers pass it over, or refuse the file."
                )
            elif node.name in _IN_PAYMENT and parent is not None and parent.name != "payment":
                yield _found(capture, node, f"{node.name} belongs in a payment element; here it means nothing.")
            elif node.name == "payment" and node.attributes.get("type", "free").strip() not in _PAYMENTS:
                message = f"RSL has no such payment: its types are {', '.join(_PAYMENTS)}."
                yield _found(capture, node, message)


@rule("rsl/not-named", Level.WARNING, "RSL 4", "A licence file is named in robots.txt, a header or a page.")
def not_named(site: Site) -> Iterator[Remark]:
    """Finds a licence file that nothing names, so that nobody looks for it."""
    robots = site.file(ROBOTS_TXT)
    for capture, root in _roots(site):
        path = capture.url.removeprefix(site.url.origin)
        naming = [robots.body if robots else b""]
        if site.page:
            naming += [site.page.body, *(field_octets(value) for value in site.page.header("link"))]
        if capture is not site.page and not any(path.encode() in text for text in naming):
            message = "No robots.txt, header or page names this licence, so no crawler finds it."
            yield _found(capture, root, message, Fix(f"License: {capture.url}", Placement.ROBOTS))
