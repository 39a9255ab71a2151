"""HTML read as a flat run of tags with their source (WHATWG HTML 13.2.5), in time linear in the page.

The second reader beside the tree of the standard: where the tree leaves an element out, this shows that it was written.
It knows comments, raw text and templates, and nothing of where elements may stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import turbohtml

_W = rb"\t\n\f\r "
# 13.2.5.32 to 13.2.5.39: quotes mean something after an equals sign alone, and an equals sign may begin a name.
_NAME = rb"(?:=[^" + _W + rb"/>=]*+|[^" + _W + rb"/>=]++)"
_VALUE = rb"[" + _W + rb"]*+=[" + _W + rb"]*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^" + _W + rb">]*+)"
TAG = rb"([a-zA-Z][^" + _W + rb"/>]*+)((?:[" + _W + rb"/]++|" + _NAME + rb"(?:" + _VALUE + rb")?+)*+)(?:>|\Z)"
_TOKEN = re.compile(rb"<(?:!--(?:-?>|.*?(?:--!?>|\Z))|[!?][^>]*+(?:>|\Z)|(/?)" + TAG + rb"|/[^>]*+(?:>|\Z))", re.DOTALL)

# What has no markup in it, and how that ends.
_END = {
    name: re.compile(rb"</" + name + rb"(?=[" + _W + rb"/>])", re.IGNORECASE)
    for name in (b"script", b"style", b"title", b"textarea")
}
_TEMPLATE = re.compile(rb"<(/?)template[" + _W + rb"/>]", re.IGNORECASE)
_SELF_CLOSING = re.compile(rb"(?:^|[\"'" + _W + rb"])/\Z")
_GREATER_THAN = ord(">")


class Tag(NamedTuple):
    """A start or end tag; ``start`` and ``end`` are offsets in the source.

    ``name`` is in lower case, ``attributes`` are as written; ``content`` is what an element without markup holds
    (script, title, …); ``inert`` is true within a template.
    """

    name: bytes
    is_end: bool
    attributes: bytes
    start: int
    end: int
    content: bytes = b""
    inert: bool = False

    def attribute(self) -> dict[str, str]:
        """Returns the attributes with character references resolved, names in lower case; the first of a name counts.

        The source is UTF-8. Values are decoded as 13.2.5.73 has it, so that ``?a=1&copy=2`` stays as it is.
        """
        token = next(iter(turbohtml.tokenize(f"<a{self.attributes.decode('utf-8', 'replace')}>")), None)
        return {name: value or "" for name, value in token.attrs or ()} if token else {}


def tags(source: bytes) -> Iterator[Tag]:
    """Yields all tags that are markup: not those in comments, scripts, styles, titles and text areas.

    Where readers of different times differ, more is markup: within a select and in foreign content, in elements that
    only old browsers show (xmp, noframes), and in a template that is never closed.
    """
    at, unusual = 0, {b"select": 0, b"svg": 0, b"math": 0}
    templates = _Templates(source) if _TEMPLATE.search(source) else None
    while match := _TOKEN.search(source, at):
        start, at = match.span()
        slash, written, attributes = match.groups()
        if not written or source[at - 1] != _GREATER_THAN:  # a comment, or a tag that the end of the file cuts off
            continue
        name, is_end, until = written.lower(), bool(slash), at
        if name in unusual and (name == b"select" or not _SELF_CLOSING.search(attributes)):
            unusual[name] = max(0, unusual[name] + (-1 if is_end else 1))
        if name in _END and not is_end and not any(unusual.values()):
            end = _END[name].search(source, at)
            until = end.start() if end else len(source)
        inert = templates is not None and templates.hide(name, is_end, start)
        yield Tag(name, is_end, attributes, start, at, source[at:until], inert)
        at = until


class _Templates:
    """Follows tags into and out of templates (HTML 4.12.3), until one is met that not all readers close alike."""

    def __init__(self, source: bytes) -> None:
        unclosed: list[int] = []
        for match in _TEMPLATE.finditer(source):
            if not match[1]:
                unclosed.append(match.start())
            elif unclosed:
                unclosed.pop()
        self._unclosed = frozenset(unclosed)
        self._hide = True
        self._depth = 0
        self._open: Counter[bytes] = Counter()

    def hide(self, name: bytes, is_end: bool, start: int) -> bool:
        """Takes in a tag; returns whether it is in a template."""
        if name == b"template":
            self._hide = self._hide and start not in self._unclosed
            self._depth = max(0, self._depth - 1) if is_end else self._depth + 1
        elif self._depth:
            # An end tag of something before the template closes that too, where nobody knows templates.
            self._hide = self._hide and not (is_end and not self._open[name])
            self._open[name] += -1 if is_end else 1
        if not self._depth:
            self._open.clear()
        return self._hide and self._depth > 0 and name != b"template"
