"""Records of what happened, and the jobs for the writer, each written in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import uuid_utils

from forbear.optout.model import Capture, Decision


def new_id() -> str:
    """Makes a UUIDv7 (RFC 9562 5.7), which sorts by the time it was made."""
    return str(uuid_utils.uuid7())


class EntryState(StrEnum):
    """The state of a frontier entry."""

    WAITING = "waiting"
    """To be decided and fetched."""
    DEFERRED = "deferred"
    """Not known yet; asked again at ``due_at``."""
    ALLOWED = "allowed"
    """May be requested, and is being fetched; after a crash it goes back to waiting."""
    KEPT = "kept"
    """In the corpus."""
    EXCLUDED = "excluded"
    """Reserved, before or after it was fetched."""
    REDIRECTED = "redirected"
    """The site pointed elsewhere; the target is an entry of its own."""
    GONE = "gone"
    """The site has no such page."""
    SKIPPED = "skipped"
    """Allowed but not wanted: its type, its size, a limit of the operator."""
    UNCHANGED = "unchanged"
    """Rechecked: the same page, still not reserved."""
    CHANGED = "changed"
    """Rechecked: other content, not reserved either."""
    ABANDONED = "abandoned"
    """Deferred so often that it is not asked again in this crawl."""


class Keep(StrEnum):
    """How much of a capture's body is stored."""

    WHOLE = "whole"
    """All of it: well-known files, from which a decision can be made again."""
    QUOTED = "quoted"
    """Digest, size, headers and the words that decided: pages, whose text is in the corpus or nowhere."""


@dataclass(frozen=True, slots=True)
class CaptureRecord:
    """A capture as evidence, which may be reused without a request until ``expires_at``; None for pages."""

    id: str
    fetched_at: datetime
    expires_at: datetime | None
    capture: Capture
    keep: Keep = Keep.WHOLE


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as a row of the log.

    ``url`` is the URL as asked; ``captures`` are the ids of its evidence; ``status``, ``content_sha256`` (hexadecimal)
    and ``bytes`` describe the page, None at stage ``request``.
    """

    id: str
    at: datetime
    crawl: str
    url: str
    decision: Decision
    status: int | None = None
    content_sha256: str | None = None
    bytes: int | None = None
    captures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageRecord:
    """A page in the corpus; ``warc_offset`` and ``warc_length`` locate its compressed response record, in bytes."""

    decision: str
    crawl: str
    url: str
    kept_at: datetime
    warc_file: str
    warc_offset: int
    warc_length: int
    sha256: str
    media_type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Link:
    """A URL found on the page of entry ``found_on``; ``redirects`` counts the redirects in a row that led to it."""

    url: str
    depth: int = 0
    found_on: int | None = None
    redirects: int = 0


@dataclass(frozen=True, slots=True)
class EntryUpdate:
    """A change of a frontier entry; ``due_at`` is when a deferred one is asked again."""

    entry: int
    state: EntryState
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordDecision:
    """A decision with its evidence, and its effect on the frontier.

    ``captures`` may include some that are stored already; they are not stored twice.
    """

    decision: DecisionRecord
    captures: tuple[CaptureRecord, ...] = ()
    settle: EntryUpdate | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A page that was written to the corpus, and the links found on it."""

    page: PageRecord
    settle: EntryUpdate | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class AddLinks:
    """URLs to add to the frontier of a crawl: seeds, sitemaps."""

    crawl: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class UpdateEntry:
    """An entry that ends, or waits, without a decision of its own: a 404, an unwanted type."""

    settle: EntryUpdate
    decision: str | None = None


Job = RecordDecision | RecordPage | AddLinks | UpdateEntry


def now() -> datetime:
    """Returns the current time, in UTC."""
    return datetime.now(UTC)
