"""Reads ``Link`` response headers (RFC 8288 3): the targets, each with its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# 3: link values are separated by commas outside of quoted strings.
_LINK = re.compile(r"<([^<>]*+)>((?:\"(?:[^\"\\]|\\.)*+\"|[^\",<])*+)")
_PARAMETER = re.compile(r";\s*+([^\s;=\"]++)\s*+=\s*+(?:\"((?:[^\"\\]|\\.)*+)\"|([^\s;\"]*+))")
_ESCAPED = re.compile(r"\\(.)")  # RFC 9110 5.6.4: quoted-pair


@dataclass(frozen=True, slots=True)
class Link:
    """One link: its target as written, its parameters by name in lower case, and its text in the field."""

    target: str
    parameters: dict[str, str]
    text: str

    @property
    def relations(self) -> list[str]:
        """Returns its relation types, in lower case (3.3)."""
        return self.parameters.get("rel", "").lower().split()


def links(fields: Iterable[str]) -> Iterator[Link]:
    """Yields the links of header fields, in order; the first of several parameters with one name counts (3.3)."""
    for field in fields:
        for link in _LINK.finditer(field):
            parameters: dict[str, str] = {}
            for name, in_quotes, plain in _PARAMETER.findall(link[2]):
                parameters.setdefault(name.lower(), _ESCAPED.sub(r"\1", in_quotes) or plain.strip("'"))
            yield Link(link[1], parameters, link[0])
