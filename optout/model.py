"""The vocabulary of the whole project: question, place, capture, statement, gap, reason, decision."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")

SKEW = timedelta(minutes=1)
"""How much the clocks of several machines may differ; a time further ahead is from a clock that is wrong."""


class Use(StrEnum):
    """What a copy is for, in the words of the IETF AIPREF vocabulary (draft-ietf-aipref-vocab-08)."""

    TRAIN_AI = "train-ai"
    SEARCH = "search"
    AI_USE = "ai-use"


EVERY_USE = frozenset(Use)
"""A rule about access covers every use."""

AI_USES = frozenset({Use.TRAIN_AI, Use.AI_USE})
"""A reservation of text and data mining, or of AI at large, does not cover search."""


class Profile(StrEnum):
    """How doubt is treated. ``standard``: by each protocol's own rules; ``strict``: doubt never allows."""

    STANDARD = "standard"
    STRICT = "strict"


class Preference(StrEnum):
    """What a statement wants."""

    ALLOW = "allow"
    DISALLOW = "disallow"
    UNKNOWN = "unknown"


class StatementStatus(StrEnum):
    """How a statement relates to the others of its own protocol."""

    STANDING = "standing"
    """The protocol's own rules make it count."""
    SUPERSEDED = "superseded"
    """Another statement of the protocol decides instead, beyond doubt (RFC 9309 2.2.2: longest match)."""
    CONTRADICTED = "contradicted"
    """Another place of the protocol contradicts it and wins by its rules; in ``strict`` this one counts too."""
    MALFORMED = "malformed"
    """A value that the protocol does not know, where it expects one; ``strict`` takes it as a no."""
    FLAGGED = "flagged"
    """Words outside of the specification whose wish is plain; in ``strict`` such a no defers."""


class Verdict(StrEnum):
    """What follows."""

    ALLOWED = "allowed"
    EXCLUDED = "excluded"
    DEFERRED = "deferred"


class Stage(StrEnum):
    """What the decision is about: whether a URL may be requested, or whether what came may be kept."""

    REQUEST = "request"
    PAGE = "page"


class Failure(StrEnum):
    """Why there is no answer to a request."""

    TIMEOUT = "timeout"
    DNS = "dns"
    REFUSED = "refused"
    RESET = "reset"
    TLS = "tls"
    TRUNCATED = "truncated"
    TOO_LARGE = "too-large"
    PROTOCOL = "protocol"
    UNASKED = "unasked"
    """Nobody asked: the caller has no network."""
    TOO_COSTLY = "too-costly"
    """Reading it was given up: it took more processor time or memory than one answer may."""
    EXPIRED = "expired"
    """What is known is too old to be used, and was not fetched again."""


@dataclass(frozen=True, slots=True)
class Question:
    """May the crawler with this product token use this URL for this use, at this time?

    ``url`` is as the caller wrote it; ``agent`` is the robots product token (RFC 9309 2.2.1).
    """

    url: str
    agent: str = "ForbearBot"
    use: Use = Use.TRAIN_AI
    profile: Profile = Profile.STANDARD
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """One HTTP request and what came back; compared by identity.

    ``url`` is canonical (``readers.url``); ``headers`` are as received, in order, names repeat, bytes as text by
    ``readers.text.field_text``; ``body`` is after content decoding. Where ``error`` is set there is no status. ``memo``
    keeps what readers made of the body, so that a file that decides about a thousand pages is parsed once; it never
    changes what the capture means.
    """

    url: str
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: Failure | None = None
    memo: dict[str, Any] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns what goes to another process: not what readers made of the body, but what the fetcher knows."""
        known = {name: self.memo[name] for name in ("detail",) if name in self.memo}
        return Capture, (self.url, self.status, self.headers, self.body, self.error, known)

    def header(self, name: str) -> list[str]:
        """Returns all values of a header field, in order; ``name`` in lower case."""
        # A folded field is one line (RFC 9112 5.2).
        return [_FOLD.sub(" ", value) if "\n" in value else value for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that has still to be looked at before a decision is possible, and the protocol that wants it."""

    protocol: str
    url: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What a site says about a use, in its own words.

    ``quote`` is found byte for byte in the capture of ``source`` (bytes that are not text are shown by
    ``readers.text``); ``where`` is the line, header, element or metadata field: ``line 12``,
    ``header tdm-reservation``, ``/html/head/meta[3]``. ``note`` is ours, one sentence, or empty. ``lifts`` names the
    protocols whose reservations a licence of the operator covers; no other protocol can lift anything.
    """

    protocol: str
    preference: Preference
    quote: str
    source: str
    where: str
    uses: frozenset[Use]
    force: StatementStatus = StatementStatus.STANDING
    note: str = ""
    lifts: frozenset[str] = frozenset()

    def covers(self, use: Use) -> bool:
        """Returns whether it speaks about the use."""
        return use in self.uses


NEVER: frozenset[Profile] = frozenset()
IN_STRICT = frozenset({Profile.STRICT})
ALWAYS = frozenset(Profile)


@dataclass(frozen=True, slots=True)
class Gap:
    """What could not be read, where, and in which profiles that defers.

    ``quote`` is the failure's name or the site's own words; ``detail`` is one sentence for people.
    """

    protocol: str
    quote: str
    source: str
    where: str
    detail: str
    defers: frozenset[Profile] = ALWAYS


@dataclass(frozen=True, slots=True)
class Reason:
    """A statement or gap that decided, with the paragraph of the Copyright chapter that it serves."""

    protocol: str
    preference: Preference
    quote: str
    source: str
    where: str
    measure: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows, because of what; ``statements`` and ``gaps`` are all that was read, decisive or not.

    ``url`` is the canonical URL that the decision ends at, after redirects: at stage ``request`` the one that may
    (or may not) be requested now, at stage ``page`` the one whose copy may (or may not) be kept. ``verdicts`` is what
    each profile makes of all this, the one that was asked about and the other.
    """

    verdict: Verdict
    stage: Stage
    url: str
    reasons: tuple[Reason, ...] = ()
    statements: tuple[Statement, ...] = ()
    gaps: tuple[Gap, ...] = ()
    verdicts: Mapping[Profile, Verdict] = field(default_factory=dict)


Reading = Iterator[Statement | Gap | Place]
"""What a protocol yields."""
