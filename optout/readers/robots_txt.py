"""Parses robots.txt (RFC 9309): groups by product token, rules with their lines, other records with their groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain

from forbear.optout.model import Capture
from forbear.optout.readers import representation
from forbear.optout.readers.pattern import Pattern, Target
from forbear.optout.readers.text import readable, to_utf8

LIMIT = 524_288
"""Bytes that are parsed, after content decoding (RFC 9309 2.5 asks for 500 KiB at least)."""

MOST_HEADS = 256
"""Up to this many beginnings of patterns, trying them all is quicker than a look-up for each of their lengths."""

_TOKEN = re.compile(rb"[A-Za-z_-]+")
# Misspellings that google/robotstxt and Protego obey as well; nothing like it for "allow", which would open doors.
_DISALLOW = rb"disallow|dissallow|dissalow|disalow|diasllow|disallaw"
# A user-agent line or rule. Without a colon only two words are taken for one, as google/robotstxt does. No part of a
# line is looked at twice, so that a file of any shape is read in linear time.
_RECORD = re.compile(
    rb"^[ \t]*+(?:(user[- ]?agent|allow|" + _DISALLOW + rb")[ \t]*+:"
    rb"|(user-?agent|" + _DISALLOW + rb")[ \t]++(?=[^ \t:#\n]++[ \t]*+(?:[#\n]|\Z)))"
    rb"[ \t]*+([^#\n]*+)",
    re.IGNORECASE | re.MULTILINE,
)
_GEN_DELIMS = re.compile(rb"[:/?#\[\]@]")

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_MARKUP = re.compile(
    rb"(?:\s|<!--.*?-->|<\?xml[^>]*>)*+(<(?:!doctype\s+html|html|head|title|meta|script|body|div)\b)",
    re.IGNORECASE | re.DOTALL,
)
_IN_FORM = re.compile(rb"^[ \t]*+(?:#|[a-z][\w -]*+:)", re.IGNORECASE | re.MULTILINE)
_NOT_IN_FORM = re.compile(rb"^(?![ \t]*+(?:$|#|[a-z][\w -]*+:))", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Line:
    """A record: where its line starts in the text, its key in lower case (``disallow`` however spelt), its value."""

    start: int
    key: bytes
    value: bytes


@dataclass(slots=True)
class Group:
    """User-agent lines in a row and the lines under them (RFC 9309 2.1, 2.2.1), from ``start`` to ``end``.

    ``rules`` are those that have a value; ``closed`` means that there is a rule, even an empty one.
    """

    start: int
    end: int = 0
    names: int = 0
    rules: list[Line] = field(default_factory=list)
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that covers a URL; ``length`` in bytes of the normalised pattern."""

    line: Line
    length: int

    @property
    def allows(self) -> bool:
        """Returns whether it is an Allow."""
        return self.line.key == b"allow"

    @property
    def rank(self) -> tuple[int, bool]:
        """Returns the sort key: the longest pattern wins; of equal length, Allow (RFC 9309 2.2.2)."""
        return self.length, self.allows


class _Index:
    """Numbers of patterns, found by what they begin with.

    A URL costs as many look-ups as there are different lengths of such beginnings, however many patterns there are;
    but patterns for any directory (``/*.pdf$``) have no such beginning, and are tried one by one.
    """

    def __init__(self) -> None:
        self._by_head: dict[bytes, list[tuple[int, Pattern]]] = {}
        self._anywhere: list[tuple[int, bytes, Pattern]] = []

    def add(self, number: int, compiled: Pattern) -> None:
        """Takes in a pattern."""
        if len(compiled.head) > 1:
            self._by_head.setdefault(compiled.head, []).append((number, compiled))
        else:
            self._anywhere.append((number, compiled.needle, compiled))

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(head) for head in self._by_head})

    @cached_property
    def _heads(self) -> tuple[bytes, ...]:
        """Returns the beginnings, if they are few: most URLs have none of them, which is quick to see."""
        return tuple(self._by_head) if len(self._by_head) <= MOST_HEADS else (b"",)

    def covering(self, target: bytes) -> list[int]:
        """Returns the numbers of the patterns that cover a target."""
        found = []
        for number, needle, one in self._anywhere:
            if needle in target and one.matches(target):
                found.append(number)
        if target.startswith(self._heads):
            for length in self._lengths:
                if length > len(target):
                    break
                found += [number for number, one in self._by_head.get(target[:length], ()) if one.matches(target)]
        return found


class Rules:
    """The Allow and Disallow lines of one merged group, ready to be asked about many URLs.

    ``lines`` are those that can cover something, ``unmatchable`` those that begin with neither ``/`` nor ``*`` and so
    cover nothing (RFC 9309 2.2.3, 5.1).
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        first: dict[tuple[bytes, bytes], Line] = {}
        for line in lines:
            first.setdefault((line.key, line.value), line)  # The same rule again adds nothing.
        self.unmatchable = [line for line in first.values() if line.value[:1] not in (b"/", b"*")]
        self.lines = [line for line in first.values() if line.value[:1] in (b"/", b"*")]
        self._decoded = _Compiled(self.lines)
        self._as_written: _Compiled | None = None

    def matching(self, target: Target) -> list[Match]:
        """Returns all rules that cover a URL, the deciding one first."""
        return self.matches(self.covering(target))

    def matches(self, numbers: Iterable[int]) -> list[Match]:
        """Returns the rules of these numbers."""
        return [self._match(number) for number in numbers]

    def covering(self, target: Target) -> tuple[int, ...]:
        """Returns the numbers of all rules that cover a URL, the deciding one first."""
        found = self._decoded.covering(target.octets)
        if target.is_plain:
            return found
        if target.as_written != target.octets and (not found or self._match(found[0]).allows):
            # RFC 9309 2.2.2 decodes escaped letters, google/robotstxt does not: where only one reading shuts the URL,
            # it is shut.
            self._as_written = self._as_written or _Compiled(self.lines, as_written=True)
            otherwise = tuple(-1 - number for number in self._as_written.covering(target.as_written))
            if otherwise and not self._match(otherwise[0]).allows:
                return otherwise
        return found

    def _match(self, number: int) -> Match:
        """Returns the match with a number; rules of the other reading count from -1 downwards."""
        return self._as_written.match(-1 - number) if self._as_written and number < 0 else self._decoded.match(number)


class _Compiled:
    """Rules with their escapes read in one of two ways."""

    def __init__(self, lines: Iterable[Line], *, as_written: bool = False) -> None:
        self._rules = _Index()
        self._in_queries = _Index()
        self._numbered: list[tuple[Line, Pattern]] = []
        for line in lines:
            compiled = Pattern(line.value, as_written=as_written)
            self._add(self._rules, line, compiled)
            if line.key == b"disallow" and (b"?" in line.value or b"%" in line.value):
                escaped = _escape_query(line.value)
                compiled = compiled if escaped == line.value else Pattern(escaped, as_written=as_written)
                self._add(self._in_queries, line, compiled)

    def _add(self, index: _Index, line: Line, compiled: Pattern) -> None:
        index.add(len(self._numbered), compiled)
        self._numbered.append((line, compiled))

    def match(self, number: int) -> Match:
        """Returns the rule of a number."""
        line, compiled = self._numbered[number]
        return Match(line, compiled.length)

    def covering(self, target: bytes) -> tuple[int, ...]:
        """Returns the numbers of the rules that cover a target, the deciding one first."""
        found = self._rules.covering(target)
        if b"?" in target:
            # RFC 9309 2.2.2 escapes the reserved characters of a query's value on both sides. As not every query
            # holds values, a Disallow covers the URL with or without that step; an Allow only without it.
            held = {self._numbered[number][0].start for number in found}
            queried = self._in_queries.covering(_escape_query(target))
            found += (number for number in queried if self._numbered[number][0].start not in held)
        if len(found) > 1:
            found.sort(key=lambda number: self.match(number).rank, reverse=True)
        return tuple(found)


def _escape_query(octets: bytes) -> bytes:
    before, mark, query = octets.partition(b"?")
    return before + mark + _GEN_DELIMS.sub(lambda match: b"%%%02X" % match[0][0], query)


class RobotsTxt:
    """A parsed file. Lines that cannot be parsed are skipped (RFC 9309 2.3.1.5)."""

    def __init__(self, capture: Capture) -> None:
        self.source = capture.url
        self.too_large = len(capture.body) > LIMIT
        # One byte more, since a line that ends at the limit is whole.
        text = to_utf8(capture.body[: LIMIT + 1]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # What a cut leaves of a last line is not what was written: half an Allow would open more.
        self._text = text[: text.rfind(b"\n") + 1] if self.too_large else text
        self.groups: list[Group] = []
        # The groups that name a token, each with the place of its line.
        self._by_name: dict[bytes, list[tuple[Group, int]]] = {}
        self._rules: dict[str, Rules] = {}
        # Crawlers that are named together have the same rules, read once for all of them.
        self._shared: dict[tuple[int, ...], Rules] = {}
        self._read()
        self.foreign = self._foreign(representation.of(capture).stated)

    def _read(self) -> None:
        group = Group(0, closed=True)  # Rules before the first user-agent line belong to nobody.
        for record in _RECORD.finditer(self._text):
            start, key, value = record.start(), (record[1] or record[2]).lower(), record[3].rstrip(b" \t")
            if key[:1] == b"u":
                if group.closed:
                    group.end = start
                    self.groups.append(group := Group(start))
                for name in _names(value):
                    named = self._by_name.setdefault(name, [])
                    if not named or named[-1][0] is not group:
                        named.append((group, start))
                        group.names += 1
                continue
            group.closed = True
            if value:
                # An empty value is a rule that covers nothing (RFC 9309 2.2.2).
                group.rules.append(Line(start, b"allow" if key == b"allow" else b"disallow", value))
        group.end = len(self._text)

    def _foreign(self, media_type: str) -> str:
        """Returns what shows that the file is something else than a robots.txt: a start tag, or the failure's name.

        The name is in lower case, however the page is written.
        """
        markup = _MARKUP.match(self._text, 0, 4096)
        name = "text/html" if media_type == "text/html" else "html"
        if markup:
            tag = readable(markup[1])
            return tag if name in tag else name
        if self.groups or not self._text.strip():
            return ""
        if media_type in _HTML_TYPES:
            return name if _NOT_IN_FORM.search(self._text) else ""
        return "" if _IN_FORM.search(self._text) else "malformed"

    def where(self, line: Line) -> str:
        """Returns the number of a line, counted from 1."""
        number = self._text.count(b"\n", 0, line.start) + 1
        return f"line {number}"

    def quote(self, line: Line) -> str:
        """Returns the line as served, without the comment and the white space around it."""
        end = self._text.find(b"\n", line.start)
        served = self._text[line.start : end if end >= 0 else None]
        return readable(served.partition(b"#")[0].strip(b" \t"))

    def names(self, agent: str) -> bool:
        """Returns whether a group names this product token, never mind ``*``."""
        return agent.lower().encode() in self._by_name

    def _groups_for(self, agent: str) -> list[tuple[Group, int]]:
        """Returns the groups that hold for a product token: all that name it, else all for ``*`` (RFC 9309 2.2.1)."""
        return self._by_name.get(agent.lower().encode()) or self._by_name.get(b"*", [])

    def rules_for(self, agent: str) -> Rules:
        """Returns the rules of those groups as one."""
        if agent not in self._rules:
            groups = self._groups_for(agent)
            key = tuple(group.start for group, _ in groups)
            if key not in self._shared:
                self._shared[key] = Rules(chain.from_iterable(group.rules for group, _ in groups))
            self._rules[agent] = self._shared[key]
        return self._rules[agent]

    def number_of_rules(self, agents: Iterable[str]) -> int:
        """Returns how many rules hold for these product tokens; those that are named together count once."""
        groups = (self._groups_for(agent) for agent in agents)
        return sum({tuple(g.start for g, _ in own): sum(len(g.rules) for g, _ in own) for own in groups}.values())

    def records(self, key: str, agent: str) -> Iterator[Line]:
        """Yields the records with this key in those groups that are not rules (RFC 9309 2.2.4), in any case of letters.

        Such a record does not part user-agent lines in a row, but is only for those before it.
        """
        start = end = 0
        for group, named_at in self._groups_for(agent):
            if named_at != end:
                yield from self._others(key, start, end)
                start = named_at
            end = group.end
        yield from self._others(key, start, end)

    def ungrouped(self, key: str) -> Iterator[Line]:
        """Returns the records with this key before the first user-agent line, which are in no group."""
        return self._others(key, 0, self.groups[0].start if self.groups else len(self._text))

    def elsewhere(self, key: str, agent: str) -> Iterator[Line]:
        """Yields the records with this key that are not for this token, in other groups or in none.

        There are none if a group names the token, since only that group is for it.
        """
        if self.names(agent):
            return
        own = {line.start for line in self.records(key, agent)}
        yield from (line for line in self._others(key, 0, len(self._text)) if line.start not in own)

    def unreal_names(self) -> Iterator[str]:
        """Returns names in User-agent lines that are kinds of crawlers, not product tokens: ``*AI*``, ``AI bots``."""
        return (name.decode() for name in self._by_name if _KIND.fullmatch(name))

    def crawl_delay(self, agent: str) -> float:
        """Returns the largest Crawl-delay of those groups, in seconds; 0 if there is none. Not part of RFC 9309."""
        values = (line.value for line in self.records("crawl-delay", agent))
        return max((float(value) for value in values if _SECONDS.fullmatch(value)), default=0.0)

    def sitemaps(self) -> Iterator[str]:
        """Returns the values of all Sitemap lines, whatever their group."""
        return (readable(line.value) for line in self._others("sitemap", 0, len(self._text)))

    def _others(self, key: str, start: int, end: int) -> Iterator[Line]:
        for record in _other(key).finditer(self._text, start, end):
            yield Line(record.start(), key.encode(), record[1].rstrip(b" \t"))


# No token of one crawler: it has a star, or a blank or hyphen before what kind of crawlers it means.
_KIND = re.compile(
    rb"\*[a-z0-9 -]*[a-z][a-z0-9 -]*\*?|(?:all[ -])?(?:gen(?:erative)?[ -]?)?(?:ai|llms?|gpt)"
    rb"(?:\*|[ -](?:bots?|crawlers?|scrapers?|training)\*?)"
)
_SECONDS = re.compile(rb"\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}")


@lru_cache
def _other(key: str) -> re.Pattern[bytes]:
    source = rb"^[ \t]*+" + re.escape(key.encode()) + rb"[ \t]*+:[ \t]*+([^#\n]*+)"
    return re.compile(source, re.IGNORECASE | re.MULTILINE)


def parse(capture: Capture) -> RobotsTxt:
    """Returns the file in a capture; parsed once for each capture."""
    file: RobotsTxt | None = capture.memo.get("robots.txt")
    if file is None:
        file = capture.memo["robots.txt"] = RobotsTxt(capture)
    return file


def _names(value: bytes) -> set[bytes]:
    """Returns what a User-agent line names, in lower case.

    ``*`` alone or before white space is everybody. Else the leading run of letters, ``-`` and ``_`` is the product
    token: ``ForbearBot/2.0`` and ``ForbearBot Images`` name ForbearBot. Tokens outside the grammar (``AI2Bot``,
    ``Kangaroo Bot``) are known by the whole value up to a slash.
    """
    if value == b"*" or value[:2] in (b"* ", b"*\t"):
        return {b"*"}
    whole = value.partition(b"/")[0].strip(b" \t").lower()
    token = _TOKEN.match(value)
    return {name for name in (token[0].lower() if token else b"", whole) if name not in (b"", b"*")}
