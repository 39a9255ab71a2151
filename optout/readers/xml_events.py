"""Reads XML from strangers as a stream of events (XML 1.0, fifth edition), so that no document becomes a tree.

No network and no external entities. What a document declares in itself can make it longer by a fixed amount only.
Names are those of ``xml_names``.
"""

from __future__ import annotations

import codecs
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from xml.parsers import expat

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.text import human_size, to_utf8
from forbear.optout.readers.xml_names import Names, NotXml

MAX_DEPTH = 256
"""How deep elements may be nested."""
MAX_TAGS = 1_000_000
"""How many ``<`` a document may have: start tags, end tags and comments."""
MAX_ATTRIBUTES = 100_000
"""How many ``=`` may follow the first MiB of one tag: about as many attributes."""
MAX_ALL_ATTRIBUTES = 4_000_000
"""How many attributes all elements together may have, with those that they have by default."""
MAX_NAMES = 10_000
"""How many different names a document may have, of elements, attributes and entities: expat keeps them all."""
MAX_EXPANSION = 16_777_216
"""Characters that entities may add to a document, as if each ``&`` were the longest that it declares: 16 MiB."""
MAX_DECLARATION = 65_536
"""Bytes of one declaration in a document type."""
MAX_DECLARED = 1_000
"""How many attributes a document type may declare; expat looks at them for each element."""
MAX_DEFAULTS = 1_024
"""Characters of all default values of attributes together; each may be in every element."""

_CHUNK = 1_048_576
_PIECE = 1_024
_DECLARED = re.compile(rb"\s*<\?xml[^>]*?\sencoding\s*=")
# If this declaration can be read as ASCII, the document is not, or no longer, in such an encoding.
_NOT_SO = re.compile(rb"\s*<\?xml[^>]*?\sencoding\s*=\s*[\"'](?:utf-?16|utf-?32|ucs-?[24]|iso-10646)", re.IGNORECASE)
TAG = re.compile(rb"<(?:[^\"'>]|\"[^\"]*+\"|'[^']*+')*+>")
"""A start tag, in a document that is well-formed."""
_NAMESPACE = re.compile(rb"\bxmlns[\w:.-]*\s*=\s*(?:\"[^\"&]*&[^\"]*\"|'[^'&]*&[^']*')")
_ENTITY = re.compile(rb"&([^#;\"'][^;\"']*);")
_NESTED = re.compile(r"&(?!#)")
_OF_XML = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})


class _Enough(Exception):
    """The reader has all it wants."""


class Events(ABC):
    """A document that is read once; a subclass keeps what it wants of it.

    ``source`` is what positions are about: the document, as UTF-8 if it was in UTF-16 with a byte order mark.
    """

    max_depth = MAX_DEPTH

    def __init__(self, document: bytes, encoding: str | None = None) -> None:
        self.source = source = to_utf8(document)
        self._encoding = encoding
        self._entities = dict.fromkeys(_OF_XML, 1)
        self._longest = 1
        self._references = 0
        self._defaults = self._declarations = self._elements = self._attributes = self._depth = 0
        self._has_root = self.has_doctype = False
        self._names = Names()
        self._written: dict[str, str] = {}
        """All names that expat has reported."""
        self._parser = parser = expat.ParserCreate(encoding or _encoding(source), intern=self._written)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EndDoctypeDeclHandler = self._declared
        parser.EntityDeclHandler = self._entity
        parser.AttlistDeclHandler = self._attribute
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        if hasattr(parser, "SetReparseDeferralEnabled"):
            parser.SetReparseDeferralEnabled(False)  # What is given to expat is read at once, see _pieces.

    def read(self) -> None:
        """Reads the document to its end, or until ``stop``; raises NotXml, and Unreadable for one beyond our means."""
        source, parser = self.source, self._parser
        if source.count(b"<") > MAX_TAGS:
            raise Unreadable(f"It has more than {MAX_TAGS} tags.")
        if not self._encoding and b"\0" in source[:2]:  # UTF-16 to expat; nothing could be found in it here
            raise Unreadable("It is UTF-16 without a byte order mark.")
        try:
            for at, end in self._pieces():
                parser.Parse(source[at:end], False)
                self._bound_unfinished(max(parser.CurrentByteIndex, 0), end)
            parser.Parse(b"", True)
        except _Enough:
            pass
        except Unreadable:
            raise
        except expat.ExpatError as error:
            raise NotXml(f"It is not well-formed XML: {error}.") from None
        except (LookupError, ValueError) as error:
            raise Unreadable(f"Its encoding is not read: {error}.") from None

    def _pieces(self) -> Iterator[tuple[int, int]]:
        """Yields beginning and end of the pieces in which expat is given the document.

        After a handler raised, expat still reads its piece to the end, by all that has been declared: so a document
        type, and what follows it at once, comes in small ones.
        """
        at, doctype = 0, self.source.find(b"<!DOCTYPE")
        while at < len(self.source):
            end = at + _CHUNK
            if not self._has_root and doctype >= 0:
                end = min(end, doctype) if at < doctype else at + _PIECE
            yield at, end
            at = end

    def _bound_unfinished(self, begin: int, end: int) -> None:
        """Refuses markup that begins here and has not ended yet, if it is too long."""
        if self.has_doctype and not self._has_root and end - begin > MAX_DECLARATION:
            raise Unreadable(f"Its document type has a declaration of more than {human_size(MAX_DECLARATION)}.")
        if self.source.count(b"=", begin, end) > MAX_ATTRIBUTES:
            raise Unreadable(f"It has a tag with more than {MAX_ATTRIBUTES} attributes.")

    @abstractmethod
    def start(self, name: str, attributes: dict[str, str], depth: int) -> None:
        """Takes the start of an element; the root has depth 1."""

    @abstractmethod
    def end(self, name: str, depth: int) -> None:
        """Takes the end of an element."""

    def stop(self) -> None:
        """Ends the reading, whatever follows."""
        raise _Enough

    @property
    def at(self) -> int:
        """Returns where the present event begins in the source."""
        return self._parser.CurrentByteIndex

    @property
    def line(self) -> int:
        """Returns the line of the source in which the present event begins, from 1."""
        return self._parser.CurrentLineNumber

    def tag(self, at: int) -> bytes:
        """Returns the tag that begins at this position as written. Raises Unreadable if an unknown entity is in it."""
        found = TAG.match(self.source, at)
        tag = found[0] if found else b""
        self._refuse_unknown(tag)
        return tag

    def listen(self, text: Callable[[str], object] | None) -> None:
        """Gives text to a function from here on, or to nobody. An unknown entity in it raises Unreadable."""
        self._parser.CharacterDataHandler = text
        self._parser.SkippedEntityHandler = self._skipped if text else None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._has_root = True
        self._depth += 1
        if self._depth > self.max_depth:
            raise Unreadable(f"It has more than {self.max_depth} levels of nested elements.")
        self._elements += 1
        if self._elements > MAX_TAGS:
            raise Unreadable(f"It has more than {MAX_TAGS} elements.")
        if attributes:
            self._attributes += len(attributes)
            if self._attributes > MAX_ALL_ATTRIBUTES:
                raise Unreadable(f"It has more than {MAX_ALL_ATTRIBUTES} attributes.")
        if len(self._written) > MAX_NAMES:
            self._bound_names()
        name, attributes = self._names.start(name, attributes, self._depth)
        self.start(name, attributes, self._depth)

    def _end(self, name: str) -> None:
        self.end(self._names.end(name, self._depth), self._depth)
        self._depth -= 1

    def _bound_names(self) -> None:
        if len(self._written) > MAX_NAMES:
            raise Unreadable(f"It has more than {MAX_NAMES} different names of elements, attributes or entities.")

    def _doctype(self, _name: str, _system: str | None, _public: str | None, _has_subset: bool) -> None:
        self.has_doctype = True
        self._references = self.source.count(b"&")

    def _declared(self) -> None:
        """Refuses unknown entities in namespaces, which expat drops: a type that is not fetched may declare them."""
        for attribute in _NAMESPACE.finditer(self.source):
            self._refuse_unknown(attribute[0])

    def _refuse_unknown(self, markup: bytes) -> None:
        for reference in _ENTITY.finditer(markup) if b"&" in markup else ():
            if reference[1] not in self._entities:
                self._skipped(reference[1].decode("utf-8", "replace"), False)

    def _skipped(self, name: str, _is_parameter: bool) -> None:
        raise Unreadable(f"What it says is hidden in an entity, {name}.")

    def _entity(self, name: str, _is_parameter: bool, value: str | None, *_: object) -> None:
        self._bound_names()
        if value is None:
            return  # external, and so unknown
        if _NESTED.search(value):
            raise Unreadable("It declares entities within entities.")
        self._entities[name.encode()] = len(value)
        self._longest = max(self._longest, len(value))
        if self._longest * self._references > MAX_EXPANSION:
            raise Unreadable(f"Its entities may add more than {MAX_EXPANSION} characters.")

    def _attribute(self, _element: str, _name: str, _kind: str, default: str | None, _required: bool) -> None:
        self._bound_names()
        self._declarations += 1
        if self._declarations > MAX_DECLARED:
            raise Unreadable(f"It declares more than {MAX_DECLARED} attributes.")
        self._defaults += len(default or "")
        if self._defaults > MAX_DEFAULTS:
            raise Unreadable(f"It declares more than {MAX_DEFAULTS} characters of attributes.")


def _encoding(source: bytes) -> str | None:
    """Returns the encoding that the declaration cannot know, or nothing where it counts (4.3.3)."""
    if _NOT_SO.match(source):
        return "utf-8"
    return None if _DECLARED.match(source) or _is_utf8(source) else "iso-8859-1"


def _is_utf8(octets: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(octets), _CHUNK):
            decoder.decode(octets[at : at + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
