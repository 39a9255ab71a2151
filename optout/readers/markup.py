"""Reads HTML as a flat run of tags with their source (WHATWG HTML 13.2.5), in time linear in the page.

How it works. A browser builds a tree and drops tags that may not be where they are; simpler readers, such as those of
many crawlers, obey them all the same. ``html`` has the tree of the standard; this module shows what a simple reader
sees, so that a reservation in either counts. One regular expression takes one token at a time: a comment, a
declaration, a start or an end tag. Its quantifiers are possessive: what one part has consumed is never given back, so
each byte is looked at once and an unclosed quote cannot make the search quadratic.

Three things need more than one token:

- script, style, title and textarea hold text, not markup, up to their end tag (13.2.5.2 to 13.2.5.4). Within select,
  svg and math readers disagree on that, so there their contents are taken as markup.
- A template's contents are not part of the page (4.12.3), unless the template is never closed or something closes it
  that old readers would not: from then on nothing is hidden.
- A tag that the end of the file cuts off is not a tag.

>>> page = b'<!-- <meta name=a> --><select><meta name=robots content="noai"></select><title><b></title>'
>>> [(tag.name, tag.attributes) for tag in tags(page) if not tag.is_end]
[(b'select', b''), (b'meta', b' name=robots content="noai"'), (b'title', b'')]

In doubt there is more markup rather than less: a tag too many can only reserve.
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
# 13.2.5.40: a slash between attributes counts as white space. A tag that the file cuts off matches too, up to its end.
TAG = rb"([a-zA-Z][^" + _W + rb"/>]*+)((?:[" + _W + rb"/]++|" + _NAME + rb"(?:" + _VALUE + rb")?+)*+)(?:>|\Z)"
# 13.2.5.42 to 13.2.5.52: comments end at -->, at --!>, or at once (<!-->); 13.2.5.41: <!, <? and </ with anything else.
_TOKEN = re.compile(rb"<(?:!--(?:-?>|.*?(?:--!?>|\Z))|[!?][^>]*+(?:>|\Z)|(/?)" + TAG + rb"|/[^>]*+(?:>|\Z))", re.DOTALL)

# 13.2.5.2 (RCDATA), 13.2.5.3 (RAWTEXT), 13.2.5.4 (script data): elements without markup, and what ends them.
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
    """Tracks open templates (HTML 4.12.3), up to one that readers close differently."""

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
