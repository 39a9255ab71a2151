"""Reads a list that people keep as CSV: a header line, then one entry a line, so that an entry can be quoted."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from forbear.optout.readers.text import readable, to_utf8


class BadList(ValueError):
    """A list that cannot be read; the message says which line and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list; ``fields`` are its values by column, ``title`` names the list in messages."""

    title: str
    number: int
    line: str
    fields: dict[str, str]

    def bad(self, what: str) -> BadList:
        """Returns the error for this line."""
        return _bad(self.title, self.number, what)

    def day(self, column: str) -> date | None:
        """Returns the date in a column, or nothing if the column is empty; raises BadList."""
        try:
            return date.fromisoformat(self.fields[column]) if self.fields[column] else None
        except ValueError:
            raise self.bad("write dates as 2026-11-24") from None


def rows(body: bytes, columns: Sequence[str], title: str) -> Iterator[Row]:
    """Yields the lines of a list with exactly these columns, blank lines aside; raises BadList."""
    header, *lines = readable(to_utf8(body)).split("\n")
    if _values(header) != list(columns):
        raise BadList(f"{title[0].upper()}{title[1:]} must begin with the line {','.join(columns)}")
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        values = _values(line.rstrip("\r"))
        if len(values) != len(columns):
            what = f"{len(columns)} fields are needed ({','.join(columns)}), with every quotation mark closed"
            raise _bad(title, number, what)
        yield Row(title, number, line.rstrip("\r"), dict(zip(columns, values, strict=True)))


def _bad(title: str, number: int, what: str) -> BadList:
    return BadList(f"Line {number} of {title}: {what}")


def _values(line: str) -> list[str]:
    try:
        return [value.strip() for value in next(csv.reader([line], strict=True), [])]
    except csv.Error:
        return []
