"""Parses JSON (RFC 8259) with the position of each member in the source, so that a member can be quoted as written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from forbear.optout.readers.errors import Unreadable

_TOKEN = re.compile(r'[ \t\r\n]*([{}\[\],:]|"(?:[^"\\]++|\\.)*+"|[^\s{}\[\],:"]++)')


@dataclass(slots=True)
class Member:
    """A member of an object; ``start`` and ``end`` enclose its name, the colon and the value."""

    name: str
    value: Value
    start: int
    end: int


@dataclass(slots=True)
class Object:
    """An object with all of its members, also those of the same name, in order."""

    members: list[Member] = field(default_factory=list)

    def all(self, name: str) -> list[Member]:
        """Returns the members of this name: one, none, or several (RFC 8259 4)."""
        return [member for member in self.members if member.name == name]


Value = Object | list["Value"] | str | int | float | bool | None


def parse(text: str) -> Value:
    """Returns the value of a JSON text; a byte order mark is skipped (RFC 8259 8.1). Raises Unreadable."""
    try:
        # Python's own parser decides what JSON is; what follows may then trust the text.
        json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
        tokens = _TOKEN.finditer(text, text.startswith("\ufeff"))
        return _value(next(tokens), tokens)[0]
    except RecursionError:
        raise Unreadable("It is nested too deeply to be read.") from None
    except ValueError as error:
        raise Unreadable(f"It is not JSON: {error}.") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _value(match: re.Match[str], tokens: Iterator[re.Match[str]]) -> tuple[Value, int]:
    """Returns the value that begins with this token, and the offset of its end."""
    if match[1] == "[":
        items: list[Value] = []
        while (match := next(tokens))[1] != "]":
            if match[1] != ",":
                items.append(_value(match, tokens)[0])
        return items, match.end()
    if match[1] != "{":
        value: Value = json.loads(match[1])
        return value, match.end()
    members: list[Member] = []
    while (match := next(tokens))[1] != "}":
        if match[1] != ",":
            next(tokens)  # the colon
            value, end = _value(next(tokens), tokens)
            members.append(Member(json.loads(match[1]), value, match.start(1), end))
    return Object(members), match.end()
