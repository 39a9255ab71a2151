"""XMP packets (ISO 16684-1:2019): the properties that a file states about itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from optout.readers import xml
from optout.readers.properties import MAX_PROPERTIES, Property
from optout.readers.text import readable, to_utf8
from optout.readers.unreadable import Unreadable

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
# 7.5 to 7.8: an array's items, and a value that has qualifiers.
_VALUES = (f"{_RDF}li", f"{_RDF}value")
# 7.4, 7.9.2: a value that stands in an attribute; and a node of its own that is no more than its URI (RDF 1.1 XML 2.4).
_WRITTEN_AS = (f"{_RDF}resource", f"{_RDF}value", f"{_RDF}about")


@dataclass(frozen=True, slots=True)
class _Stated:
    """A top-level property: its name as ``{namespace}name``, trimmed value, and prefix in the source, if it has one."""

    name: str
    value: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that was read; ``where`` is its place in its file."""

    where: str
    _source: bytes
    _stated: tuple[_Stated, ...]

    def properties(self, namespaces: tuple[str, ...]) -> Iterator[Property]:
        """The properties of these namespaces, as attribute, element or ``rdf:resource``. Raises Unreadable."""
        seen: set[tuple[str, str]] = set()
        for stated in self._stated:
            namespace, _, name = stated.name.removeprefix("{").rpartition("}")
            if namespace not in namespaces or (name, stated.value) in seen:
                continue
            seen.add((name, stated.value))
            if len(seen) > MAX_PROPERTIES:
                raise Unreadable(f"The packet makes more than {MAX_PROPERTIES} statements.")
            qualified = f"{stated.prefix}:{name}" if stated.prefix else name
            quote = _as_written(qualified, stated.value, self._source) or readable(stated.value.encode())
            yield Property(name, stated.value, quote, f"{self.where}, {qualified}")


def parse(packet: bytes, where: str, *, in_a_document: bool = False) -> Packet:
    """The packet at a place of its file.

    A packet brings no document type with it; ``in_a_document`` is true for one that stands in a larger XML document,
    which may. Raises Unreadable.
    """
    # Packets are padded, so that they can be edited in place (7.3).
    source = to_utf8(packet).strip(b"\0\t\n\r ")
    root = xml.parse(source)
    if root.getroottree().docinfo.doctype and not in_a_document:
        raise Unreadable("An XMP packet has no document type declaration.")
    return Packet(where, source, tuple(_stated(root)))


def _stated(root: etree._Element) -> Iterator[_Stated]:
    """The top-level properties in document order."""
    for rdf in root.iter(f"{_RDF}RDF"):
        for description in rdf.iterchildren(f"{_RDF}Description"):
            prefixes = {uri: prefix or "" for prefix, uri in description.nsmap.items()}
            for name, value in description.attrib.items():
                yield _Stated(str(name), str(value).strip(), prefixes.get(etree.QName(name).namespace or "", ""))
            for child in description.iterchildren(etree.Element):
                for leaf in list(child.iter(*_VALUES)) or list(child.iter(f"{_RDF}Description")) or [child]:
                    if next(leaf.iter(etree.Entity), None) is not None:
                        raise Unreadable(f"The value of {str(child.tag)!r} is hidden in an entity.")
                    value = next(filter(None, map(leaf.get, _WRITTEN_AS)), None) or "".join(leaf.itertext())
                    yield _Stated(str(child.tag), value.strip(), child.prefix or "")


def _as_written(qualified: str, value: str, source: bytes) -> str:
    """The attribute or element as it stands in the packet; empty if it is written in some other way."""
    name, plain = re.escape(qualified).encode(), re.escape(value.encode())
    match = re.search(
        rb"<" + name + rb"[^<>]{0,1000}>\s*" + plain + rb"\s*</" + name + rb"\s*>"
        rb"|" + name + rb"\s*=\s*(?:\"\s*" + plain + rb"\s*\"|'\s*" + plain + rb"\s*')",
        source,
    )
    return readable(match[0]) if match else ""
