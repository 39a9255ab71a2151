"""Reads the list of sites that courts or authorities in the EU and EEA found to infringe copyright persistently.

Such sites are left out, whatever the use, for as long as they are on the list.

Measure 1.2(1)(b) of the Copyright chapter (Code of Practice, 10 July 2025).

The list is a CSV file with a header line and one entry a line::

    domain,country,authority,basis,decided,in,out,source,accepted
    films.example,DK,Frederiksberg District Court,Retsplejeloven § 413,2026-03-02,2026-03-05,,sha256:9f86…,

An entry covers a domain with all its subdomains. ``in`` and ``out`` are the dates on which the publication began and
ceased to name it; ``source`` is the SHA-256 of the publication; ``decided`` may be empty where the publication gives no
date; ``accepted`` is the date on which a person accepted an entry that a guard had held back. The list reaches the
decision as a capture of the address LIST, like the operator's (decision 6): its digest is its version, and the
entry is the quotation.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from forbear.optout.captures import Hop
from forbear.optout.model import EVERY_USE, Capture, Gap, Preference, Reading, Statement
from forbear.optout.readers import csv_list
from forbear.optout.readers import url as urls
from forbear.optout.readers.csv_list import BadList, Row
from forbear.optout.readers.url import NotAUrl

NAME = "infringing-list"
PLACES: tuple[str, ...] = ()
LIST = "operator:infringing-list"
COLUMNS = ("domain", "country", "authority", "basis", "decided", "in", "out", "source", "accepted")

_SOURCE = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ListedDomain:
    """One line of the list; ``until`` is the first day on which the domain is not listed any more."""

    number: int
    line: str
    domain: str
    until: date | None
    note: str

    def holds(self, at: datetime) -> bool:
        """Returns whether it holds at a time: from the moment it is in the list, until its day out."""
        return self.until is None or at.astimezone(UTC).date() < self.until


@dataclass(frozen=True, slots=True)
class _Parsed:
    version: str
    entries: dict[str, list[ListedDomain]]


def read(hop: Hop) -> Reading:
    """Yields the entries that speak about the URL's host, or a domain above it."""
    capture = hop.captures.get(LIST)
    if capture is None:
        return
    try:
        known = _parsed(capture)
    except BadList as error:
        yield Gap(NAME, "malformed", LIST, "whole list", str(error))
        return
    labels = hop.url.host.removesuffix(".").split(".")
    for start in range(len(labels)):
        for entry in known.entries.get(".".join(labels[start:]), ()):
            if entry.holds(hop.question.at):
                where = f"line {entry.number}"
                note = f"{entry.note}; list {known.version}"
                yield Statement(NAME, Preference.DISALLOW, entry.line, LIST, where, EVERY_USE, note=note)


def capture_of(body: bytes) -> Capture:
    """Returns the list as a capture; raises BadList if it cannot be read."""
    capture = Capture(LIST, 200, (("content-type", "text/csv"),), body)
    _parsed(capture)
    return capture


def to_csv(rows: Iterable[tuple[str, ...]]) -> bytes:
    """Returns the list as it is kept: sorted rows of COLUMNS, so that the same entries have one digest."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(tuple(" ".join(field.split()) for field in row) for row in rows))
    return text.getvalue().encode()


def host_of(domain: str) -> str:
    """Returns a domain as hosts are compared: in A-labels, lower case, without the root's dot; raises NotAUrl."""
    url = urls.parse(f"https://{domain}/")
    if url.href != f"https://{url.host}/" or not re.fullmatch(r"[^\s/:@?#*]+|\[[0-9a-fA-F:.]+\]", domain):
        raise NotAUrl(f"{domain!r} is not a domain")
    return url.host.removesuffix(".")


def _parsed(capture: Capture) -> _Parsed:
    known: _Parsed | None = capture.memo.get(NAME)
    if known is None:
        if capture.error is not None or capture.status != 200:
            raise BadList(f"The list could not be had: {capture.error or capture.status}")
        entries: dict[str, list[ListedDomain]] = {}
        for entry in map(_entry, csv_list.rows(capture.body, COLUMNS, "the list of infringing sites")):
            entries.setdefault(entry.domain, []).append(entry)
        known = _Parsed(f"sha256:{hashlib.sha256(capture.body).hexdigest()}", entries)
        capture.memo[NAME] = known
    return known


def _entry(row: Row) -> ListedDomain:
    domain, country, authority, basis, decided, since, _, source, _ = row.fields.values()
    if not (country and authority and basis and since):
        raise row.bad("say in which country, which authority, on what legal basis, and since when (in)")
    if not _SOURCE.fullmatch(source):
        raise row.bad("the source is sha256: and the 64 hexadecimal digits of the publication's digest")
    for column in ("decided", "in", "out", "accepted"):
        row.day(column)
    try:
        host = host_of(domain)
    except NotAUrl as error:
        raise row.bad(f"{error}: write one like example.org") from None
    when = f", decided {decided}" if decided else ""
    note = f"{authority} ({country}), {basis}{when}; listed since {since}; {source}"
    return ListedDomain(row.number, row.line, host, row.day("out"), note)
