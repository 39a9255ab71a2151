"""Documents: paragraphs, fields and tables, with visible gaps for what nobody has filled in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Open:
    """A gap that only a person can fill; ``ask`` is what is missing and where to write it."""

    ask: str


Text = str | Open


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; ``source`` is what it rests on: mechanism and tests, a table of the log, an attestation.

    With ``markdown``, it is the operator's own text in CommonMark (forbear.reports.markup).
    """

    text: Text
    source: str = ""
    markdown: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A question and its answer, as a form has them; ``key`` names it for software, ``source`` what it rests on."""

    key: str
    label: str
    value: Text
    source: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under the names of their columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    title: str = ""


Block = Paragraph | Field | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, the blocks below it, and its subsections."""

    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole document. ``about`` are facts for its head (name and value); ``made`` is its time, RFC 3339."""

    kind: str
    title: str
    made: str
    about: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = field(default=())

    @property
    def digest(self) -> str:
        """Returns the SHA-256, in hexadecimal, of its JSON form without the time at which it was made."""
        content = to_json(self)
        del content["made"]
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def open_points(self) -> Iterator[tuple[str, str]]:
        """Yields every gap: the section's title and what is missing."""
        for section in self.sections:
            yield from _open_in(section)

    def fields(self) -> Iterator[Field]:
        """Yields every field, in order."""
        for section in self.sections:
            yield from _fields_in(section)


def _open_in(section: Section) -> Iterator[tuple[str, str]]:
    for block in section.blocks:
        cells: list[Text] = []
        if isinstance(block, Paragraph):
            cells = [block.text]
        elif isinstance(block, Field):
            cells = [block.value]
        else:
            cells = [cell for row in block.rows for cell in row]
        yield from ((section.title, cell.ask) for cell in cells if isinstance(cell, Open))
    for inner in section.sections:
        yield from _open_in(inner)


def _fields_in(section: Section) -> Iterator[Field]:
    yield from (block for block in section.blocks if isinstance(block, Field))
    for inner in section.sections:
        yield from _fields_in(inner)


def to_json(document: Document) -> dict[str, Any]:
    """Returns the document as JSON; a gap is ``{"open": "what is missing"}``."""
    return {
        "kind": document.kind,
        "title": document.title,
        "made": document.made,
        "about": dict(document.about),
        "sections": [_section(section) for section in document.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "blocks": [_block(block) for block in section.blocks],
        "sections": [_section(inner) for inner in section.sections],
    }


def _block(block: Block) -> dict[str, Any]:
    if isinstance(block, Paragraph):
        return {"text": _text(block.text), "source": block.source} | ({"markdown": True} if block.markdown else {})
    if isinstance(block, Field):
        return {"field": block.key, "label": block.label, "value": _text(block.value), "source": block.source}
    rows = [[_text(cell) for cell in row] for row in block.rows]
    return {"table": block.title, "columns": list(block.columns), "rows": rows}


def _text(text: Text) -> Any:
    return {"open": text.ask} if isinstance(text, Open) else text


def number_of(number: int, what: str) -> str:
    """Formats ``1 page``, ``1,200 pages``."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields the differences of two versions in their JSON form: the place, the old text, the new text."""
    before, after = dict(_flat(old["sections"], "")), dict(_flat(new["sections"], ""))
    for place in dict.fromkeys([*before, *after]):
        if before.get(place) != after.get(place):
            yield place, before.get(place, ""), after.get(place, "")


def _flat(sections: list[dict[str, Any]], above: str) -> Iterator[tuple[str, str]]:
    for section in sections:
        title = f"{above} / {section['title']}".removeprefix(" / ")
        for number, block in enumerate(section["blocks"], 1):
            if "field" in block:
                yield f"{title}: {block['label']}", _value_text(block["value"])
            elif "text" in block:
                yield f"{title}: paragraph {number}", _value_text(block["text"])
            else:
                for row in block["rows"]:
                    yield (
                        f"{title}: {block['table'] or 'table'}: {_value_text(row[0])}",
                        " | ".join(map(_value_text, row)),
                    )
        yield from _flat(section["sections"], title)


def _value_text(text: Any) -> str:
    return f"[open: {text['open']}]" if isinstance(text, dict) else str(text)


def apart(before: str, now: str, around: int = 4) -> tuple[str, str]:
    """Cuts two versions of a text to the part that differs, with some words around it."""
    old, new = before.split(), now.split()
    most = min(len(old), len(new))
    start = next((n for n in range(most) if old[n] != new[n]), most)
    end = next((n for n in range(most - start) if old[-1 - n] != new[-1 - n]), most - start)
    start, end = max(0, start - around), max(0, end - around)

    def cut(words: list[str]) -> str:
        shown = words[start : len(words) - end]
        return " ".join(["…"] * (start > 0) + shown + ["…"] * (end > 0))

    return cut(old), cut(new)
