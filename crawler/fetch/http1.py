r"""Parses an HTTP/1.0 or HTTP/1.1 answer from its bytes as they arrive (RFC 9112); does no I/O itself.

    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
    reader.feed(b"llo\r\n0\r\n\r\n")
    reader.head.status, reader.take(), reader.complete  # 200, b"hello", True

It accepts what the RFC permits: a length sent twice, lines that end with a bare LF, folded fields, an empty line in
front. If the length of a body cannot be known for certain, it raises BadAnswer.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forbear.optout.model import Failure
from forbear.optout.readers.text import field_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_HEAD = 256 * 1024
"""Bytes of status lines and header fields together; about what curl (300 kB) and Chromium (256 KiB) accept."""

MAX_FIELDS = 5_000
"""Header fields of an answer; about what curl accepts."""

MAX_FRAMING = 256 * 1024
"""Bytes of chunk framing and trailer allowed beyond the size of the body: one-byte chunks only cost time."""

_LINE_END = re.compile(rb"\n")
_HEAD_END = re.compile(rb"\n\r?\n")
_FORBIDDEN = re.compile(rb"\x00|\r(?!\n)")  # RFC 9110 5.5, RFC 9112 2.2
_STATUS_LINE = re.compile(rb"(HTTP/[0-9]\.[0-9]) ([1-9][0-9]{2})(?: .*)?")
_FOLD = re.compile(rb"\r?\n[ \t]+")  # RFC 9112 5.2
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r]*)?\r\n")


class BadAnswer(ValueError):
    """The answer cannot be used; ``failure`` names why (docs/reference/decide.md), the message is a sentence."""

    def __init__(self, sentence: str, failure: Failure = Failure.PROTOCOL) -> None:
        super().__init__(sentence)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and header fields: ``version`` as sent (``HTTP/1.1``), ``fields`` as received, in order."""

    version: str
    status: int
    fields: tuple[tuple[bytes, bytes], ...]

    def values(self, name: bytes) -> list[bytes]:
        """Returns all values of a field, in order; ``name`` is in lower case."""
        return [value for key, value in self.fields if key.lower() == name]

    def listed(self, name: bytes) -> list[bytes]:
        """Returns the members of a list field in lower case, without empty ones (RFC 9110 5.6.1.2)."""
        members = b",".join(self.values(name)).lower().split(b",")
        return [member for each in members if (member := each.strip(b" \t"))]


def received(fields: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Returns the header fields as received, in order, for ``model.Capture``."""
    return tuple((field_text(name), field_text(value)) for name, value in fields)


class AnswerReader:
    """Takes bytes (``feed``, finally ``end``); returns the complete head, then the body in parts (``take``).

    ``method`` is the request's. Raises BadAnswer, after which nothing more can be read.
    """

    def __init__(self, method: str = "GET") -> None:
        self.head: Head | None = None
        self.length: int | None = None
        """Length of the body in bytes, if the head states it and no coding overrides it."""
        self.begun = False
        """Whether anything has arrived."""
        self.complete = False
        self.persistent = False
        """Whether the connection can be reused when this answer is complete (RFC 9112 9.3)."""
        self._method = method
        self._octets = bytearray()
        self._searched = 0
        self._body: list[bytes] = []
        self._taken = self._ready = 0
        self._left = 0
        self._overhead = 0
        self._read: Callable[[], bool] = self._read_head

    def feed(self, octets: bytes, steps: int = sys.maxsize) -> bool:
        """Takes bytes and parses some of them; returns whether more can be parsed at once.

        A step reads a head, a line or the rest of a chunk, so that bytes with many of them do not take long at once.
        """
        self.begun = True
        self._octets += octets
        while self._octets and not self.complete and self._read():
            steps -= 1
            if not steps:
                return True
        if self.complete and self._octets:
            self.persistent = False  # RFC 9112 9.3: bytes after the answer belong to no request
        return False

    def end(self, *, closed: bool) -> None:
        """Ends the input; ``closed`` is False if TLS did not confirm the end (RFC 9112 9.8)."""
        self.persistent = False
        if self.complete:
            return
        if self.head is None:
            raise BadAnswer("The server closed the connection without an answer.", Failure.RESET)
        if self._read == self._read_to_end and not closed:
            sentence = "The answer does not say how long it is, and the connection did not end as it should."
            raise BadAnswer(sentence, Failure.TRUNCATED)
        # RFC 9112 8: the last chunk completes a body, with or without its trailer.
        if self._read not in (self._read_to_end, self._read_trailer):
            raise BadAnswer("The server closed the connection in the middle of the body.", Failure.TRUNCATED)
        self.complete = True

    @property
    def waiting(self) -> int:
        """Bytes that have arrived and were not taken."""
        return self._ready + len(self._octets)

    def take(self) -> bytes:
        """Returns what has arrived of the body since the last call, without its transfer coding."""
        taken = b"".join(self._body)
        self._body.clear()
        self._taken, self._ready = self._taken + self._ready, 0
        return taken

    def _read_head(self) -> bool:
        blank = len(self._octets) - len(self._octets.lstrip(b"\r\n")) if self._octets[0] in b"\r\n" else 0
        self._overhead += blank
        del self._octets[:blank]
        if not b"HTTP/".startswith(self._octets[:5]):
            raise BadAnswer(f"The answer is not HTTP/1: it begins with {bytes(self._octets[:20])!r}.")
        block = self._upto(_HEAD_END, MAX_HEAD)
        if block is None:
            return False
        head = _head(block)
        if head.status == 101:
            raise BadAnswer("The server switched to a protocol that was not requested.")
        if head.status >= 200:  # all others are interim, and the answer follows (RFC 9110 15.2)
            self.head, self._overhead = head, 0
            self._frame(head)
        return True

    def _frame(self, head: Head) -> None:
        """Determines the length of the body (RFC 9112 6.3)."""
        options = head.listed(b"connection")
        persistent = b"close" not in options and (head.version >= "HTTP/1.1" or b"keep-alive" in options)
        codings = [coding for coding in head.listed(b"transfer-encoding") if coding != b"identity"]
        lengths = head.values(b"content-length")
        if self._method == "HEAD" or head.status in (204, 304) or (self._method == "CONNECT" and head.status < 300):
            self.complete, self.persistent = True, persistent
        elif codings:
            if set(codings) != {b"chunked"}:
                raise BadAnswer(f"The transfer coding {b', '.join(codings).decode('latin-1')!r} was not requested.")
            # It overrides a length; repeated, it is applied once (6.1). Either way, the connection is not reused.
            self.persistent = persistent and len(codings) == 1 and not lengths and head.version >= "HTTP/1.1"
            self._read = self._read_chunk_size
        elif lengths:
            self._left = self.length = _length(lengths)
            self.complete, self.persistent = self._left == 0, persistent
            self._read = self._read_sized
        else:
            self._read = self._read_to_end

    def _read_sized(self) -> bool:
        self._move()
        self.complete = self._left == 0
        return False

    def _read_to_end(self) -> bool:
        self._left = len(self._octets)
        self._move()
        return False

    def _read_chunk_size(self) -> bool:
        line = self._upto(_LINE_END, MAX_FRAMING + self._taken + self._ready)
        if line is None:
            return False
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise BadAnswer(f"{line[:40]!r} is not the size of a chunk.")
        self._left = int(match[1], 16)
        self._read = self._read_chunk if self._left else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        self._move()
        if self._left or len(self._octets) < 2:
            return False
        if self._octets[:2] != b"\r\n":
            raise BadAnswer("A chunk of the body does not end where its size says.")
        del self._octets[:2]
        self._overhead += 2
        self._read = self._read_chunk_size
        return True

    def _read_trailer(self) -> bool:
        """Skips the trailer: no field that is used here may be in one (RFC 9110 6.5.1)."""
        line = self._upto(_LINE_END, MAX_FRAMING + self._taken + self._ready)
        self.complete = line is not None and not line.strip(b"\r\n")
        return line is not None

    def _move(self) -> None:
        """Moves the bytes of known length that have arrived to the body."""
        part = bytes(memoryview(self._octets)[: self._left])
        self._body.append(part)
        self._ready += len(part)
        self._left -= len(part)
        del self._octets[: len(part)]

    def _upto(self, end: re.Pattern[bytes], limit: int) -> bytes | None:
        """Takes the bytes up to the end of a line or head; None if that has not arrived yet."""
        match = end.search(self._octets, self._searched)
        taken = self._octets[: match.end()] if match else self._octets
        if self._overhead + len(taken) > limit:
            raise BadAnswer(f"More than {limit:,} bytes of the answer are not its content.")
        if match is None:
            self._searched = max(len(self._octets) - 2, 0)
            return None
        self._overhead += len(taken)
        self._searched = 0
        found = bytes(taken)
        del self._octets[: len(found)]
        return found


def _head(block: bytes) -> Head:
    """Parses status line and header fields (RFC 9112 4 and 5)."""
    if _FORBIDDEN.search(block):
        raise BadAnswer("A header field has a NUL, or a CR without LF.")
    if block.count(b"\n") > MAX_FIELDS:
        raise BadAnswer(f"The answer has more than {MAX_FIELDS} header fields.")
    status, _, fields = block.partition(b"\n")
    match = _STATUS_LINE.fullmatch(status.rstrip(b"\r"))
    if match is None or fields[:1] in (b" ", b"\t"):  # RFC 9112 2.2: a blank line there may hide a field
        raise BadAnswer(f"{block[:60]!r} does not begin with a status line and a header field.")
    lines = _FOLD.sub(b" ", fields).splitlines()
    return Head(match[1].decode(), int(match[2]), tuple(_field(line) for line in lines if line))


def _field(line: bytes) -> tuple[bytes, bytes]:
    """Returns name and value; a space before the colon is removed (RFC 9112 5.1)."""
    name, colon, value = line.partition(b":")
    name = name.rstrip(b" \t")
    if not colon or not _NAME.fullmatch(name):
        raise BadAnswer(f"{line[:40]!r} is not a header field.")
    return name, value.strip(b" \t")


def _length(values: list[bytes]) -> int:
    """Returns the length that a message states, once or repeatedly (RFC 9110 8.6, RFC 9112 6.3)."""
    lengths = [each.strip(b" \t") for value in values for each in value.split(b",")]
    if not all(map(_LENGTH.fullmatch, lengths)) or len(set(map(int, lengths))) != 1:
        raise BadAnswer(f"{b', '.join(values)[:40].decode('latin-1')!r} is not the length of a body.")
    return int(lengths[0])
