"""Which answers may cost a reader much: they are better read in a process of their own, with limits."""

from __future__ import annotations

import re

from optout import representation
from optout.model import Capture

LIGHT = 1 << 20
"""Octets up to which a page or a text file is light: every reader of these takes linear time."""

_HEAD = 1024
# WHATWG MIME Sniffing 3: what stands in no text. Pictures, archives, PDF in the main and C2PA stores have it.
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]|%PDF-")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_TEXT = re.compile(r"text/(?!xml$).*|application/(?:(?:x-)?javascript|(?:.*\+)?json)")


def is_heavy(capture: Capture) -> bool:
    """Whether readers of binary or nested formats may be at work on an answer (images, PDF, archives, XML), or on much.

    It is told from the length, the first octets and what the answer is read as. HTML that looks like text is light.
    """
    head = capture.body[:_HEAD]
    if len(capture.body) > LIGHT or _BINARY.search(head):
        return True
    readings = representation.of(capture).readings
    if not all(map(_TEXT.fullmatch, readings)):
        return bool(head)
    return representation.HTML not in readings and _MARKUP.match(head) is not None
