"""Reads XML from strangers as a stream of events (XML 1.0, fifth edition), so that no document becomes a tree.

No network and no external entities. What a document declares in itself can make it longer by a fixed amount only.
Names are ``namespace local prefix``, parted by blanks, as expat gives them; one without a namespace is the local name.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from xml.parsers import expat

from optout.readers.text import to_utf8
from optout.readers.unreadable import Unreadable

MAX_DEPTH = 256
"""How deep elements may be nested."""
MAX_TAGS = 1_000_000
"""How many ``<`` a document may have: start tags, end tags and comments."""
MAX_ATTRIBUTES = 100_000
"""How many ``=`` may follow the first MiB of one tag: about as many attributes."""
MAX_EXPANSION = 16_777_216
"""Characters that entities may add to a document, as if each ``&`` were the longest that it declares: 16 MiB."""
MAX_DEFAULTS = 1_024
"""Characters of all default values of attributes together; each may be in every element."""

_CHUNK = 1_048_576
_DECLARED = re.compile(rb"\s*<\?xml[^>]*?\sencoding\s*=")
# Whoever can read this declaration as ASCII has a document that is not, or no longer, in such an encoding.
_NOT_SO = re.compile(rb"\s*<\?xml[^>]*?\sencoding\s*=\s*[\"'](?:utf-?16|utf-?32|ucs-?[24]|iso-10646)", re.IGNORECASE)
_TAG = re.compile(rb"<(?:[^\"'>]|\"[^\"]*+\"|'[^']*+')*+>")
_NAMESPACE = re.compile(rb"\bxmlns[\w:.-]*\s*=\s*(?:\"[^\"&]*&[^\"]*\"|'[^'&]*&[^']*')")
_ENTITY = re.compile(rb"&([^#;\"'][^;\"']*);")
_OF_XML = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})


class _Enough(Exception):
    """The reader has all it wants."""


class Events:
    """A document that is read once; a subclass keeps what it wants of it.

    ``source`` is what positions are about: the document, as UTF-8 if it was in UTF-16 with a byte order mark.
    """

    def __init__(self, document: bytes) -> None:
        self.source = source = to_utf8(document)
        self._entities = dict.fromkeys(_OF_XML, 1)
        self._defaults = self._depth = 0
        self.has_doctype = False
        self._parser = parser = expat.ParserCreate(_encoding(source), namespace_separator=" ")
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EndDoctypeDeclHandler = self._declared
        parser.EntityDeclHandler = self._entity
        parser.AttlistDeclHandler = self._attribute
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def read(self) -> None:
        """Reads the document to its end, or until ``stop``; raises Unreadable."""
        source, parser = self.source, self._parser
        if source.count(b"<") > MAX_TAGS:
            raise Unreadable(f"It has more than {MAX_TAGS} tags.")
        try:
            for at in range(0, len(source), _CHUNK):
                parser.Parse(source[at : at + _CHUNK], False)
                if source.count(b"=", max(parser.CurrentByteIndex, 0), at + _CHUNK) > MAX_ATTRIBUTES:
                    raise Unreadable(f"It has a tag with more than {MAX_ATTRIBUTES} attributes.")
            parser.Parse(b"", True)
        except (_Enough, Unreadable) as error:
            if isinstance(error, Unreadable):
                raise
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise Unreadable(f"It is no well-formed XML: {error}.") from None

    def start(self, name: str, attributes: dict[str, str], depth: int) -> None:
        """Takes the start of an element; the root has depth 1."""
        raise NotImplementedError

    def end(self, name: str, depth: int) -> None:
        """Takes the end of an element."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends the reading, whatever follows."""
        raise _Enough

    @property
    def at(self) -> int:
        """Where the present event begins in the source."""
        return self._parser.CurrentByteIndex

    def tag(self, at: int) -> bytes:
        """Returns the tag that begins at this position as written. Raises Unreadable if an unknown entity is in it."""
        found = _TAG.match(self.source, at)
        tag = found[0] if found else b""
        self._refuse_unknown(tag)
        return tag

    def listen(self, text: Callable[[str], object] | None) -> None:
        """Gives text to a function from here on, or to nobody. An unknown entity in it raises Unreadable."""
        self._parser.CharacterDataHandler = text
        self._parser.SkippedEntityHandler = self._skipped if text else None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable(f"It has more than {MAX_DEPTH} levels of nested elements.")
        self.start(name, attributes, self._depth)

    def _end(self, name: str) -> None:
        self.end(name, self._depth)
        self._depth -= 1

    def _doctype(self, *_: object) -> None:
        self.has_doctype = True

    def _declared(self) -> None:
        """4.1: an entity may be declared in a document type that is not fetched; in an attribute expat drops it."""
        for attribute in _NAMESPACE.findall(self.source):
            self._refuse_unknown(attribute)

    def _refuse_unknown(self, markup: bytes) -> None:
        for name in _ENTITY.findall(markup) if b"&" in markup else ():
            if name not in self._entities:
                self._skipped(name.decode("utf-8", "replace"), False)

    def _skipped(self, name: str, _is_parameter: bool) -> None:
        raise Unreadable(f"What it says is hidden in an entity, {name}.")

    def _entity(self, name: str, _is_parameter: bool, value: str | None, *_: object) -> None:
        if value is None:
            return  # external, and so unknown
        if "&" in value:
            raise Unreadable("It declares entities within entities.")
        self._entities[name.encode()] = len(value)
        if max(self._entities.values()) * self.source.count(b"&") > MAX_EXPANSION:
            raise Unreadable(f"Its entities may add more than {MAX_EXPANSION} characters.")

    def _attribute(self, _element: str, _name: str, _kind: str, default: str | None, _required: bool) -> None:
        self._defaults += len(default or "")
        if self._defaults > MAX_DEFAULTS:
            raise Unreadable(f"It declares more than {MAX_DEFAULTS} characters of attributes.")


def _encoding(source: bytes) -> str | None:
    """The encoding that the declaration cannot know, or nothing where it counts (4.3.3)."""
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
