"""XMP packets (ISO 16684-1 7): the properties that a file states about itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from optout.readers import xml
from optout.readers.properties import MAX_PROPERTIES, Property
from optout.readers.text import readable, to_utf8
from optout.readers.unreadable import Unreadable

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def properties(packet: bytes, namespaces: tuple[str, ...], where: str) -> Iterator[Property]:
    """The top-level properties of these namespaces, as attribute, element or ``rdf:resource``.

    ``where`` is the packet's place in its file. Raises Unreadable for what is no well-formed XML, or brings a document
    type with it.
    """
    # Packets are padded, so that they can be edited in place (ISO 16684-1 7.3).
    source = to_utf8(packet).strip(b"\0\t\n\r ")
    root = xml.parse(source)
    if root.getroottree().docinfo.doctype:
        raise Unreadable("An XMP packet has no document type declaration.")
    seen: set[tuple[str, str]] = set()
    for tag, value, node in _stated(root):
        namespace, _, name = tag.removeprefix("{").rpartition("}")
        if namespace not in namespaces or (name, value) in seen:
            continue
        seen.add((name, value))
        if len(seen) > MAX_PROPERTIES:
            raise Unreadable(f"The packet makes more than {MAX_PROPERTIES} statements.")
        prefixes = [prefix or "" for prefix, uri in node.nsmap.items() if uri == namespace]
        written = (_as_written(prefix, name, value, source) for prefix in prefixes)
        quote = next(filter(None, written), readable(value.encode()))
        yield Property(name, value, quote, f"{where}, {prefixes[0]}:{name}" if prefixes else f"{where}, {name}")


def _stated(root: etree._Element) -> Iterator[tuple[str, str, etree._Element]]:
    """Name, trimmed value and element of each property, in document order."""
    for rdf in root.iter(f"{_RDF}RDF"):
        for description in rdf.iterchildren(f"{_RDF}Description"):
            for name, value in description.attrib.items():
                yield str(name), str(value).strip(), description
            for child in description.iterchildren(etree.Element):
                resource = child.get(f"{_RDF}resource")
                yield str(child.tag), (resource or "".join(child.itertext())).strip(), child


def _as_written(prefix: str, name: str, value: str, source: bytes) -> str:
    """The attribute or element as it stands in the packet; empty if it is written in some other way."""
    qualified = re.escape(f"{prefix}:{name}" if prefix else name).encode()
    plain = re.escape(value.encode())
    match = re.search(
        rb"<" + qualified + rb"[^<>]{0,1000}>\s*" + plain + rb"\s*</" + qualified + rb"\s*>"
        rb"|" + qualified + rb"\s*=\s*(?:\"\s*" + plain + rb"\s*\"|'\s*" + plain + rb"\s*')",
        source,
    )
    return readable(match[0]) if match else ""
