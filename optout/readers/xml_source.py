"""XML with the place of each element in the source, so that an element can be quoted as it was written (XML 1.0).

For documents from strangers: entities are never expanded, and no document type is fetched (XML 1.0 2.8, 4.1). What
needs one of them is not read, and a document that is not read is another thing than one that is no XML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from optout.readers.text import readable, to_utf8
from optout.readers.unreadable import Unreadable

MAX_DEPTH = 100
"""How deep elements may be nested."""
MAX_QUOTE = 240
"""Octets up to which an element is quoted whole; of a longer one its opening tag."""

_DECLARED = re.compile(rb"\s*<\?xml[^>]*\sencoding\s*=")
_XHTML = "http://www.w3.org/1999/xhtml"
_OPENING = re.compile(rb"<(?:[^\"'>]|\"[^\"]*+\"|'[^']*+')*+>")


class NotXml(Unreadable):
    """Something else than a well-formed document stands there, a web page for instance; it has nothing to be read."""


@dataclass(slots=True)
class Node:
    """An element: its namespace, local name and attributes, its own text, the elements in it, its place in the source.

    ``quote`` is the element as written, or its opening tag if it is long; ``line`` counts from 1.
    """

    namespace: str
    name: str
    attributes: dict[str, str]
    line: int
    start: int
    text: str = ""
    quote: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Node]:
        """The elements of this name and of this element's own namespace that stand in it directly."""
        return (child for child in self.children if child.name == name and child.namespace == self.namespace)

    def iterate(self) -> Iterator[Node]:
        """The element itself and all in it, in document order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


def parse(octets: bytes, encoding: str | None = None) -> Node:
    """The root element of a well-formed document; raises NotXml, and Unreadable for a document beyond our means.

    White space and a byte order mark before the document are passed over. ``encoding`` is that of the octets where it
    is known from outside, whatever the document says.
    """
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-8"  # What to_utf8 makes of it.
    source = to_utf8(octets)
    if source[:2] in (b"<\0", b"\0<"):
        raise Unreadable("It is UTF-16 without a byte order mark.")  # Nothing of it could be quoted.
    if encoding is None and not _DECLARED.match(source) and not _is_utf8(source):
        encoding = "iso-8859-1"  # 4.3.3: some header may say so; to markup all of its kind are alike.
    return _Builder(source, encoding).root()


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Builder:
    def __init__(self, source: bytes, encoding: str | None) -> None:
        self._source = source.lstrip(b" \t\r\n")
        self._lines_before = source[: len(source) - len(self._source)].count(b"\n")
        self._open: list[tuple[Node, list[str]]] = []
        self._root: Node | None = None
        self._parser = parser = expat.ParserCreate(encoding, namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def root(self) -> Node:
        try:
            self._parser.Parse(self._source, True)
        except Unreadable:
            raise
        except expat.ExpatError as error:
            raise NotXml(f"It is no well-formed XML: {error}.") from None
        except (LookupError, ValueError) as error:
            raise Unreadable(f"Its encoding is not read: {error}.") from None
        if self._root is None:
            raise NotXml("It is no well-formed XML: it has no element.")
        return self._root

    def _doctype(self, name: str, system: str | None, *_: object) -> None:
        if name.lower() == "html":
            raise NotXml("It is a web page.")
        if system is not None:
            # What it would add, attributes and entities, is not known.
            raise Unreadable("It has an external document type, which is not read.")

    def _entity(self, *_: object) -> None:
        raise Unreadable("It declares entities, which are not read.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) == MAX_DEPTH:
            raise Unreadable(f"It has more than {MAX_DEPTH} levels of nested elements.")
        namespace, _, local = name.rpartition(" ")
        line = self._parser.CurrentLineNumber + self._lines_before
        node = Node(namespace, local, attributes, line, self._parser.CurrentByteIndex)
        if self._open:
            self._open[-1][0].children.append(node)
        else:
            self._root = node
        self._open.append((node, []))

    def _text(self, text: str) -> None:
        self._open[-1][1].append(text)

    def _end(self, _: str) -> None:
        node, texts = self._open.pop()
        node.text = "".join(texts)
        opening = _OPENING.match(self._source, node.start)
        end = opening.end() if opening else node.start
        if opening and not opening[0].endswith(b"/>"):
            closed = self._source.find(b">", self._parser.CurrentByteIndex) + 1
            end = closed if closed - node.start <= MAX_QUOTE else end
        node.quote = readable(self._source[node.start : end])


Wanted = Callable[[str, dict[str, str], str], bool]
"""Whether an element is wanted, by its name, attributes and text."""


def elements(source: bytes, wanted: Wanted) -> Iterator[Node]:
    """Yields the XHTML elements of a page that are wanted; the text is known of scripts alone.

    ``source`` is in UTF-8. Entities of the page's own document type are resolved, within expat's limits, as browsers
    do; what is defined elsewhere is left out. Raises NotXml for a page that is not well-formed.
    """
    for node in _Page(wanted).read(source):
        if node.name != "script" or wanted(node.name, node.attributes, node.text):
            opening = _OPENING.match(source, node.start)
            node.quote = readable(opening[0]) if opening else ""
            yield node


class _Page:
    """One pass over a page: the elements that are wanted without a look at their text, and all scripts."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._found: list[Node] = []
        self._script: Node | None = None
        self._texts: list[str] = []
        self._parser = parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def read(self, source: bytes) -> list[Node]:
        try:
            self._parser.Parse(source, True)
        except expat.ExpatError as error:
            raise NotXml(f"It is not well-formed XML: {error}.") from None
        return self._found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if namespace != _XHTML or not (local == "script" or self._wanted(local, attributes, "")):
            return
        own = {name.rpartition(" ")[2]: value for name, value in attributes.items()}
        node = Node(namespace, local, own, self._parser.CurrentLineNumber, self._parser.CurrentByteIndex)
        self._found.append(node)
        if local == "script":
            self._script, self._texts = node, []

    def _end(self, name: str) -> None:
        if self._script is not None and name == f"{_XHTML} script":
            self._script.text = "".join(self._texts)
            self._script = None

    def _text(self, text: str) -> None:
        if self._script is not None:
            self._texts.append(text)
