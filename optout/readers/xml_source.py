"""Parses XML 1.0 with the position of each element in the source, so that an element can be quoted as written.

For documents from strangers: entities are never expanded, and no document type is fetched (XML 1.0 2.8, 4.1). What
needs one of them is not read, and a document that is not read differs from one that is not XML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.entities import html5

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.text import readable, to_utf8
from forbear.optout.readers.xml_events import TAG, Events
from forbear.optout.readers.xml_names import NotXml

MAX_DEPTH = 100
"""How deep elements of a licence may be nested."""
MAX_QUOTE = 240
"""Bytes up to which an element is quoted whole; of a longer one its opening tag."""

_DECLARED = re.compile(rb"\s*<\?xml[^>]*\sencoding\s*=")
_XHTML = "http://www.w3.org/1999/xhtml"


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
        """Returns the elements of this name and of this element's own namespace that are its children."""
        return (child for child in self.children if child.name == name and child.namespace == self.namespace)

    def iterate(self) -> Iterator[Node]:
        """Yields the element itself and all in it, in document order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


def parse(octets: bytes, encoding: str | None = None) -> Node:
    """Returns the root element; raises NotXml, and Unreadable for a document beyond the limits.

    White space and a byte order mark before the document are skipped. ``encoding`` is that of the bytes where it
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


class _Builder(Events):
    max_depth = MAX_DEPTH

    def __init__(self, source: bytes, encoding: str | None) -> None:
        super().__init__(source.lstrip(b" \t\r\n"), encoding)
        self._lines_before = source[: len(source) - len(self.source)].count(b"\n")
        self._open: list[tuple[Node, list[str]]] = []
        self._root: Node | None = None
        self._kept: dict[str, str] = {}
        """Each name once, however many nodes have it."""
        self.listen(self._text)

    def root(self) -> Node:
        self.read()
        if self._root is None:
            raise NotXml("It is not well-formed XML: it has no element.")
        return self._root

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: bool) -> None:
        super()._doctype(name, system, public, has_subset)
        if name.lower() == "html":
            raise NotXml("It is a web page.")
        if system is not None:
            # What it would add, attributes and entities, is not known.
            raise Unreadable("It has an external document type, which is not read.")

    def _entity(self, *_: object) -> None:
        raise Unreadable("It declares entities, which are not read.")

    def start(self, name: str, attributes: dict[str, str], depth: int) -> None:
        namespace, local, _ = _parts(name)
        own = {self._keep(" ".join(key.split(" ")[:2])): value for key, value in attributes.items()}
        node = Node(self._keep(namespace), self._keep(local), own, self.line + self._lines_before, self.at)
        if self._open:
            self._open[-1][0].children.append(node)
        else:
            self._root = node
        self._open.append((node, []))

    def _keep(self, name: str) -> str:
        return self._kept.setdefault(name, name)

    def _text(self, text: str) -> None:
        self._open[-1][1].append(text)

    def end(self, name: str, depth: int) -> None:
        node, texts = self._open.pop()
        node.text = "".join(texts)
        opening = TAG.match(self.source, node.start)
        end = opening.end() if opening else node.start
        if opening and not opening[0].endswith(b"/>"):
            closed = self.source.find(b">", self.at) + 1
            end = closed if closed - node.start <= MAX_QUOTE else end
        node.quote = readable(self.source[node.start : end])


Wanted = Callable[[str, dict[str, str], str], bool]
"""Whether an element is wanted, by its name, attributes and text."""


def elements(source: bytes, wanted: Wanted, most: int) -> Iterator[Node]:
    """Yields the XHTML elements of a page that are wanted; the text is known of scripts alone.

    ``source`` is in UTF-8. Entities of the page's own document type are resolved, as browsers do; what is defined
    elsewhere is left out. Raises NotXml for a page that is not well-formed, and Unreadable for one beyond our means,
    with more than ``most`` such elements, or with an entity in a tag that the page declares and does not define.
    """
    page = _Page(source, wanted, most)
    page.read()
    for node in page.found:
        opening = TAG.match(page.source, node.start)
        node.quote = readable(opening[0]) if opening else ""
        yield node


# 3.1: no attribute of a well-formed document has "<" in it.
_START_TAG = re.compile(rb"<[A-Za-z_:](?:[^\"'<>]++|\"[^\"<]*+\"|'[^'<]*+')*+>")
_REFERENCE = re.compile(rb"&([^#;\"'<\s]++);")
# 2.8: a parameter entity between the declarations of a document type, which it may add to.
_PARAMETER = re.compile(rb"[\[>;\s]%[\w:.-]++;")
_KNOWN_DTD = ("DTD XHTML", "DTD HTML", "DTD MATHML")


class _Page(Events):
    """One pass over a page, which finds the elements that are wanted."""

    def __init__(self, source: bytes, wanted: Wanted, most: int) -> None:
        super().__init__(source, "utf-8")
        self.found: list[Node] = []
        self._wanted = wanted
        self._most = most
        self._script: Node | None = None
        self._texts: list[str] = []
        self._external: set[bytes] = set()
        self._has_own_dtd = False
        """Whether the document type has declarations that only a fetch would show."""

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: bool) -> None:
        super()._doctype(name, system, public, has_subset)
        is_known = system == "about:legacy-compat" or any(known in (public or "").upper() for known in _KNOWN_DTD)
        self._has_own_dtd = system is not None and not is_known

    def _entity(self, name: str, is_parameter: bool, value: str | None, *rest: object) -> None:
        super()._entity(name, is_parameter, value, *rest)
        if value is None and not is_parameter:
            self._external.add(name.encode())

    def _declared(self) -> None:
        """Refuses a page with a tag that an external entity may be in; expat drops it, or calls it not well-formed."""
        super()._declared()
        is_open = self._has_own_dtd or _PARAMETER.search(self.source, 0, max(self.at, 0)) is not None
        if not (is_open or self._external):
            return
        references = (found[1] for found in _REFERENCE.finditer(self.source))
        if not any(name not in self._entities and (is_open or name in self._external) for name in references):
            return
        for tag in _START_TAG.finditer(self.source):
            for reference in _REFERENCE.finditer(tag[0]) if b"&" in tag[0] else ():
                name = reference[1]
                if name in self._external or (is_open and name not in self._entities):
                    self._skipped(name.decode("utf-8", "replace"), False)

    def _skipped(self, name: str, is_parameter: bool) -> None:
        if f"{name};" not in html5 or name.encode() in self._external:
            super()._skipped(name, is_parameter)

    def start(self, name: str, attributes: dict[str, str], depth: int) -> None:
        namespace, local, _ = _parts(name)
        if namespace != _XHTML or not (local == "script" or self._wanted(local, attributes, "")):
            return
        own = {_parts(name)[1]: value for name, value in attributes.items()}
        node = Node(namespace, local, own, self.line, self.at)
        if local == "script":
            self._end_script()
            self._script, self._texts = node, []
            self.listen(self._texts.append)
        else:
            self._find(node)

    def end(self, name: str, depth: int) -> None:
        if self._script is not None and _parts(name)[:2] == (_XHTML, "script"):
            self._end_script()

    def _end_script(self) -> None:
        """Ends the script that is open, if one is."""
        if self._script is not None:
            self.listen(None)
            node, self._script = self._script, None
            node.text = "".join(self._texts)
            if self._wanted(node.name, node.attributes, node.text):
                self._find(node)

    def _find(self, node: Node) -> None:
        if len(self.found) == self._most:
            raise Unreadable(f"The page has more than {self._most} elements that could reserve it.")
        self.found.append(node)


def _parts(name: str) -> tuple[str, str, str]:
    """Returns the namespace, local name and prefix of a name, each of which may be empty but the second."""
    parts = name.split(" ")
    return ("", name, "") if len(parts) == 1 else (parts[0], parts[1], "".join(parts[2:]))
