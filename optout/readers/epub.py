"""EPUB books (EPUB 3.3, OPF 2.0.1): the metadata of the package document, for the whole book."""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from urllib.parse import unquote

from optout import representation
from optout.model import Capture
from optout.readers import xml
from optout.readers.properties import MAX_PROPERTIES, Property
from optout.readers.text import readable, to_utf8
from optout.readers.unreadable import Unreadable

MAX_DOCUMENT = 8_388_608
"""A container.xml or package document that inflates to more octets is not read: 8 MiB."""
MAX_PACKAGES = 16

# What zipfile and the methods of compression raise for an archive that is none, some of it undocumented.
_BROKEN = (
    zipfile.BadZipFile,
    KeyError,
    RuntimeError,
    OSError,
    EOFError,
    OverflowError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
)
_CONTAINER = "META-INF/container.xml"
_CONTAINER_NS = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_PREFIX = re.compile(r"(\S+):\s+(\S+)")


def is_epub(capture: Capture) -> bool:
    """Whether an answer is an EPUB book, by its octets (OCF 4.3: the first file says so); else by its Content-Type.

    Every book has a package document: what is called one and is no archive cannot be read.
    """
    said = capture.body.startswith(b"PK\x03\x04") and b"application/epub+zip" in capture.body[:128]
    return said or representation.of(capture).media_type == "application/epub+zip"


def properties(capture: Capture, vocabulary: tuple[str, ...], prefix: str) -> Iterator[Property]:
    """The properties of a vocabulary that the book states about itself.

    EPUB 3: ``<meta property="prefix:name">value</meta>``, where ``prefix`` is declared for the vocabulary or not at
    all; EPUB 2: ``<meta name="prefix:name" content="value"/>``. Raises Unreadable.
    """
    seen: set[tuple[str, str]] = set()
    for path, document in _packages(capture):
        source = to_utf8(document)
        root = xml.parse(source)
        declared = {prefix: vocabulary[0], **dict(_PREFIX.findall(root.get("prefix") or ""))}
        names = {name for name, uri in declared.items() if uri in vocabulary}
        for number, meta in enumerate(root.iter(f"{_OPF}meta"), 1):
            # What is said about a part of the book is not said about the book.
            if meta.get("refines"):
                continue
            for key, value in (
                (meta.get("property"), "".join(meta.itertext())),
                (meta.get("name"), meta.get("content")),
            ):
                used, _, name = (key or "").strip().partition(":")
                text = (value or "").strip()
                if used in names and value is not None and (name, text) not in seen:
                    seen.add((name, text))
                    if len(seen) > MAX_PROPERTIES:
                        raise Unreadable(f"The book makes more than {MAX_PROPERTIES} statements.")
                    yield Property(name, text, _as_written(source, key or "", text), f"{path}, (//meta)[{number}]")


def _packages(capture: Capture) -> Iterator[tuple[str, bytes]]:
    """Path and octets of each package document that the container names."""
    try:
        with zipfile.ZipFile(io.BytesIO(capture.body)) as book:
            container = xml.parse(_member(book, _CONTAINER))
            paths = [node.get("full-path") or "" for node in container.iter(f"{_CONTAINER_NS}rootfile")]
            if not paths or len(paths) > MAX_PACKAGES:
                raise Unreadable(f"The book's {_CONTAINER} names {len(paths)} package documents.")
            names = frozenset(book.namelist())
            for path in paths:
                # EPUB 3.3 4.2.6.3.1.3: a path of RFC 3986, so that a space in it is written as %20.
                yield path, _member(book, path if path in names else unquote(path))
    except Unreadable:
        raise
    except _BROKEN as error:
        raise Unreadable(f"The book cannot be unpacked: {error}.") from None


def _member(book: zipfile.ZipFile, path: str) -> bytes:
    with book.open(path) as file:
        octets = file.read(MAX_DOCUMENT + 1)
    if len(octets) > MAX_DOCUMENT:
        raise Unreadable(f"{path} in the book has more than {MAX_DOCUMENT} octets.")
    return octets


def _as_written(source: bytes, key: str, value: str) -> str:
    """The element as it stands in the package document; the value alone if it is written in some other way."""
    name, plain = re.escape(key.encode()), re.escape(value.encode())
    match = re.search(
        rb"<(?:[\w.-]+:)?meta\s[^<>]{0,1000}\b" + name + rb"[^<>]{0,1000}>\s*" + plain + rb"\s*</(?:[\w.-]+:)?meta\s*>"
        rb"|<(?:[\w.-]+:)?meta\s(?=[^<>]{0,1000}[\"']\s*"
        + plain
        + rb"\s*[\"'])[^<>]{0,1000}\b"
        + name
        + rb"[^<>]{0,1000}>",
        source,
    )
    return readable(match[0]) if match else readable(value.encode())
