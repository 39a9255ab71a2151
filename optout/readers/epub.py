"""Reads EPUB books (EPUB 3.3, OPF 2.0.1): the metadata of the package document, which are about the whole book."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote

from forbear.optout.model import Capture
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.properties import MAX_PROPERTIES, Property
from forbear.optout.readers.text import human_size, readable
from forbear.optout.readers.xml_events import Events

MAX_DOCUMENT = 8_388_608
"""Bytes of a book's container.xml and package documents together, when inflated: 8 MiB."""
MAX_PACKAGES = 16
"""How many package documents a book may have."""
MAX_MEMBERS = 100_000
"""How many files an archive may have."""
MAX_STATED = 1_000
"""How often a package document may state one of the properties that are looked for."""
MAX_PREFIXES = 65_536
"""Characters of the attribute in which a package document declares its prefixes."""
MAX_QUOTE = 1_000
"""Bytes up to which an element is quoted whole."""

# What zipfile raises for an archive that is none, some of it undocumented.
BROKEN = (
    zipfile.BadZipFile,
    KeyError,
    RuntimeError,
    OSError,
    EOFError,
    OverflowError,
    ValueError,
    struct.error,
    zlib.error,
)
_CONTAINER = "META-INF/container.xml"
_ROOTFILE = ("urn:oasis:names:tc:opendocument:xmlns:container", "rootfile")
_OPF = "http://www.idpf.org/2007/opf"


def properties(capture: Capture, vocabulary: tuple[str, ...], prefix: str) -> Iterator[Property]:
    """Yields the properties of a vocabulary that the book states about itself.

    EPUB 3: ``<meta property="prefix:name">value</meta>``, where ``prefix`` is declared for the vocabulary or not at
    all; EPUB 2: ``<meta name="prefix:name" content="value"/>``. Raises Unreadable.
    """
    seen: set[tuple[str, str]] = set()
    for path, document in _packages(capture):
        package = _Package(document, vocabulary, prefix)
        package.read()
        for number, name, value, quote in package.stated:
            if (name, value) not in seen:
                seen.add((name, value))
                if len(seen) > MAX_PROPERTIES:
                    raise Unreadable(f"The book makes more than {MAX_PROPERTIES} statements.")
                yield Property(name, value, quote, f"{path}, (//meta)[{number}]")


def _packages(capture: Capture) -> Iterator[tuple[str, bytes]]:
    """Yields path and bytes of each package document that the container names."""
    left = MAX_DOCUMENT
    try:
        with opened(capture.body) as book:
            members = {_plain(each.filename): each for each in book.infolist()}
            container = _Container(_member(book, _CONTAINER, members, left))
            container.read()
            left -= len(container.source)
            if not container.paths or len(container.paths) > MAX_PACKAGES:
                raise Unreadable(f"The book's {_CONTAINER} names {len(container.paths)} package documents.")
            for path in container.paths:
                # EPUB 3.3 4.2.6.3.1.3: a path of RFC 3986, so that a space in it is written as %20.
                document = _member(book, path if _plain(path) in members else unquote(path), members, left)
                left -= len(document)
                yield path, document
    except Unreadable:
        raise
    except BROKEN as error:
        raise Unreadable(f"The book cannot be unpacked: {error}.") from None


def opened(body: bytes) -> zipfile.ZipFile:
    """Opens an archive, of which the names and places of all files are read. Raises Unreadable, and what is BROKEN."""
    if body.count(b"PK\x01\x02") > MAX_MEMBERS:
        raise Unreadable(f"The archive has more than {MAX_MEMBERS} files.")
    return zipfile.ZipFile(io.BytesIO(body))


def _plain(name: str) -> str:
    """Returns a name as names are compared: with ``/``, in lower case (OCF 4.1.3)."""
    return name.replace("\\", "/").lstrip("./").casefold()


def _member(book: zipfile.ZipFile, path: str, members: dict[str, zipfile.ZipInfo], most: int) -> bytes:
    member = members.get(_plain(path))
    if member is None:
        raise Unreadable(f"The book has no {path}.")
    # OCF 4.2: a file is stored or deflated; other methods take as much memory as the file says.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable(f"{path} in the book is compressed in a way that no book may use.")
    with book.open(member) as file:
        octets = file.read(most + 1)
    if len(octets) > most:
        raise Unreadable(f"{path} and what names it have more than {human_size(MAX_DOCUMENT)}.")
    return octets


class _Container(Events):
    """The paths of the package documents (EPUB 3.3 4.2.6.3.1)."""

    def __init__(self, document: bytes) -> None:
        super().__init__(document)
        self.paths: list[str] = []

    def start(self, name: str, attributes: dict[str, str], depth: int) -> None:
        if tuple(name.split(" ")[:2]) == _ROOTFILE and len(self.paths) <= MAX_PACKAGES:
            self.paths.append(attributes.get("full-path", ""))

    def end(self, name: str, depth: int) -> None:
        pass


class _Package(Events):
    """The properties of a vocabulary in a package document: number of the element, name, value and quotation."""

    def __init__(self, document: bytes, vocabulary: tuple[str, ...], prefix: str) -> None:
        super().__init__(document)
        self.stated: list[tuple[int, str, str, str]] = []
        self._vocabulary = vocabulary
        self._prefixes = {prefix: vocabulary[0]}
        self._number = self._begin = self._open = 0
        self._name = ""
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str], depth: int) -> None:
        if depth == 1:
            self._prefixes.update(_prefixes(attributes.get("prefix", "")))
        if name.split(" ")[:2] != [_OPF, "meta"] or self._open:
            return
        self._number += 1
        # A property of a part of the book is not about the book.
        if attributes.get("refines"):
            return
        if named := self._wanted(attributes.get("name", "")):
            self._state(named, attributes.get("content", ""), self.tag(self.at))
        if named := self._wanted(attributes.get("property", "")):
            self._name, self._open, self._begin = named, depth, self.at
            self._text.clear()
            self.listen(self._text.append)

    def end(self, name: str, depth: int) -> None:
        if depth == self._open:
            self.listen(None)
            self._open = 0
            end = self.source.find(b">", max(self.at - 1, self._begin)) + 1
            self._state(self._name, "".join(self._text), self.source[self._begin : end])

    def _wanted(self, written: str) -> str:
        """Returns the name of a property of the vocabulary, without its prefix; empty for another one."""
        prefix, _, name = written.strip().partition(":")
        return name if self._prefixes.get(prefix) in self._vocabulary else ""

    def _state(self, name: str, value: str, quote: bytes) -> None:
        if len(self.stated) == MAX_STATED:
            raise Unreadable(f"A package document makes more than {MAX_STATED} statements.")
        value = value.strip()
        written = readable(quote) if len(quote) <= MAX_QUOTE else readable(value.encode())
        self.stated.append((self._number, name, value, written))


def _prefixes(written: str) -> Iterator[tuple[str, str]]:
    """Yields the prefixes that a package document declares, and their vocabularies (EPUB 3.3 D.1.4)."""
    if len(written) > MAX_PREFIXES:
        raise Unreadable(f"The package document declares prefixes in more than {MAX_PREFIXES} characters.")
    words = iter(written.split())
    for word in words:
        if len(word) > 1 and word.endswith(":"):
            yield from ((word[:-1], vocabulary) for vocabulary in islice(words, 1))
