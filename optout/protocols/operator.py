"""Reads the operator's own list: what the operator blocks, and the licences that the operator holds.

A block holds from the moment it is listed. A licence lifts only the protocols that it names, and never a denial of
access or another entry of the list. A list that cannot be read defers everything.

The list is a CSV file with a header line and one entry a line, so that legal staff can keep it in a spreadsheet and
each entry can be quoted::

    effect,match,by,at,why,until,lifts
    block,example.org,legal team,2026-11-24,complaint 17 accepted,,
    allow,https://press.example/archive/,legal team,2026-10-01,licence 2026/14,2027-10-01,tdmrep robots-meta

``match`` is a domain with all its subdomains, or the start of the URLs that the entry covers. ``by``, ``at`` (a date)
and ``why`` are required. ``until`` ends an entry. ``lifts`` names the protocols that a licence lifts; it is required
with ``allow`` and has no effect on a protocol that policy.toml does not call licensable. The list reaches the decision
as a capture of the address LIST, like any other place, so it is evidence too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

from forbear.optout.captures import Hop
from forbear.optout.model import EVERY_USE, Capture, Gap, Preference, Reading, Statement
from forbear.optout.readers import csv_list
from forbear.optout.readers import url as urls
from forbear.optout.readers.csv_list import BadList, Row
from forbear.optout.readers.pattern import Target
from forbear.optout.readers.text import to_utf8
from forbear.optout.readers.url import NotAUrl, Url

NAME = "operator"
PLACES: tuple[str, ...] = ()
LIST = "operator:list"

_DOMAIN = re.compile(r"[^\s/:@?#*]+|\[[0-9a-fA-F:.]+\]")
_COLUMNS = ("effect", "match", "by", "at", "why", "until", "lifts")


@dataclass(frozen=True, slots=True)
class ListLine:
    """One line of the list; ``origin`` and ``prefix`` are what covered URLs begin with, empty for a domain."""

    number: int
    line: str
    blocks: bool
    host: str
    origin: str
    prefix: bytes
    since: date
    until: date | None
    note: str
    lifts: frozenset[str]

    def holds(self, at: datetime) -> bool:
        """Returns whether it holds at a time, to the day: a block once it is listed, a licence by its dates."""
        today = at.astimezone(UTC).date()
        if self.until and today >= self.until:
            return False
        return self.blocks or today >= self.since


def read(hop: Hop) -> Reading:
    """Yields the operator's entries that speak about the URL."""
    capture = hop.captures.get(LIST)
    if capture is None:
        return
    try:
        entries = _parsed(capture)
    except BadList as error:
        yield Gap(NAME, "malformed", LIST, "whole list", str(error))
        return
    labels = _host(hop.url).split(".")
    of_host = (entry for start in range(len(labels)) for entry in entries.get(".".join(labels[start:]), ()))
    origins = ("", _origin(hop.url))
    in_force = [entry for entry in of_host if entry.origin in origins and entry.holds(hop.question.at)]
    for number in hop.of_target(partial(_covering, in_force)) if in_force else ():
        entry = in_force[number]
        preference = Preference.DISALLOW if entry.blocks else Preference.ALLOW
        where = f"line {entry.number}"
        yield Statement(NAME, preference, entry.line, LIST, where, EVERY_USE, note=entry.note, lifts=entry.lifts)


def _covering(entries: Sequence[ListLine], target: Target) -> tuple[int, ...]:
    """Returns the positions of the entries of a host that speak about a target."""
    octets = _normalised(target.text)
    return tuple(n for n, entry in enumerate(entries) if not entry.origin or octets.startswith(entry.prefix))


def _host(url: Url) -> str:
    """Returns its host; a name with the root's dot at its end is the same name (RFC 1034 3.1)."""
    return url.host.removesuffix(".")


def _origin(url: Url) -> str:
    return f"{url.scheme}://{_host(url)}:{url.port}"


def _normalised(path_and_query: str) -> bytes:
    """Returns path and query in one spelling, so that ``/%61rchive/`` does not evade a block of ``/archive/``."""
    return urls.normalise(path_and_query.encode())


def capture_of(body: bytes) -> Capture:
    """Returns the list as a capture; raises BadList if it cannot be read."""
    capture = Capture(LIST, 200, (("content-type", "text/csv"),), body)
    _parsed(capture)
    return capture


def with_lines(own: bytes, lines: Sequence[str]) -> Capture:
    """Returns the operator's own list (empty: none) with further lines at its end, as a capture; raises BadList."""
    body = own or ",".join(_COLUMNS).encode() + b"\n"
    if lines:
        body = to_utf8(body).rstrip(b"\r\n") + b"\n" + "".join(f"{line}\n" for line in lines).encode()
    return capture_of(body)


def _parsed(capture: Capture) -> dict[str, list[ListLine]]:
    entries: dict[str, list[ListLine]] | None = capture.memo.get(NAME)
    if entries is None:
        entries = {}
        for entry in map(_entry, csv_list.rows(capture.body, _COLUMNS, "the operator's list")):
            entries.setdefault(entry.host, []).append(entry)
        capture.memo[NAME] = entries
    return entries


def _entry(row: Row) -> ListLine:
    effect, match, by, at, why, _, lifts = row.fields.values()
    if effect not in ("block", "allow"):
        raise row.bad(f"the effect is {effect!r}, write block or allow")
    if not (by and at and why):
        raise row.bad("say who added the entry (by), when (at) and why")
    if (effect == "allow") != bool(lifts):
        raise row.bad("a licence (allow) names the protocols that it lifts, a block lifts none")
    since, until = row.day("at"), row.day("until")
    assert since
    whole_url = "://" in match
    try:
        url = urls.parse(match if whole_url else f"https://{match}")
    except NotAUrl as error:
        raise row.bad(str(error)) from None
    if not whole_url and (url.href != f"https://{url.host}/" or not _DOMAIN.fullmatch(match)):
        raise row.bad(f"{match!r} is neither a domain like example.org nor a URL that begins with https:// or http://")
    return ListLine(
        number=row.number,
        line=row.line,
        blocks=effect == "block",
        host=_host(url),
        origin=_origin(url) if whole_url else "",
        prefix=_normalised(url.target),
        since=since,
        until=until,
        note=f"Added by {by} on {at}: {why}",
        lifts=frozenset(lifts.split()),
    )
