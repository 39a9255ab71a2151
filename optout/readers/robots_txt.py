"""robots.txt as RFC 9309 has it: groups by product token, rules with their line, other records with their group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from optout.model import Capture
from optout.readers import pattern
from optout.readers.pattern import Pattern
from optout.readers.text import readable, to_utf8

LIMIT = 524_288
"""Octets that are parsed, after content decoding (RFC 9309 2.5 asks for 500 KiB at least)."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_TOKEN = re.compile(rb"[A-Za-z_-]+")
_USER_AGENT = frozenset({b"user-agent", b"useragent", b"user agent"})
# Misspellings that google/robotstxt and Protego obey as well; nothing like it for "allow", which would open doors.
_DISALLOW = frozenset({b"disallow", b"dissallow", b"dissalow", b"disalow", b"diasllow", b"disallaw"})
_KNOWN = _USER_AGENT | _DISALLOW | {b"allow"}
_GEN_DELIMS = re.compile(rb"[:/?#\[\]@]")
_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True)
class Line:
    """A record: its number from 1, its key in lower case (one spelling for each kind of rule), its value."""

    number: int
    key: bytes
    value: bytes


@dataclass(slots=True)
class Group:
    """User-agent lines in a row and what stands under them (RFC 9309 2.1, 2.2.1)."""

    names: set[bytes] = field(default_factory=set)
    rules: list[Line] = field(default_factory=list)
    others: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that covers a URL; ``length`` in octets of the normalised pattern."""

    line: Line
    length: int

    @property
    def allows(self) -> bool:
        """Whether it is an Allow."""
        return self.line.key == b"allow"

    @property
    def rank(self) -> tuple[int, bool]:
        """The most octets win; of equal length, Allow (RFC 9309 2.2.2)."""
        return self.length, self.allows


class Rules:
    """The Allow and Disallow lines of one merged group, ready to be asked about many URLs.

    A rule is found by what its pattern begins with, so a URL costs as many look-ups as there are different lengths
    of such beginnings, however many rules there are.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._patterns: dict[bytes, list[tuple[Pattern, Line]]] = {}
        self._in_queries: dict[bytes, list[tuple[Pattern, Line]]] = {}
        seen = set()
        for line in lines:
            # An empty value is a rule that covers nothing (RFC 9309 2.2.2); the same rule again adds nothing.
            if line.value and (line.key, line.value) not in seen:
                seen.add((line.key, line.value))
                _file(self._patterns, line.value, line)
                if line.key == b"disallow" and (b"?" in line.value or b"%" in line.value):
                    _file(self._in_queries, _escape_query(line.value), line)
        self._lengths = sorted({len(head) for head in self._patterns})

    def matching(self, path_and_query: str) -> list[Match]:
        """All rules that cover a URL's path and query, the deciding one first."""
        found = self._matching(pattern.target(path_and_query))
        if "%" in path_and_query and not (found and not found[0].allows):
            # RFC 9309 2.2.2 decodes escaped letters, google/robotstxt does not: where only one reading shuts the URL,
            # it is shut.
            written = self._matching(pattern.target_as_written(path_and_query))
            if written and not written[0].allows:
                return written
        return found

    def _matching(self, target: bytes) -> list[Match]:
        found = list(self._covering(self._patterns, target))
        if self._in_queries and b"?" in target:
            # RFC 9309 2.2.2 escapes the reserved characters of a query's value on both sides. As not every query
            # holds values, a Disallow covers the URL with or without that step; an Allow only without it.
            held = {match.line.number for match in found}
            found += (m for m in self._covering(self._in_queries, _escape_query(target)) if m.line.number not in held)
        found.sort(key=lambda match: match.rank, reverse=True)
        return found

    def _covering(self, patterns: dict[bytes, list[tuple[Pattern, Line]]], target: bytes) -> Iterator[Match]:
        lengths = self._lengths if patterns is self._patterns else sorted({len(head) for head in patterns})
        for length in lengths:
            if length > len(target):
                return
            for candidate, line in patterns.get(target[:length], ()):
                if candidate.matches(target):
                    yield Match(line, candidate.length)


def _file(patterns: dict[bytes, list[tuple[Pattern, Line]]], text: bytes, line: Line) -> None:
    compiled = Pattern(text)
    patterns.setdefault(compiled.head, []).append((compiled, line))


def _escape_query(octets: bytes) -> bytes:
    before, mark, query = octets.partition(b"?")
    return before + mark + _GEN_DELIMS.sub(lambda match: b"%%%02X" % match[0][0], query)


class RobotsTxt:
    """A parsed file. Lines that cannot be parsed are passed over (RFC 9309 2.2)."""

    def __init__(self, capture: Capture) -> None:
        body = to_utf8(capture.body)
        self.source = capture.url
        self.too_large = len(capture.body) > LIMIT
        if self.too_large:
            # What the cut leaves of a last line is not what was written: half an Allow would open more.
            body = body[:LIMIT]
            body = body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
        self._lines = _LINE_END.split(body)
        self.groups: list[Group] = []
        self.ungrouped = Group()
        self._by_name: dict[bytes, list[Group]] = {}
        self._rules: dict[str, Rules] = {}
        self._read()
        self.html = self._html(capture)

    def unmatchable(self, agent: str) -> list[Line]:
        """Rules for this product token that begin with neither ``/`` nor ``*`` and so cover nothing (2.2.3, 5.1)."""
        rules = chain.from_iterable(group.rules for group in self.groups_for(agent))
        return [line for line in rules if line.value and line.value[:1] not in (b"/", b"*")]

    def _read(self) -> None:
        group = self.ungrouped
        for number, text in enumerate(self._lines, 1):
            line = _record(number, text)
            if line is None:
                continue
            if line.key == b"user-agent":
                if group is self.ungrouped or group.rules:
                    self.groups.append(group := Group())
                for name in _names(line.value) - group.names:
                    group.names.add(name)
                    self._by_name.setdefault(name, []).append(group)
            elif line.key in (b"allow", b"disallow"):
                group.rules.append(line)
            else:
                group.others.append(line)

    def _html(self, capture: Capture) -> str:
        """What shows that this is an HTML page and no robots.txt; empty if nothing does."""
        opening = _HTML.match(capture.body[:1024])
        if opening:
            return readable(opening[0]).strip()
        empty = not self.groups and not self.ungrouped.others
        return capture.media_type if capture.media_type in _HTML_TYPES and empty and capture.body.strip() else ""

    def quote(self, line: Line) -> str:
        """The line as served, without the comment and the white space around it."""
        return readable(self._lines[line.number - 1].partition(b"#")[0].strip(b" \t"))

    def names(self, agent: str) -> bool:
        """Whether a group names this product token, never mind ``*``."""
        return agent.lower().encode() in self._by_name

    def groups_for(self, agent: str) -> list[Group]:
        """The groups that hold for a product token: all that name it, else all for ``*`` (RFC 9309 2.2.1)."""
        return self._by_name.get(agent.lower().encode()) or self._by_name.get(b"*", [])

    def rules_for(self, agent: str) -> Rules:
        """The rules of those groups as one."""
        if agent not in self._rules:
            self._rules[agent] = Rules(chain.from_iterable(group.rules for group in self.groups_for(agent)))
        return self._rules[agent]

    def others_for(self, agent: str) -> Iterator[Line]:
        """The records of those groups that are neither user-agent lines nor rules (RFC 9309 2.2.4)."""
        return chain.from_iterable(group.others for group in self.groups_for(agent))

    def crawl_delay(self, agent: str) -> float:
        """The largest Crawl-delay of those groups, in seconds; 0 if there is none. Not part of RFC 9309."""
        values = (line.value for line in self.others_for(agent) if line.key == b"crawl-delay")
        return max((float(value) for value in values if re.fullmatch(rb"\d{1,9}(\.\d{1,9})?", value)), default=0.0)

    def sitemaps(self) -> Iterator[str]:
        """The values of all Sitemap lines, whatever group they stand in."""
        for group in chain([self.ungrouped], self.groups):
            yield from (readable(line.value) for line in group.others if line.key == b"sitemap")


def parse(capture: Capture) -> RobotsTxt:
    """The file in a capture; parsed once for each capture."""
    file: RobotsTxt | None = capture.memo.get("robots.txt")
    if file is None:
        file = capture.memo["robots.txt"] = RobotsTxt(capture)
    return file


def _record(number: int, text: bytes) -> Line | None:
    """A line as key and value; nothing for a blank or a comment (RFC 9309 2.2, grammar)."""
    text = text.partition(b"#")[0].strip(b" \t")
    if not text:
        return None
    key, colon, value = text.partition(b":")
    key = key.strip(b" \t").lower()
    if not colon:
        words = text.split()
        # Without a colon only two words are taken for a record, as google/robotstxt does.
        if len(words) != 2 or words[0].lower() not in _KNOWN:
            return None
        key, value = words[0].lower(), words[1]
    if key in _USER_AGENT:
        key = b"user-agent"
    elif key in _DISALLOW:
        key = b"disallow"
    return Line(number, key, value.strip(b" \t"))


def _names(value: bytes) -> set[bytes]:
    """What a User-agent line names, in lower case.

    ``*`` alone or before white space is everybody. Else the leading run of letters, ``-`` and ``_`` is the product
    token: ``ForbearBot/2.0`` and ``ForbearBot Images`` name ForbearBot. Tokens outside the grammar (``AI2Bot``,
    ``Kangaroo Bot``) are known by the whole value up to a slash.
    """
    if value == b"*" or value[:2] in (b"* ", b"*\t"):
        return {b"*"}
    whole = value.partition(b"/")[0].strip(b" \t").lower()
    token = _TOKEN.match(value)
    return {name for name in (token[0].lower() if token else b"", whole) if name}
