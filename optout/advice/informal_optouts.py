"""Finds wishes that no protocol carries to crawlers yet, by patterns of the words that people use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forbear.optout.advice.finding import ROBOTS_TXT, Level, Remark, Site, rule
from forbear.optout.model import Capture
from forbear.optout.protocols import PROTOCOLS
from forbear.optout.readers.text import readable, to_utf8

_SEARCHED = 65_536
"""How many bytes of a file are searched."""

WISHES: tuple[tuple[str, str, str], ...] = (
    ("attribution", r"attribution|credit (?:us|the author)|cite us|namensnennung|source must be (?:named|cited)",
     "RSL can offer a licence on the condition of attribution, and no crawler can agree to it by itself"),
    ("payment", r"\bpay(?:ment|-per-crawl| us)\b|royalt(?:y|ies)|licen[cs]e fee|compensat",
     "RSL can name a price; until somebody pays, it is a reservation and no more"),
    ("inference-only", r"inference[- ]only|only (?:for )?(?:inference|retrieval|grounding)|grounding: *(?:allow|yes)",
     "ai-input=yes beside ai-train=no (Content-Signal) comes near, and few crawlers read it"),
    ("non-commercial", r"non-?commercial|research (?:use )?only|nicht-?kommerziell",
     "a reservation for commercial use alone is made for all, with the exception in a licence (RSL, tdm-policy)"),
    ("conditions", r"training:\s*conditional|(?:prior|written|explicit) (?:permission|consent)|context[- ]preserved",
     "conditions are read by people: reserve, and name a contact in the tdm-policy"),
)  # fmt: skip
"""Name, pattern, and the nearest protocol; a line here adds a wish."""


def _texts(site: Site) -> Iterator[Capture]:
    """Yields the site's own files: what is meant to be read by crawlers."""
    paths = dict.fromkeys(path for protocol in PROTOCOLS for path in protocol.PLACES)
    captures = (site.file(path) for path in paths if path.startswith("/"))
    yield from (c for c in captures if c is not None and not c.body.lstrip().startswith((b"<!", b"<html")))
    for statement in site.statements:
        capture = site.captures.get(statement.source) if statement.protocol == "rsl" else None
        if capture is not None and capture is not site.page:
            yield capture


@rule("wish/no-protocol", Level.NOTE, "-", "Wishes that no protocol carries to crawlers yet.")
def no_protocol(site: Site) -> Iterator[Remark]:
    """Finds wishes about attribution, payment, inference only, non-commercial use."""
    for capture in dict.fromkeys(_texts(site)):
        text = readable(to_utf8(capture.body[:_SEARCHED]))
        if capture is site.file(ROBOTS_TXT):
            text = re.sub(r"^[^#\n]+", "", text, flags=re.MULTILINE)  # its rules name paths, not wishes
        for name, pattern, nearest in WISHES:
            match = re.search(pattern, text, re.IGNORECASE)
            if match:
                message = f"No protocol makes crawlers obey a wish about {name.replace('-', ' ')}: {nearest}."
                where = f"line {text.count(chr(10), 0, match.start()) + 1}"
                yield Remark(message, match[0], capture.url, where)
