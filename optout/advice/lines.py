"""Splits a robots.txt or ai.txt into lines with their groups, including lines that no crawler understands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from forbear.optout.model import Capture
from forbear.optout.readers.robots_txt import LIMIT
from forbear.optout.readers.text import readable, to_utf8

_RECORD = re.compile(r"([^:]*?)\s*:\s*(.*)", re.DOTALL)
_RULES = frozenset({"allow", "disallow"})
_ALSO_RULES = re.compile(r"dis+al+\w*")


@dataclass(frozen=True, slots=True)
class Record:
    """A line that is neither blank nor a comment, without its comment.

    ``key`` is in lower case, and empty if there is no colon; ``group`` counts from 0, and is -1 before the first
    User-agent line.
    """

    number: int
    text: str
    key: str
    value: str
    group: int

    @property
    def where(self) -> str:
        """Returns its number, as quotations have it."""
        return f"line {self.number}"


@dataclass(frozen=True, slots=True)
class Lines:
    """A file's records, and the names in lower case that each of its groups begins with."""

    source: str
    records: tuple[Record, ...]
    groups: tuple[frozenset[str], ...]

    def agents(self, record: Record) -> frozenset[str]:
        """Returns the crawlers that a record is for; none before the first User-agent line."""
        return self.groups[record.group] if record.group >= 0 else frozenset()

    def end_of_general_group(self) -> Record | None:
        """Returns the last rule of the first group for everybody: every parser gives that group a line after it."""
        general = [record for record in self.records if "*" in self.agents(record)]
        first = [record for record in general if record.group == general[0].group]
        return next((r for r in reversed(first) if r.key in _RULES or r.key == "user-agent"), None)


def lines(capture: Capture) -> Lines:
    """Returns the lines of a file, of as much as crawlers read of it."""
    text = readable(to_utf8(capture.body[:LIMIT]))
    records: list[Record] = []
    groups: list[set[str]] = []
    closed = True
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        match = _RECORD.fullmatch(words)
        key, value = (match[1].lower(), match[2]) if match else ("", words)
        if key == "user-agent":
            if closed:
                groups.append(set())
            groups[-1].add(value.partition("/")[0].strip().lower())
        closed = key in _RULES or bool(_ALSO_RULES.fullmatch(key)) or (closed and key != "user-agent")
        records.append(Record(number, words, key, value, len(groups) - 1))
    return Lines(capture.url, tuple(records), tuple(map(frozenset, groups)))
