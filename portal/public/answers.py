"""What may be told to anybody about a domain: figures and words, but no address of a page (that takes proof)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from forbear.optout.model import Verdict
from forbear.optout.protocols import PROTOCOLS, operator
from forbear.optout.readers.url import parse
from forbear.storage.database import Connection
from forbear.storage.db.hostnames import domain_of, host_of, read, unicode_of
from forbear.storage.reads.lookup import DecidingWords, lookup

PUBLIC_FILES = frozenset(path for protocol in PROTOCOLS for path in protocol.PLACES)
"""Paths that everybody looks at: to name them tells nothing about which pages were visited."""

OF_OURS = "operator:"
"""How the addresses of lists begin that the operator brings."""

NEVER_SEEN = "never seen"
OUTCOMES = ("kept", "excluded", "deferred", "allowed")


@dataclass(frozen=True, slots=True)
class PublicWords:
    """Words that decided; ``source`` is a file that everybody looks at, or the host alone; empty for our own list."""

    verdict: Verdict
    protocol: str
    quote: str
    source: str
    where: str
    measure: str
    first_at: datetime
    last_at: datetime
    decisions: int

    @property
    def is_failure(self) -> bool:
        """Whether the quotation is the name of what hindered the reading, and nobody's words."""
        return self.verdict is Verdict.DEFERRED

    @property
    def is_own(self) -> bool:
        """Whether it is the operator's own entry, whose line may name people and is not shown."""
        return self.protocol == operator.NAME


@dataclass(frozen=True, slots=True)
class PublicAnswer:
    """The answer about a host and all below it; where nothing was ever seen, the times are None."""

    name: str
    unicode: str
    is_domain: bool
    answer: str
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    since: datetime | None = None
    urls: dict[str, int] | None = None
    words: tuple[PublicWords, ...] = ()

    @property
    def is_seen(self) -> bool:
        """Whether any crawl ever decided about it."""
        return self.answer != NEVER_SEEN

    def of(self, verdict: str) -> list[PublicWords]:
        """The words behind a verdict, the newest first."""
        return [said for said in self.words if said.verdict == verdict]

    def count(self, outcome: str) -> int:
        """How many URLs stand so."""
        return (self.urls or {}).get(outcome, 0)


def tell(connection: Connection, asked: str) -> PublicAnswer:
    """The answer about the host of whatever was typed or pasted, and all below it. Raises NotAUrl."""
    host = host_of(read(asked))
    known = lookup(connection, host)
    if known is None:
        return PublicAnswer(host, unicode_of(host), host == domain_of(host), NEVER_SEEN)
    return PublicAnswer(
        known.name, known.unicode, known.scope == "domain", str(known.answer), known.first_seen, known.last_seen,
        known.since, {outcome: known.urls.get(outcome, 0) for outcome in OUTCOMES}, tuple(_said(known.words)),
    )  # fmt: skip


def _said(words: Iterable[DecidingWords]) -> Iterable[PublicWords]:
    """The words with their sources made public; the same words of several pages are one."""
    merged: dict[tuple[str, ...], PublicWords] = {}
    for one in words:
        own = one.protocol == operator.NAME
        quote, where, source = ("", "", "") if own else (one.quote, one.where, _public(one.source))
        key = (str(one.verdict), one.protocol, quote, source, where)
        other = merged.get(key)
        merged[key] = PublicWords(
            one.verdict, one.protocol, quote, source, where, one.measure,
            min(one.first_at, other.first_at) if other else one.first_at,
            max(one.last_at, other.last_at) if other else one.last_at,
            one.decisions + (other.decisions if other else 0),
        )  # fmt: skip
    return merged.values()


def _public(source: str) -> str:
    if source.startswith(OF_OURS):
        return ""
    url = parse(source)
    return source if url.target in PUBLIC_FILES else url.origin
