"""Recognises answers that may cost a reader much, so that a process with limits can read them."""

from __future__ import annotations

import re

from forbear.optout.model import Capture
from forbear.optout.readers import representation

LIGHT = 1 << 20
"""Bytes up to which a page or a text file is light: every reader of these takes linear time."""

_HEAD = 1024
# WHATWG MIME Sniffing 3: all bytes except those that text never has, but pictures, archives and C2PA stores have.
_OF_TEXT = bytes(sorted({*range(256)} - {*range(9), 11, *range(14, 27), *range(28, 32)}))
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_TEXT = re.compile(r"text/(?!xml$).*|application/(?:(?:x-)?javascript|(?:.*\+)?json)")


def is_heavy(capture: Capture) -> bool:
    """Returns whether an answer may cost a reader much: images, PDF, archives, XML, or great length.

    Judged by the length, the first bytes and what the answer is read as. HTML that looks like text is light.
    """
    head = capture.body[:_HEAD]
    if len(capture.body) > LIGHT or head.translate(None, _OF_TEXT) or b"%PDF-" in head:
        return True
    readings = representation.of(capture).readings
    if not all(map(_TEXT.fullmatch, readings)):
        return bool(head)
    return representation.HTML not in readings and _MARKUP.match(head) is not None
