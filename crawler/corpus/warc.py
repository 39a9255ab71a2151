"""Converts a kept page to the records of a WARC file, and back (WARC 1.1, ISO 28500:2017).

A page is three records, each a gzip member of its own, in this order: ``response`` (or ``revisit`` for content that
is in the corpus already), ``request``, ``metadata``; a page is whole when its metadata record is. All three carry
the decision's id in the field ``Forbear-Decision``.

Bodies are stored decoded, as in Common Crawl: Content-Encoding, Transfer-Encoding and Content-Length as received are
renamed ``X-Crawler-…``, and the real Content-Length comes last in the header.
"""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import chain
from typing import IO, TYPE_CHECKING, NamedTuple

from fastwarc.stream_io import GzipWriter
from fastwarc.warc import WarcRecord, WarcRecordType

from forbear.optout.model import Capture
from forbear.optout.readers import url as urls
from forbear.optout.readers.text import field_octets, field_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

DECISION = "Forbear-Decision"
IDENTICAL = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
_SHA256, _ORIGINAL = "forbear-payload-sha256", "forbear-original"
_OF_REVISITS = frozenset(
    {"WARC-Type", "WARC-Profile", "WARC-Refers-To-Target-URI", "WARC-Refers-To-Date", "Content-Length"}
)
_LEVEL = 6
"""Level of gzip; 9 takes four times as long and saves half a percent."""

_REQUEST, _RESPONSE = "application/http; msgtype=request", "application/http; msgtype=response"
_FIELDS = "application/warc-fields"
_RENAMED = frozenset({"content-encoding", "transfer-encoding", "content-length"})
_PREFIX = "X-Crawler-"
_BREAK = re.compile(r"[\r\n\0]+")
_CHUNK = 1 << 16
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class WarcPage:
    """A page to be kept; its decision is committed.

    ``url`` is canonical and the one requested; ``fetched_at`` has an offset; ``capture`` holds status, headers as
    received and the decoded body; ``request_headers`` are as sent; ``ip_address`` is empty where it is not known.
    """

    decision_id: str
    url: str
    fetched_at: datetime
    capture: Capture
    request_headers: tuple[tuple[str, str], ...] = ()
    http_version: str = "HTTP/1.1"
    ip_address: str = ""


class Original(NamedTuple):
    """The earlier copy of repeated content: URL and time of its ``response`` record, file and offset."""

    url: str
    fetched_at: datetime
    warc_file: str
    warc_offset: int


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page in a WARC file, from ``offset`` to ``end``; ``original`` is where a revisit's body is."""

    page: WarcPage
    sha256: str
    offset: int
    end: int
    original: tuple[str, int] | None


def info(fields: Mapping[str, str]) -> tuple[bytes, str]:
    """Returns the compressed ``warcinfo`` record for the start of a file, and its record id."""
    record = _record(WarcRecordType.warcinfo, datetime.now(UTC), _FIELDS)
    return _packed(record, _lines(fields.items())), record.record_id or ""


def pack(page: WarcPage, sha256: str, warcinfo: str, original: Original | None) -> bytes:
    """Returns the three compressed records of a page; ``sha256`` is the hexadecimal digest of its body."""
    head, body = _head(page), page.capture.body
    kind = WarcRecordType.revisit if original else WarcRecordType.response
    answer = _of(page, kind, _RESPONSE, warcinfo)
    if original:
        answer.headers["WARC-Profile"] = IDENTICAL
        answer.headers["WARC-Refers-To-Target-URI"] = original.url
        answer.headers["WARC-Refers-To-Date"] = _date(original.fetched_at)
    digest = hashlib.sha1(body, usedforsecurity=False).digest()  # what replay tools compare, besides sha256
    packed = _packed(answer, head if original else head + body, digest)
    known = {"forbear-decision": page.decision_id, _SHA256: sha256}
    if original:
        known[_ORIGINAL] = f"{original.warc_offset} {original.warc_file}"
    for kind, content_type, block in (
        (WarcRecordType.request, _REQUEST, _asked(page)),
        (WarcRecordType.metadata, _FIELDS, _lines(known.items())),
    ):
        record = _of(page, kind, content_type, warcinfo)
        record.headers["WARC-Concurrent-To"] = answer.record_id or ""
        packed += _packed(record, block)
    return packed


def read(file: IO[bytes]) -> Iterator[StoredPage]:
    """Yields whole pages from the file's position on; stops at a torn, damaged or foreign record."""
    answer: tuple[int, WarcRecord, bytes] | None = None
    for offset, end, octets in _members(file):
        try:
            record = WarcRecord.from_bytes(octets)
        except (OSError, ValueError):
            return
        block = record.reader.read()
        if record.record_type in (WarcRecordType.response, WarcRecordType.revisit):
            answer = offset, record, block
        elif record.record_type == WarcRecordType.metadata and answer:
            yield _kept(*answer, end, block)
            answer = None


def beginning(file: IO[bytes]) -> bytes:
    """Reads the compressed ``warcinfo`` record at the start of a file, and leaves the file after it."""
    end = next((end for _, end, _ in _members(file)), 0)
    file.seek(0)
    octets = file.read(end)
    file.seek(end)
    return octets


def content(folder: Path, name: str, offset: int) -> bytes:
    """Returns the body of the page at an offset in a file of this corpus; of a revisit, the body it refers to.

    Raises OSError if there is no such file, and ValueError if no whole page starts there.
    """
    with (folder / name).open("rb") as file:
        file.seek(offset)
        kept = next(read(file), None)
    if kept is None or kept.offset != offset:
        raise ValueError(f"{name} has no whole page at byte {offset}")
    return original_of(folder, kept) if kept.original else kept.page.capture.body


def original_of(folder: Path, kept: StoredPage) -> bytes:
    """Returns the body that a revisit refers to.

    Searches the whole file if the body is not where the revisit says, as earlier pages may have been removed.
    Raises OSError if there is no such file, and ValueError if it does not have this content.
    """
    name, offset = kept.original or ("", 0)
    with (folder / name).open("rb") as file:
        file.seek(offset)
        there = next(read(file), None)
        file.seek(0)
        for other in chain((there,) if there else (), read(file)):
            if other.sha256 == kept.sha256 and not other.original:
                return other.page.capture.body
    raise ValueError(f"{name} does not hold the content of {kept.page.url} any more")


def whole(octets: bytes, body: bytes) -> bytes:
    """Returns the records of a page with a ``response`` that has the body in place of the ``revisit``."""
    (_, end, first), *_, (start, _, last) = _members(io.BytesIO(octets))
    revisit, metadata = WarcRecord.from_bytes(first), WarcRecord.from_bytes(last)
    answer = WarcRecord()
    answer.init_headers(WarcRecordType.response)
    for name, value in revisit.headers.items():
        if name not in _OF_REVISITS:
            answer.headers[name] = value
    digest = hashlib.sha1(body, usedforsecurity=False).digest()
    lines = metadata.reader.read().splitlines(keepends=True)
    fields = b"".join(line for line in lines if not line.startswith(_ORIGINAL.encode()))
    return _packed(answer, revisit.reader.read() + body, digest) + octets[end:start] + _packed(metadata, fields)


def _members(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yields offset, end and content of each whole gzip member (RFC 1952 2.3: its CRC is right)."""
    start = position = file.tell()
    rest = b""
    while True:
        stream, content = zlib.decompressobj(16 + zlib.MAX_WBITS), bytearray()
        while not stream.eof:
            chunk = rest or file.read(_CHUNK)
            position += 0 if rest else len(chunk)
            try:
                content += stream.decompress(chunk)
            except zlib.error:
                return
            rest = b""
            if not chunk:
                return
        rest = stream.unused_data
        end = position - len(rest)
        yield start, end, bytes(content)
        start = end


def _kept(offset: int, record: WarcRecord, block: bytes, end: int, metadata: bytes) -> StoredPage:
    head, _, body = block.partition(b"\r\n\r\n")
    status, *lines = field_text(head).split("\r\n")
    version, code = status.split(" ")[:2]
    fields = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    known = dict(line.split(": ", 1) for line in metadata.decode().splitlines())
    url, original = record.headers["WARC-Target-URI"], known.get(_ORIGINAL, "").partition(" ")
    page = WarcPage(
        record.headers[DECISION],
        url,
        record.record_date,
        Capture(url, int(code), tuple((name.removeprefix(_PREFIX), value) for name, value in fields[:-1]), body),
        (),
        version,
        record.headers.get("WARC-IP-Address") or "",
    )
    return StoredPage(page, known[_SHA256], offset, end, (original[2], int(original[0])) if original[0] else None)


def _of(page: WarcPage, kind: WarcRecordType, content_type: str, warcinfo: str) -> WarcRecord:
    record = _record(kind, page.fetched_at, content_type)
    record.headers["WARC-Target-URI"] = page.url
    record.headers["WARC-Warcinfo-ID"] = warcinfo
    if page.ip_address and kind is not WarcRecordType.metadata:
        record.headers["WARC-IP-Address"] = page.ip_address
    record.headers[DECISION] = page.decision_id
    return record


def _record(kind: WarcRecordType, at: datetime, content_type: str) -> WarcRecord:
    record = WarcRecord()
    record.init_headers(kind)
    record.headers["WARC-Date"] = _date(at)
    record.headers["Content-Type"] = content_type
    return record


def _packed(record: WarcRecord, block: bytes, payload_digest: bytes | None = None) -> bytes:
    record.set_bytes_content(block)
    packed = io.BytesIO()
    member = GzipWriter(packed, _LEVEL)
    record.write(member, checksum_data=True, payload_digest=payload_digest)
    member.finish()
    return packed.getvalue()


def _date(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _head(page: WarcPage) -> bytes:
    """Returns status line and header of an answer. Records have only HTTP/1, so later versions become 1.1."""
    status = page.capture.status or 0
    phrase = _PHRASES.get(status, "")
    headers = [(_PREFIX + name if name.lower() in _RENAMED else name, value) for name, value in page.capture.headers]
    headers.append(("Content-Length", str(len(page.capture.body))))
    return f"{_http1(page)} {status} {phrase}\r\n".encode() + _lines(headers) + b"\r\n"


def _asked(page: WarcPage) -> bytes:
    url = urls.parse(page.url)
    headers = list(page.request_headers)
    if not any(name.lower() == "host" for name, _ in headers):
        headers.insert(0, ("Host", url.origin.partition("://")[2]))
    return f"GET {url.target} {_http1(page)}\r\n".encode() + _lines(headers) + b"\r\n"


def _http1(page: WarcPage) -> str:
    return page.http_version if page.http_version in ("HTTP/1.0", "HTTP/1.1") else "HTTP/1.1"


def _lines(fields: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(field_octets(_BREAK.sub(" ", f"{name}: {value}")) + b"\r\n" for name, value in fields)
