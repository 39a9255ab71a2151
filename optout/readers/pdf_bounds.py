"""Bounds what the compressed structure of a PDF document costs qpdf, before it is opened (ISO 32000-2 7.5.7, 7.5.8).

All cross-reference streams are read, again wherever another leads to them. An object stream is read if it holds an
object that is asked for; which ones these are is not known before, so the largest are counted.
"""

from __future__ import annotations

import heapq
import re
import zlib
from collections.abc import Iterator

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.text import human_size

MAX_ITEMS = 2_000_000
"""How many short numbers, names, brackets and cross-references a document may have in a row, outside of its streams.

qpdf takes about 140 bytes of memory for each; other text of a document, such as drawing operators, is not counted.
As many may be in the object streams that are read.
"""
MAX_STREAM = 4_194_304
"""Bytes of a cross-reference or object stream when inflated: 4 MiB."""
MAX_REFERENCES = 16_777_216
"""Bytes of all cross-reference streams of a document when inflated: 16 MiB."""
MAX_WORK = 268_435_456
"""Bytes of all these streams together, as they are and inflated: 256 MiB."""

_FIRST_STEP, _STEP = 1_024, 65_536
_NOT_COUNTED = 262_144
"""Bytes of an object stream up to which its items are estimated."""
_AT_OPENING, _FOR_EACH_FILE = 4, 4
"""How many objects are read when a document is opened (its catalog, its pages, the first of them), and for a file."""


def _spelled(name: str) -> bytes:
    """Returns a name in any spelling (7.3.5)."""
    return b"/" + b"".join(b"(?:%c|(?i:#%02x))" % (ord(letter), ord(letter)) for letter in name)


# What a stream's type is may be in another object; nobody writes it so.
_REFERENCES = re.compile(_spelled("XRef") + rb"(?!\w)|" + _spelled("Type") + rb"(?:\s++\d|\s*+%)")
_HYBRID = re.compile(_spelled("XRefStm"))
_OBJECTS = re.compile(_spelled("First") + rb"(?!\w)")
_NEXT_OBJECT = re.compile(rb"endobj\s+\d+\s+\d+\s+obj\b")


class Bounds:
    """What the streams of a document cost. Raises Unreadable if that is too much for it to be opened."""

    def __init__(self, body: bytes) -> None:
        if items(body) > MAX_ITEMS:
            raise Unreadable(f"The PDF has more than {MAX_ITEMS} items in a row.")
        self._body = body
        self._work = MAX_WORK
        references = [len(octets) for octets in self._streams(_REFERENCES, is_encrypted=False)]
        again = len(_HYBRID.findall(body)) * max(references, default=0)
        if sum(references) + again > MAX_REFERENCES:
            raise Unreadable(f"The PDF has cross-references of more than {human_size(MAX_REFERENCES)}.")
        self._items: list[int] = []
        for octets in self._streams(_OBJECTS, is_encrypted=b"/Encrypt" in body):
            self._items.append(
                max(items(octets), len(octets) // 32) if len(octets) > _NOT_COUNTED else len(octets) // 2
            )
            if self._items[-1] > _NOT_COUNTED // 2:
                self.check(0)
        self.check(0)

    def check(self, files: int) -> None:
        """Raises Unreadable if it is too much that so many associated files are read."""
        if sum(heapq.nlargest(_AT_OPENING + _FOR_EACH_FILE * files, self._items)) > MAX_ITEMS:
            raise Unreadable(f"The PDF has more than {MAX_ITEMS} items in streams of objects.")

    def _streams(self, names: re.Pattern[bytes], *, is_encrypted: bool) -> Iterator[bytes]:
        """Yields the contents of each stream whose dictionary has a name."""
        body, at = self._body, 0
        for match in names.finditer(body):
            if match.start() >= at:
                at = body.find(b"stream", match.end())
                if at < 0:
                    return
                if not _is_of_another_object(body[match.end() : at]):
                    yield self._inflated(at + 6, match.start(), is_encrypted=is_encrypted)

    def _inflated(self, at: int, named: int, *, is_encrypted: bool) -> bytes:
        """Returns the inflated stream, or the largest possible size if it is packed in another way, or twice."""
        body = self._body
        at += 2 if body.startswith(b"\r\n", at) else 1
        is_filtered = b"Decode" in body[max(named - 2_048, 0) : at]
        inflater, found, step = zlib.decompressobj(), bytearray(), _FIRST_STEP
        try:
            while not inflater.eof and len(found) < MAX_STREAM and at < len(body):
                self._work -= step
                if self._work < 0:
                    raise Unreadable(f"The PDF has streams of more than {human_size(MAX_WORK)}.")
                octets = inflater.decompress(body[at : at + step], MAX_STREAM - len(found))
                found += octets
                self._work -= len(octets) - len(inflater.unused_data)
                at += step
                step = min(2 * step, _STEP)
        except zlib.error:
            if not found:  # encrypted, or not deflated
                return _MOST if is_filtered and not is_encrypted else b""
        begin = bytes(found[:2])
        is_packed = len(begin) == 2 and begin[0] & 15 == 8 and int.from_bytes(begin) % 31 == 0 and not begin.isdigit()
        return _MOST if is_packed else bytes(found)


_MOST = b"0 " * (MAX_STREAM // 2)


def _is_of_another_object(between: bytes) -> bool:
    """Returns whether an object ends between a name and the word stream: an outline has the name First too."""
    end = _NEXT_OBJECT.search(between)
    before = between[: end.start()].replace(b"\\(", b"").replace(b"\\)", b"") if end else b""
    return end is not None and b"%" not in before and before.count(b"(") <= before.count(b")")


_WINDOW = 65_536
_MOST_ERRORS = 15
_OBJECT_WORDS = frozenset({b"obj", b"endobj", b"R", b"n", b"f", b"true", b"false", b"null"})
_NO_OPENING = bytes(set(range(256)) - set(b"([</"))


def items(octets: bytes) -> int:
    """Counts items that follow each other, of 20 bytes or less on average.

    A window in which there are drawing operators is not counted: qpdf gives up an object with some errors in it.
    """
    total = 0
    for at in range(0, len(octets), _WINDOW):
        window = octets[at : at + _WINDOW]
        words = window.split()
        count = len(words) + len(window.translate(None, _NO_OPENING))
        if count * 20 > len(window):
            others = sum(1 for word in words if word.isalpha() and word not in _OBJECT_WORDS)
            total += count if others <= _MOST_ERRORS else 0
    return total
