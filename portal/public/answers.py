"""The public answer about a domain: figures and words, but no address of a page (that requires proof of control)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from pydantic import Field

from forbear.optout.protocols import PROTOCOLS
from forbear.optout.readers.url import parse
from forbear.storage.database import Connection
from forbear.storage.db.hostnames import domain_of, host_of, read, unicode_of
from forbear.storage.reads.lookup import DecidingWords, lookup

PUBLIC_FILES = frozenset(path for protocol in PROTOCOLS for path in protocol.PLACES)
"""Paths that every crawler asks for: to name them does not reveal which pages were visited."""

OF_OURS = "operator:"
"""How the addresses of the operator's own lists begin."""

NEVER_SEEN = "never seen"
OUTCOMES = ("kept", "excluded", "deferred", "allowed")


@dataclass(frozen=True, slots=True)
class PublicAnswer:
    """What the crawls of this operator did with a host and all below it; the times are null if none ever asked."""

    name: Annotated[str, Field(description="The host in A-labels.")]
    unicode: Annotated[str, Field(description="The host as people write it.")]
    is_domain: Annotated[bool, Field(description="Whether it is a registrable domain (Public Suffix List).")]
    answer: Annotated[
        str, Field(description="kept, excluded, deferred, allowed; or never seen: no crawl ever asked for it.")
    ]
    first_seen: datetime | None
    last_seen: datetime | None
    since: Annotated[datetime | None, Field(description="When something was first excluded.")]
    urls: Annotated[
        dict[str, int], Field(description="How many URLs were kept, and how many are excluded, deferred, allowed.")
    ]
    words: Annotated[
        tuple[DecidingWords, ...],
        Field(description="The words that decided; `source` is a well-known file, or only the host of a page."),
    ]

    @property
    def is_seen(self) -> bool:
        """Whether any crawl ever decided about it."""
        return self.answer != NEVER_SEEN

    def of(self, verdict: str) -> list[DecidingWords]:
        """Returns the words behind a verdict, newest first."""
        return [words for words in self.words if words.verdict == verdict]

    def count(self, outcome: str) -> int:
        """Returns how many URLs have this outcome."""
        return self.urls.get(outcome, 0)


def public_answer(connection: Connection, asked: str) -> PublicAnswer:
    """Looks up the host of a name or URL, as typed or pasted, and all below it. Raises NotAUrl."""
    host = host_of(read(asked))
    known = lookup(connection, host)
    if known is None:
        return PublicAnswer(host, unicode_of(host), host == domain_of(host), NEVER_SEEN, None, None, None, {}, ())
    return PublicAnswer(
        known.name, known.unicode, known.scope == "domain", str(known.answer), known.first_seen, known.last_seen,
        known.since, {outcome: known.urls.get(outcome, 0) for outcome in OUTCOMES}, _public_words(known.words),
    )  # fmt: skip


def _public_words(found: Iterable[DecidingWords]) -> tuple[DecidingWords, ...]:
    """Makes the sources of words public, and merges the same words of several pages.

    The line of the operator's own list is left out, since it may name people.
    """
    merged: dict[tuple[str, ...], DecidingWords] = {}
    for each in found:
        public = (
            replace(each, quote="", where="", source="")
            if each.is_own
            else replace(each, source=_public_source(each.source))
        )
        key = (str(public.verdict), public.protocol, public.quote, public.source, public.where)
        merged[key] = public.merged(merged[key]) if key in merged else public
    return tuple(merged.values())


def _public_source(source: str) -> str:
    if source.startswith(OF_OURS):
        return ""
    url = parse(source)
    return source if url.target in PUBLIC_FILES else url.origin
