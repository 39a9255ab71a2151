"""Reads ``datatrainingallowed`` in ``/trust.txt``, or else in ``/.well-known/trust.txt``.

The first of the two files that exists counts.

As JournalList added it on 4 April 2024, and as its validator and crawler read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from forbear.optout.captures import Hop
from forbear.optout.model import IN_STRICT, NEVER, Capture, Gap, Preference, Reading, Statement, StatementStatus, Use
from forbear.optout.readers import informal_optouts, representation
from forbear.optout.readers.text import human_size, readable, to_utf8

NAME = "trust-txt"
PLACES: tuple[str, ...] = ("/trust.txt", "/.well-known/trust.txt")
MAX_FILE = 1_048_576
"""A longer trust.txt is not read: 1 MiB after content decoding."""
MOST_STATEMENTS = 64
"""Lines that are listed; the file should have one."""

_LINE = re.compile(rb"^[ \t]*+(datatrainingallowed(?![\w-])[^\r\n]*+)", re.IGNORECASE | re.MULTILINE)
_VALUE = re.compile(r"datatrainingallowed[ \t]*=[ \t]*(yes|no)", re.IGNORECASE)
_MARKUP = re.compile(rb"\s*<")
_PREFERENCES = {"yes": Preference.ALLOW, "no": Preference.DISALLOW}
_TRAINING = frozenset({Use.TRAIN_AI})


def read(hop: Hop) -> Reading:
    """Yields what the first of the two places says that holds a trust.txt."""
    for path in PLACES:
        url = hop.url.origin + path
        capture = yield from hop.look(NAME, url)
        if capture is None and not hop.is_absent(url):
            return
        if capture is None:
            continue
        if NAME not in capture.memo:
            capture.memo[NAME] = tuple(_read(capture))
        yield from capture.memo[NAME]
        if not _is_page(capture):
            return


def _is_page(capture: Capture) -> bool:
    """Returns whether it is a web page and not a trust.txt: many sites answer every path with a page."""
    return (
        not representation.HTML_TYPES.isdisjoint(representation.of(capture).readings)
        or _MARKUP.match(to_utf8(capture.body[:1024])) is not None
    )


def _read(capture: Capture) -> Iterator[Statement | Gap]:
    if _is_page(capture):
        detail = "It is a web page, not a trust.txt."
        yield Gap(NAME, "html", capture.url, "whole file", detail, IN_STRICT)
        return
    if len(capture.body) > MAX_FILE:
        yield Gap(NAME, "too-large", capture.url, "whole file", f"{capture.url} has more than {human_size(MAX_FILE)}.")
        return
    body = re.sub(rb"\r\n?", b"\n", to_utf8(capture.body))
    for number, match in enumerate(_LINE.finditer(body)):
        quote = readable(match[1].rstrip())
        line = body.count(b"\n", 0, match.start()) + 1
        where = f"line {line}"
        if number == MOST_STATEMENTS:
            yield Gap(NAME, quote, capture.url, where, f"The file has more than {MOST_STATEMENTS} such lines.")
            return
        value = _VALUE.fullmatch(quote)
        if value:
            yield Statement(NAME, _PREFERENCES[value[1].lower()], quote, capture.url, where, _TRAINING)
        else:
            detail = "The value of datatrainingallowed is neither yes nor no."
            yield Statement(
                NAME, Preference.DISALLOW, quote, capture.url, where, _TRAINING, StatementStatus.MALFORMED, detail
            )
            yield Gap(NAME, quote, capture.url, where, detail, NEVER)
    for wish in informal_optouts.in_lines(body):
        if not _LINE.match(wish.quote.encode()):
            note = "The attribute is called datatrainingallowed."
            yield Statement(
                NAME, wish.preference, wish.quote, capture.url, wish.where, _TRAINING, StatementStatus.FLAGGED, note
            )
