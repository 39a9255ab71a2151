"""What is handed to the writer: records of what happened, and the jobs that each become one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import uuid_utils

from forbear.optout.model import Capture, Decision


def new_id() -> str:
    """A UUIDv7 (RFC 9562 5.7): it sorts by the time at which it was made."""
    return str(uuid_utils.uuid7())


class EntryState(StrEnum):
    """Where an entry of the frontier stands."""

    WAITING = "waiting"
    """To be decided and fetched."""
    DEFERRED = "deferred"
    """It cannot be known now; asked again at ``due_at``."""
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
    """Asked again (recheck): the same page, which nobody has reserved since."""
    CHANGED = "changed"
    """Asked again (recheck): another content, which is not reserved either."""
    ABANDONED = "abandoned"
    """Deferred so often that it is not asked again in this crawl."""


class Keep(StrEnum):
    """How much of a capture's body is stored."""

    WHOLE = "whole"
    """All of it: well-known files, by which a decision can be made again."""
    QUOTED = "quoted"
    """Digest, size, headers and the words that decided: pages, whose text is in the corpus or nowhere."""


@dataclass(frozen=True, slots=True)
class CaptureRecord:
    """A capture as evidence. ``expires_at``: until when it is used again without asking; None for pages."""

    id: str
    fetched_at: datetime
    expires_at: datetime | None
    capture: Capture
    keep: Keep = Keep.WHOLE


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as a row of the log.

    ``url`` is as it was asked about; ``captures`` are the ids it rests on; ``status``, ``content_sha256`` (hexadecimal)
    and ``bytes`` are of the page, None at stage ``request``.
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
    """A page in the corpus. ``warc_offset`` and ``warc_length`` are octets of its compressed response record."""

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
    """A URL found. ``found_on`` is the entry whose page has it; ``redirects`` how many redirects in a row led to it."""

    url: str
    depth: int = 0
    found_on: int | None = None
    redirects: int = 0


@dataclass(frozen=True, slots=True)
class EntryUpdate:
    """A change of an entry of the frontier; ``due_at`` says when a deferred one is asked again."""

    entry: int
    state: EntryState
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordDecision:
    """A decision with its evidence, and what it changes in the frontier.

    ``captures`` may hold some that are stored already: they are not stored twice.
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
    """URLs for the frontier of a crawl: seeds, sitemaps."""

    crawl: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class UpdateEntry:
    """An entry that ends, or waits, without a decision of its own: a 404, a type that is not wanted."""

    settle: EntryUpdate
    decision: str | None = None


Job = RecordDecision | RecordPage | AddLinks | UpdateEntry


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
