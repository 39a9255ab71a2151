"""WARC files that others wrote, for the filter: the records about one URL are kept or removed together.

Common Crawl's WARC, WET and WAT files need no conversion. What is kept is copied byte for byte; a broken record is
never kept, and neither are the neighbouring ones about the same URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from forbear.crawler.archives import stored_answer
from forbear.crawler.archives.packed import DamagedRecord
from forbear.crawler.archives.warc_records import PAGES, TYPES, Damage, Record, WarcFile, date_of
from forbear.crawler.fetch.http1 import received
from forbear.crawler.files import atomic_rename
from forbear.crawler.filter.inputs import Item, Source
from forbear.optout.model import Capture, Failure
from forbear.optout.readers import url as urls
from forbear.optout.readers.url import NotAUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Set
    from datetime import datetime
    from pathlib import Path

    from forbear.crawler.archives.stored_answer import Fields

MAX_BODY = 64 * 1024 * 1024
_RENAMED = re.compile(rb"\Ax-(?:crawler|orig|archive-orig)-", re.IGNORECASE)
"""Prefixes that Nutch, Forbear, pywb and browsers' archivers give to fields that no longer fit the stored body."""
_CONTENT = PAGES | {"conversion", "continuation"}
"""Records that must not be kept if their URL is unknown."""
_NO_ANSWER = TYPES - PAGES
"""Records that are not answers from their URL; one of an unknown type may be."""
_CHUNK = 1024 * 1024


class Refers(NamedTuple):
    """What a revisit states about the record with its body: id, URL and date, digest of the payload."""

    id: str | None
    url: str | None
    at: datetime | None
    digest: str | None

    @classmethod
    def of(cls, record: Record) -> Refers:
        """Reads the fields of a revisit (ISO 28500:2017 6.7)."""
        at = date_of(record.get(b"warc-refers-to-date"))
        url = record.get(b"warc-refers-to-target-uri")
        return cls(record.get(b"warc-refers-to"), url, at, _digest(record))

    def found_by(self) -> Iterator[object]:
        """Returns the keys that a record can be found by."""
        if self.id:
            yield self.id
        if self.url and self.at:
            yield self.url, self.at
        if self.digest:
            yield "digest", self.digest


class Response(NamedTuple):
    """An HTTP response in a file; ``at`` is None if its date cannot be read.

    ``refers`` is there for a revisit whose body is elsewhere.
    """

    at: datetime | None
    offset: int
    page: Capture
    refers: Refers | None = None


class Archive(Source):
    """A WARC file; consecutive records about one URL are kept or removed together, other records are kept."""

    def items(self) -> Iterator[Item]:
        """Yields groups of records: request, response and metadata of a page, or its text alone."""
        self._out = self.part.open("wb")
        self._in = self.path.open("rb")
        with self.path.open("rb") as file:
            warc = WarcFile(file, str(self.path))
            self._copy([(0, warc.first)])  # the dictionary of a .warc.zst
            group: _Group | None = None
            for record in warc.records():
                if group and not group.holds(record):
                    yield group.item()
                    group = None
                if group is None and (record.url is not None or record.damage or record.type in _CONTENT):
                    group = _Group(record.url, record.start, record.type)
                if group:
                    group.add(record, str(self.path))
                else:
                    self._copy([(record.start, record.end)])
            if group:
                yield group.item()

    def keep(self, item: Item) -> None:
        """Copies the records unchanged."""
        self._copy(item.content)

    def _copy(self, spans: list[tuple[int, int]]) -> None:
        for start, end in spans:
            self._in.seek(start)
            left = end - start
            while octets := self._in.read(min(left, _CHUNK)):
                left -= self._out.write(octets)

    def finish(self) -> None:
        """Completes the file."""
        self._out.close()
        self._in.close()
        atomic_rename(self.part, self.target)


@dataclass(slots=True)
class _Group:
    """Consecutive records about one URL, with the offset and type of the first, and at most one page."""

    url: str | None
    start: int
    first: str
    spans: list[tuple[int, int]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    page: Capture | None = None
    damage: list[Damage] = field(default_factory=list)

    def holds(self, record: Record) -> bool:
        """Returns whether a record belongs to the group. A second page starts another, and so does its request."""
        if record.url is None:
            if record.damage:  # after a request it is most likely the answer
                return self.types == {"request"}
            named = {record.get(b"warc-concurrent-to"), record.get(b"warc-refers-to")}
            return record.type not in _CONTENT and bool(self.ids & named)
        paged = bool(self.types & PAGES)
        begins = record.type in PAGES or (record.type == "request" and self.first == "request")
        return record.url == self.url and not (paged and begins)

    def add(self, record: Record, file: str) -> None:
        """Adds a record; a broken one is never copied."""
        page, damage = read_page(record, self.url, file)
        if damage:
            self.damage.append(damage)
        else:
            self.spans.append((record.start, record.end))
        if page and not (self.page and self.page.error):
            self.page = page
        self.ids.add(record.get(b"warc-record-id") or "")
        self.types.add(record.type)

    def item(self) -> Item:
        """Returns the item to decide about."""
        octets = len(self.page.body) if self.page else 0
        return Item(f"byte {self.start}", self.url, self.page, octets, self.spans, tuple(self.damage))


def read_page(record: Record, url: str | None, file: str) -> tuple[Capture | None, Damage | None]:
    """Returns what a record says was served at a URL, and the damage to the record and its HTTP answer.

    There is no page without a valid URL, nor in a request, a text, metadata, or a revisit without a head.
    """
    damage, page = record.damage, None
    try:
        href = urls.parse(url or "").href
    except NotAUrl:
        return None, damage
    try:
        if damage:
            raise DamagedRecord(damage.reason, damage.failure)
        page = _read_page(record, href)
    except DamagedRecord as error:
        found = Damage(file, record.start, str(error), error.failure)
        page = Capture(href, error=error.failure, memo={"detail": str(found)})
        if error.failure is not Failure.TOO_LARGE:  # the record itself is whole
            damage = damage or found
    return page, damage


def _read_page(record: Record, url: str) -> Capture | None:
    """Raises nothing but DamagedRecord: a fault of ours must neither allow a page nor end the run."""
    try:
        return _page(record, url)
    except DamagedRecord:
        raise
    except Exception as error:
        raise DamagedRecord(f"the record cannot be read ({type(error).__name__}: {error})") from error


def _page(record: Record, url: str) -> Capture | None:
    segment = record.get(b"warc-segment-number") is not None
    if record.type == "continuation" or (segment and record.type in _CONTENT):
        return Capture(url, error=Failure.TRUNCATED, memo={"detail": "the archive has it in several segments"})
    if record.type not in PAGES:
        return None
    if record.large:
        raise DamagedRecord(f"the record has more than {MAX_BODY:,} bytes", Failure.TOO_LARGE)
    if record.type == "revisit":
        return _revisited(record, url)
    if record.get(b"warc-truncated") is not None:
        return Capture(url, error=Failure.TRUNCATED, memo={"detail": "the record in the archive was cut off"})
    kind = (record.get(b"content-type") or "").encode()
    if record.type == "resource" and not _is_http_answer(kind):
        return Capture(url, 200, received([(b"Content-Type", kind)]), record.take())
    head = stored_answer.read_head(record.block)
    body = stored_answer.read_body(head, record.take(head.begin), MAX_BODY)
    return Capture(url, head.status, _as_sent(head.fields), body)


def _revisited(record: Record, url: str) -> Capture | None:
    """Returns what a revisit has of an answer: its head, and its body if that is not elsewhere."""
    if not record.block.strip(b"\r\n"):
        return None
    head = stored_answer.read_head(record.block, ends=False)
    # RFC 9110 15.4.5: the earlier content counts as that of a 200.
    status = 200 if head.status == 304 else head.status
    body = record.take(head.begin)
    if not body.strip(b"\r\n"):  # then WARC-Truncated says that the body is elsewhere
        return Capture(url, status, _as_sent(head.fields, b"content-length"))
    if record.get(b"warc-truncated") is not None:
        return Capture(url, error=Failure.TRUNCATED, memo={"detail": "the revisit in the archive has a part of a body"})
    return Capture(
        url, status, _as_sent(head.fields), stored_answer.read_body(head._replace(status=status), body, MAX_BODY)
    )


def _is_http_answer(content_type: bytes) -> bool:
    """Returns whether the block of a resource also has the head of its answer (RFC 9112 10.2)."""
    essence, _, parameters = content_type.lower().partition(b";")
    return essence.strip() == b"application/http" and b"request" not in parameters


def _as_sent(fields: Fields, *without: bytes) -> tuple[tuple[str, str], ...]:
    """Returns the fields under their own names; ``without`` those that describe a body stored elsewhere."""
    named = ((_RENAMED.sub(b"", name), value) for name, value in fields)
    return received((name, value) for name, value in named if name.lower() not in without)


def responses(path: Path, wanted: Set[str], note: Callable[[Damage], None]) -> Iterator[Response]:
    """Yields the HTTP responses of a WARC file from URLs with these paths; ``note`` gets each damage."""
    with path.open("rb") as file:
        for record in WarcFile(file, str(path)).records():
            if record.damage:
                note(record.damage)
            try:
                url = urls.parse(record.url or "")
            except NotAUrl:
                continue
            if url.path not in wanted or record.type in _NO_ANSWER:
                continue
            page, damage = read_page(record, url.href, str(path))
            refers = Refers.of(record) if record.type == "revisit" and _lacks_body(page) else None
            page = page or Capture(url.href)
            if record.date is None and not page.error:
                damage = Damage(str(path), record.start, "the record has no date", Failure.PROTOCOL)
                page, refers = Capture(url.href, error=damage.failure, memo={"detail": str(damage)}), None
            if damage and not record.damage:
                note(damage)
            yield Response(record.date, record.start, page, refers)


def _lacks_body(page: Capture | None) -> bool:
    """Returns whether the original of a revisit is needed; a status such as 404 needs no body."""
    return page is None or (not page.error and 200 <= (page.status or 0) < 300 and not page.body)


def originals(paths: Sequence[Path], wanted: Sequence[Refers]) -> dict[Refers, tuple[Path, int]]:
    """Finds the answers that revisits refer to; those in no file are left out."""
    found: dict[Refers, tuple[Path, int]] = {}
    by_key: dict[object, list[Refers]] = {}
    for refers in wanted:
        for key in refers.found_by():
            by_key.setdefault(key, []).append(refers)
    for path in paths if by_key else ():
        with path.open("rb") as file:
            for record in WarcFile(file, str(path)).records():
                if record.damage or record.type not in ("response", "resource"):
                    continue
                there = Refers(record.get(b"warc-record-id"), record.url, record.date, _digest(record))
                for refers in (each for key in there.found_by() for each in by_key.get(key, ())):
                    if not (refers.digest and there.digest and refers.digest != there.digest):
                        found[refers] = path, record.start
    return found


def response_at(path: Path, offset: int, original: tuple[Path, int] | None = None) -> Capture | None:
    """Returns the page of the record at an offset; a revisit gets the body of the original."""
    with path.open("rb") as file:
        record = WarcFile(file, str(path)).read(offset)
    page = read_page(record, record.url, str(path))[0]
    known = response_at(*original) if original else None
    if known is None:
        return page
    if page is None or not 200 <= (known.status or 0) < 300:
        return replace(known, url=urls.parse(record.url or "").href)
    names = {name.lower() for name, _ in page.headers}  # RFC 9111 4.3.4: the head of a 304 replaces single fields
    fields = tuple((name, value) for name, value in known.headers if name.lower() not in names)
    return replace(page, headers=page.headers + fields, body=known.body)


def _digest(record: Record) -> str | None:
    """Normalises a WARC-Payload-Digest, whose algorithm may be in any case."""
    label, _, value = (record.get(b"warc-payload-digest") or "").partition(":")
    return f"{label.strip().lower()}:{value.strip()}" if value.strip() else None
