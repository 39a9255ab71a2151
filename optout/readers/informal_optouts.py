"""Plain wishes about AI training in words of no specification: ``Training: deny``, ``Noai:``, ``*:no-training``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from forbear.optout.model import Preference
from forbear.optout.readers.text import readable, to_utf8

LIMIT = 524_288
"""Bytes of a file that are looked at."""
MOST = 64
"""Wishes that are listed for one file; more of them say the same."""

# Letters of every wish, with the joints that are left out of account between them: what makes a line worth
# reading. A file of a hundred thousand other lines costs next to nothing.
_JOINT = r"[-_. \t\v\f\x1c-\x1f\x80-\xff]*+"
_HINTS = re.compile(
    "|".join(_JOINT.join(letters) for letters in ("ai", "ml", "lm", "tdm", "ning", "scrap", "reserv")).encode(),
    re.IGNORECASE,
)
_SPLIT = re.compile(r"([^:=]{1,60}?)\s*[:=]\s*(.{0,200})")
_JOINTS = re.compile(r"[-_.\s]+")
_PARTS = re.compile(r"[,;|(]|\s+and\s+")

# Everything below is compared without regard to case, blanks, hyphens, underscores and dots.
_WHOSE = r"(?:gen(?:erative)?ai|ai|llms?|ml|models?|data|machinelearning)"
_DEED = r"(?:train(?:ing)?|finetuning|scraping|datamining|textanddatamining|tdm)"
_FIELD = r"train(?:ing)?(?:gen)?ai|(?:gen(?:erative)?)?ai|ml|llms?|machinelearning"
_TOPIC = rf"(?:{_WHOSE}?{_DEED}|{_FIELD})(?:use|usage|bots?|crawlers?)?"
_NO = r"(?:no|not|donot|dont|disallow|deny|block|prohibit|forbid|reject|optout)"
_IS_TOPIC = re.compile(_TOPIC)
_REFUSES = re.compile(rf"{_NO}(?:for)?{_TOPIC}")
_REFUSAL = re.compile(rf"{_NO}(?:purposes?|uses?|usage|for)?")
_PERMISSION = re.compile(r"(?:allow|permit)(?:purposes?|uses?|usage|for)?")
_ASKED = re.compile(rf"(?:allow|permit)?{_TOPIC}(?:allowed|permitted|permission|consent)?")
_RESERVED = re.compile(r"(?:tdm|ai|training)?reserv(?:ation|ed)")
_NEGATIVE = re.compile(
    r"no|n|not|none|never|den(?:y|ied)|disallow(?:ed)?|false|off|0|prohibited|forbidden|block(?:ed)?|reserved"
    r"|not(?:allowed|permitted)|opt(?:ed)?out|reject(?:ed)?"
)
_POSITIVE = re.compile(r"yes|y|allow(?:ed)?|true|on|1|permit(?:ted)?|granted|ok|welcome|free")


@dataclass(frozen=True, slots=True)
class Wish:
    """A line that says no or yes to training; ``line`` counts from 1."""

    preference: Preference
    quote: str
    line: int

    @property
    def where(self) -> str:
        """Returns its place in its file."""
        return f"line {self.line}"


def in_lines(body: bytes) -> Iterator[Wish]:
    """Yields the lines of a text file that hold a wish, MOST at most; comments are none."""
    text = re.sub(rb"\r\n?", b"\n", to_utf8(body[:LIMIT]))
    line = 1
    at = counted = found = 0
    while (hint := _HINTS.search(text, at)) and found < MOST:
        start = text.rfind(b"\n", 0, hint.start()) + 1
        at = text.find(b"\n", hint.start()) + 1 or len(text)
        written = text[start:at].partition(b"#")[0].strip(b" \t\n")
        if len(written) > 300:
            continue
        quote = readable(written)
        preference = in_line(quote)
        if preference is None:
            continue
        line += text.count(b"\n", counted, counted := start)
        yield Wish(preference, quote, line)
        found += 1


@lru_cache(maxsize=1024)
def in_line(text: str) -> Preference | None:
    """Returns what one line wants: ``name: value``, ``name=value``, or words alone (``No AI training``)."""
    match = _SPLIT.fullmatch(text.strip())
    if match is None:
        return Preference.DISALLOW if _REFUSES.fullmatch(_plain(text)) else None
    return of(match[1], match[2])


def of(name: str, value: str) -> Preference | None:
    """Returns what a name with its value wants; nothing where it is not about training, or not plain."""
    key, parts = _plain(name), [_plain(part) for part in _PARTS.split(value)]
    if _RESERVED.fullmatch(key):
        return _yes_or_no(parts[0], yes=Preference.DISALLOW, no=Preference.ALLOW)
    if _REFUSES.fullmatch(key):
        # An empty Disallow shuts nothing (RFC 9309 2.2.2), whatever it is about.
        empty = not parts[0] and key.startswith("disallow")
        return None if empty or parts[0] in ("false", "off", "none", "no", "0", "n") else Preference.DISALLOW
    if any(map(_REFUSES.fullmatch, parts)):
        return Preference.DISALLOW
    if any(map(_IS_TOPIC.fullmatch, parts)):
        if _REFUSAL.fullmatch(key):
            return Preference.DISALLOW
        return Preference.ALLOW if _PERMISSION.fullmatch(key) else None
    if _ASKED.fullmatch(key):
        words = (parts[0], _plain(value.partition(" ")[0]))
        found = (_yes_or_no(word, yes=Preference.ALLOW, no=Preference.DISALLOW) for word in words)
        return next(filter(None, found), None)
    return None


def _plain(text: str) -> str:
    return _JOINTS.sub("", text).strip("\"',").lower()


def _yes_or_no(word: str, *, yes: Preference, no: Preference) -> Preference | None:
    return no if _NEGATIVE.fullmatch(word) else yes if _POSITIVE.fullmatch(word) else None
