"""Renders the operator's own Markdown (CommonMark 0.31): HTML in it stays text, and no image is loaded.

Headings, lists, quotations, code, emphasis and links have their meaning in every form of a document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

_HEADING = 3
"""The HTML level of a first-level heading, below the titles of document and section."""


@dataclass(frozen=True, slots=True)
class TextRun:
    """Words in one style."""

    text: str
    style: str = ""
    """strong, emphasis, code, or empty."""


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph; ``kind`` is text, heading, quote or code. In a list, it has a ``marker`` and a ``depth``."""

    kind: str
    depth: int
    marker: str
    runs: tuple[TextRun, ...]


def _alternative(_self: object, tokens: Sequence[Token], number: int, _options: object, _env: object) -> str:
    return escape(tokens[number].content)


_markdown = MarkdownIt("commonmark", {"html": False})
_markdown.add_render_rule("image", _alternative)

_STYLES = {"strong_open": "strong", "em_open": "emphasis"}


def html(text: str) -> str:
    """Returns the text as HTML that neither runs nor loads anything."""
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type.startswith("heading"):
            token.tag = f"h{min(6, int(token.tag[1]) + _HEADING - 1)}"
    made: str = _markdown.renderer.render(tokens, _markdown.options, {})
    return made


def lines(text: str) -> Iterator[Line]:
    """Returns the text as paragraphs for formats without HTML; a link's address follows its words."""
    lists: list[int | None] = []
    kind, marker = "text", ""
    for token in _markdown.parse(text):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            lists.append(int(token.attrs.get("start", 1)) if token.tag == "ol" else None)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
        elif token.type == "list_item_open":
            marker = f"{token.info}." if token.info else "•"
        elif token.type in ("blockquote_open", "heading_open"):
            kind = token.type.removesuffix("_open").replace("block", "")
        elif token.type in ("blockquote_close", "heading_close"):
            kind = "text"
        elif token.type in ("fence", "code_block"):
            yield Line("code", len(lists), marker, (TextRun(token.content.rstrip("\n"), "code"),))
            marker = ""
        elif token.type == "inline":
            yield Line(kind, len(lists), marker, tuple(_runs(token.children or [])))
            marker = ""


def _runs(tokens: Sequence[Token]) -> Iterator[TextRun]:
    styles: list[str] = []
    links: list[str] = []
    for token in tokens:
        if token.type in _STYLES:
            styles.append(_STYLES[token.type])
        elif token.type in ("strong_close", "em_close"):
            styles.pop()
        elif token.type == "link_open":
            links.append(str(token.attrs["href"]))
        elif token.type == "link_close":
            yield TextRun(f" ({links.pop()})")
        elif token.type == "code_inline":
            yield TextRun(token.content, "code")
        else:
            words = {"softbreak": " ", "hardbreak": "\n"}.get(token.type, token.content)
            yield TextRun(words, styles[-1] if styles else "")


def to_json(text: str) -> list[dict[str, Any]]:
    """Returns the paragraphs for Typst."""
    return [
        {
            "kind": line.kind,
            "depth": line.depth,
            "marker": line.marker,
            "runs": [{"text": run.text, "style": run.style} for run in line.runs],
        }
        for line in lines(text)
    ]
