"""Reads XMP packets (ISO 16684-1:2019): the properties that a file states about itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.properties import MAX_PROPERTIES, Property
from forbear.optout.readers.text import readable
from forbear.optout.readers.xml_events import Events

PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
TERMS = "http://purl.org/dc/terms/"
NOTE = "http://ns.adobe.com/xmp/note/"
# TDMRep 6.5 and 6.6 differ in the last character; taken for each other easily, so both are read in both.
TDM = ("http://www.w3.org/ns/tdmrep/", "http://www.w3.org/ns/tdmrep#")
WANTED = frozenset({PLUS, TERMS, NOTE, *TDM})
"""The namespaces that protocols ask for; of the rest of a packet, which can be long, nothing is kept."""

MAX_VALUE = 65_536
"""Characters that a wanted property may have."""
MAX_STATED = 1_000
"""How many values of wanted properties a packet may state."""
MAX_QUOTE = 1_000
"""Bytes up to which an element is quoted whole."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ROOT, _NODE = (_RDF, "RDF"), (_RDF, "Description")
# 7.5 to 7.8: an array's items, and a value that has qualifiers.
_VALUES = frozenset({(_RDF, "li"), (_RDF, "value")})
# 7.4, 7.9.2: a value in an attribute; and a node of its own that is only its URI (RDF 1.1 XML 2.4).
_WRITTEN_AS = frozenset({(_RDF, "resource"), (_RDF, "value"), (_RDF, "about")})
_ATTRIBUTE = re.compile(rb"([^\s=\"'<>/]++)\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+')")


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that was read; ``where`` is its place in its file."""

    where: str
    _stated: tuple[tuple[str, Property], ...]

    @property
    def statements(self) -> frozenset[tuple[str, str, str]]:
        """Returns namespace, name and value of all wanted properties, wherever they are."""
        return frozenset((namespace, item.name, item.value) for namespace, item in self._stated)

    def properties(self, namespaces: tuple[str, ...]) -> Iterator[Property]:
        """Yields the top-level properties of these namespaces, which are among WANTED. Raises Unreadable."""
        seen: set[tuple[str, str]] = set()
        for namespace, item in self._stated:
            if namespace not in namespaces or (item.name, item.value) in seen:
                continue
            seen.add((item.name, item.value))
            if len(seen) > MAX_PROPERTIES:
                raise Unreadable(f"The packet makes more than {MAX_PROPERTIES} statements.")
            yield item


def parse(packet: bytes, where: str, *, in_a_document: bool = False) -> Packet:
    """Reads the packet at a place of its file, whatever precedes its first tag or follows its last.

    A packet brings no document type with it; ``in_a_document`` is true for one that is in a larger XML document, which
    may, and which is read to its end. Raises Unreadable.
    """
    document = packet if in_a_document else utf8(packet)
    if not document:  # a wrapper around nothing
        return Packet(where, ())
    events = _Statements(document, where, in_a_document=in_a_document)
    events.read()
    return Packet(where, tuple(events.stated))


def utf8(packet: bytes) -> bytes:
    """Returns a packet from its first tag on, in UTF-8 if it was in UTF-16 or UTF-32 (7.3.2).

    What precedes it may be a byte order mark, padding, or the signature that belongs into JPEG files alone.
    """
    at = packet.find(b"<")
    if at < 0:
        raise Unreadable("It is empty.")
    width = 4 if packet.startswith(b"<\0\0\0", at) else 2 if packet.startswith(b"<\0", at) else 1
    source = packet[at:]
    if width > 1:
        read = [source.decode(f"utf-{8 * width}-le", "replace")]
        if packet.startswith(bytes(width - 1) + b"<", start := at - width + 1) and start >= 0:
            read.append(packet[start:].decode(f"utf-{8 * width}-be", "replace"))
        # In the wrong order the bytes of ASCII make the same characters, until others come between.
        source = max(read, key=lambda text: text.count("<") + text.count(">")).encode()
    # The wrapper says nothing that is not known by now, and some writers put odd bytes into it.
    while source.startswith(b"<?xpacket") and (end := source.find(b"?>")) >= 0:
        source = source[end + 2 :].lstrip()
    return source


class _Statements(Events):
    """The wanted properties: attributes of the nodes in an rdf:RDF, and elements directly in them (7.4)."""

    def __init__(self, document: bytes, where: str, *, in_a_document: bool) -> None:
        super().__init__(document)
        self.stated: list[tuple[str, Property]] = []
        self._where = where
        self._in_a_document = in_a_document
        self._rdf: int | None = None
        """The depth of the rdf:RDF that is open."""
        self._name: tuple[str, ...] = ()
        """Namespace, name and prefix of the wanted property that is open, or nothing."""
        self._begin, self._tag = 0, b""
        self._values: list[str] = []
        self._texts: list[list[str]] = []
        self._length = 0

    def start(self, name: str, attributes: dict[str, str], depth: int) -> None:
        if self.has_doctype and not self._in_a_document:
            raise Unreadable("An XMP packet has no document type declaration.")
        if self._name:
            self._inside(name, attributes)
        elif self._rdf is None:
            if _kind(name) == _ROOT:
                self._rdf = depth
            elif _kind(name) == _NODE:  # RDF 1.1 XML 2.6: a single node needs no rdf:RDF
                self._rdf = depth - 1
                self._node(attributes)
        elif depth == self._rdf + 1:
            self._node(attributes)
        elif depth == self._rdf + 2 and name.partition(" ")[0] in WANTED:
            self._name, self._begin, self._length = tuple(name.split(" ")), self.at, 0
            self._tag = self.tag(self._begin)
            self._texts.append([])
            self._inside(name, attributes)
            self.listen(self._text)

    def end(self, name: str, depth: int) -> None:
        if self._name:
            if self._rdf is not None and depth == self._rdf + 2:
                self._property()
            elif _kind(name) in _VALUES:
                self._value("".join(self._texts.pop()))
        elif depth == self._rdf:
            self._rdf = None
        if depth == 1 and not self._in_a_document:
            self.stop()

    def _node(self, attributes: dict[str, str]) -> None:
        """Takes the properties that are attributes; expat does not say where they are written, the tag does."""
        wanted = {}
        for key, value in attributes.items():
            if key.partition(" ")[0] in WANTED:
                namespace, local, prefix = key.split(" ")
                wanted[f"{prefix}:{local}".encode()] = namespace, local, value.strip()
        tag = self.tag(self.at) if wanted else b""
        written = {match[1]: match[0] for match in _ATTRIBUTE.finditer(tag) if match[1] in wanted}
        for qualified, (namespace, local, value) in wanted.items():
            self._state(namespace, local, qualified.decode(), value, readable(written.get(qualified, b"")))

    def _inside(self, name: str, attributes: dict[str, str]) -> None:
        """Adds an element inside the property: an item with its own text, or values in attributes."""
        if _kind(name) in _VALUES:
            self._texts.append([])
        for key, value in attributes.items():
            if _kind(key) in _WRITTEN_AS:
                self._value(value)

    def _text(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_VALUE:
            raise Unreadable(f"The value of {self._name[1]} has more than {MAX_VALUE} characters.")
        self._texts[-1].append(text)

    def _value(self, value: str) -> None:
        if value := value.strip():
            self._values.append(value)
            if len(self._values) > MAX_STATED:
                raise Unreadable(f"{self._name[1]} has more than {MAX_STATED} values.")

    def _property(self) -> None:
        """Ends the property: each of its values is a statement, and so is an empty property."""
        self.listen(None)
        namespace, local, *prefix = self._name
        self._value("".join(self._texts.pop()))
        is_empty = self._tag.endswith(b"/>")
        end = self._begin + len(self._tag) if is_empty else self.source.find(b">", self.at) + 1
        whole = readable(self.source[self._begin : end]) if end - self._begin <= MAX_QUOTE else ""
        for value in self._values or [""]:
            self._state(namespace, local, ":".join([*prefix, local]), value, whole)
        self._name, self._values = (), []

    def _state(self, namespace: str, name: str, qualified: str, value: str, quote: str) -> None:
        if len(self.stated) == MAX_STATED:
            raise Unreadable(f"It makes more than {MAX_STATED} statements.")
        quote = quote or readable(value.encode())
        self.stated.append((namespace, Property(name, value, quote, f"{self._where}, {qualified}")))


def _kind(name: str) -> tuple[str, str]:
    """Returns the namespace and local name of an element or attribute."""
    namespace, _, rest = name.partition(" ")
    return namespace, rest.partition(" ")[0]
