"""Repairs a robots.txt that RFC 9309 reads otherwise than its author plainly meant; our rule, for ``strict``.

All on one line, ``<br>`` behind each rule, values in quotation marks, a second byte order mark: no crawler obeys such a
line, though what it says is plain. The mended text is read beside the file as served, never instead of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from forbear.optout.model import Capture
from forbear.optout.readers import robots_txt
from forbear.optout.readers.robots_txt import LIMIT, Line, RobotsTxt
from forbear.optout.readers.text import readable, to_utf8

_KEY = r"(?:user[- ]?agent|disallow|allow|crawl-delay|sitemap)"
# White space of other scripts and of word processors, and signs that nobody sees; what ends a line elsewhere.
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\t]|&nbsp;")
_SPACE = re.compile(r"[ \t]+")
_UNSEEN = re.compile("[\ufeff\u200b-\u200f\u2060\u00ad]")
_LINE_ENDS = re.compile("\r\n?|[\v\f\x1c-\x1e\u0085\u2028\u2029]")
_MARKUP = re.compile(r"</?(?:br|p|div|pre|li|ul|span|code|font|html|head|body)\b[^<>]{0,200}>", re.IGNORECASE)
_ESCAPES = re.compile(r"(?:\\r)?\\n|\\r")
_BEFORE_KEY = re.compile(rf"(?<![ ;,|])[ ;,|]++(?={_KEY} ?[:\uff1a=])", re.IGNORECASE)
_MARKERS = re.compile(rf"^[ \-*\u2022>.\d)\"'`\u201c\u201e\u00ab]++(?={_KEY} ?[:\uff1a=])", re.IGNORECASE)
_COLON = re.compile(rf"^({_KEY}) ?[\uff1a=]", re.IGNORECASE)
_QUOTATION_MARKS = "\"'`\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019"


@dataclass(frozen=True, slots=True)
class MendedFile:
    """The file that was meant, and for each of its lines the one that it was written on."""

    file: RobotsTxt
    _written: tuple[str, ...]
    _origin: tuple[int, ...]

    def quote(self, line: Line) -> str:
        """Returns the line of the rule as it was written."""
        return self._written[self._number(line) - 1]

    def where(self, line: Line) -> str:
        """Returns the place of a line."""
        return f"line {self._number(line)}"

    def _number(self, line: Line) -> int:
        return self._origin[int(self.file.where(line).removeprefix("line ")) - 1]


def of(capture: Capture) -> MendedFile | None:
    """Returns the mended file, made once for a capture; None for a file that needs no mending."""
    if "robots.mended" not in capture.memo:
        capture.memo["robots.mended"] = _mend(capture)
    mended: MendedFile | None = capture.memo["robots.mended"]
    return mended


def _mend(capture: Capture) -> MendedFile | None:
    written = re.split("\r\n?|\n", to_utf8(capture.body[:LIMIT]).decode("utf-8", "replace"))
    lines: list[str] = []
    origin: list[int] = []
    for number, line in enumerate(written, 1):
        for part in _parts(line):
            lines.append(part)
            origin.append(number)
    if lines == written:
        return None
    file = robots_txt.parse(replace(capture, headers=(), body="\n".join(lines).encode(), memo={}))
    quotes = tuple(readable(line.partition("#")[0].strip(" \t").encode()) for line in written)
    return MendedFile(file, quotes, tuple(origin))


def _parts(line: str) -> list[str]:
    """Returns the lines that one line was meant to be; itself, if it is in form."""
    rule, _, _ = line.partition("#")
    if not rule.strip():
        return [line]
    text = _UNSEEN.sub("", _BLANKS.sub(" ", _LINE_ENDS.sub("\n", rule)))
    text = _BEFORE_KEY.sub("\n", _ESCAPES.sub("\n", _MARKUP.sub("\n", text)))
    parts = [part.strip() for part in text.split("\n") if part.strip()]
    mended = [_value(part) for part in parts]
    return [line] if [_SPACE.sub("", part) for part in mended] == [_SPACE.sub("", rule)] else mended


def _value(part: str) -> str:
    key, colon, value = _COLON.sub(r"\1:", _MARKERS.sub("", part)).partition(":")
    value = value.strip(" ;,") if colon else ""
    if value[:1] and value[0] in _QUOTATION_MARKS:
        value = value.strip(_QUOTATION_MARKS)
    return f"{key}: {value}" if colon else key
