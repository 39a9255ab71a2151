"""Reads the property ``plus:DataMining`` in the XMP of images, sound, video and documents.

The property covers the file that carries it, not the pages that show the file. A file that is cut off, or whose
metadata cannot be read, defers in both profiles.

IPTC Photo Metadata 2025.1, Data Mining; PLUS LDF 2.0.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from forbear.optout.captures import Hop
from forbear.optout.model import (
    AI_USES,
    EVERY_USE,
    IN_STRICT,
    NEVER,
    Capture,
    Gap,
    Preference,
    Reading,
    Statement,
    StatementStatus,
)
from forbear.optout.readers import c2pa_store, embedded_xmp
from forbear.optout.readers.c2pa_store import Manifest
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.properties import MAX_PROPERTIES, Property
from forbear.optout.readers.text import readable
from forbear.optout.readers.xmp import PLUS, Packet

NAME = "iptc"
PLACES: tuple[str, ...] = ()

# ExifTool wrote the code alone before version 12.67.
_CODE = re.compile(r"(?:https?://ns\.useplus\.org/ldf/vocab/)?DMI-([A-Z-]+)")
_METADATA = re.compile(r"(?:c2pa|cawg)\.metadata(?:__\d+)?|stds\.iptc(?:\.\w+)*(?:__\d+)?")
_POINTER = "It points to constraints that people have to read; until they have, it is a prohibition."

# What a value says no to. One that makes no exception for search engines prohibits their mining too: another value
# of the vocabulary is there for that exception.
_PROHIBITED = {
    "PROHIBITED": EVERY_USE,
    "PROHIBITED-AIMLTRAINING": AI_USES,
    "PROHIBITED-GENAIMLTRAINING": AI_USES,
    "PROHIBITED-EXCEPTSEARCHENGINEINDEXING": AI_USES,
    "PROHIBITED-SEECONSTRAINT": EVERY_USE,
    "PROHIBITED-SEEEMBEDDEDRIGHTSEXPR": EVERY_USE,
    "PROHIBITED-SEELINKEDRIGHTSEXPR": EVERY_USE,
}
_OTHER = {"ALLOWED": Preference.ALLOW, "UNSPECIFIED": Preference.UNKNOWN}
MAX_CONSTRAINT = 500
"""Characters of other constraints that are reported."""


def read(hop: Hop) -> Reading:
    """Yields what the file says about itself, in each of its packets: all of it adds up."""
    page = hop.page
    if page is None:
        return
    found = embedded_xmp.read(page)
    reported: set[str] = set()
    for packet in found.packets:
        try:
            yield from _said(packet, page, reported)
        except Unreadable as error:
            yield Gap(NAME, "unreadable", page.url, packet.where, str(error))
    for failure in found.failures:
        yield Gap(NAME, "unreadable", page.url, "XMP", failure)
    for store in c2pa_store.embedded(page).stores:
        for item in _in_manifest(store.manifests[store.active]):
            yield from _statement(item, "", page)


def _said(packet: Packet, page: Capture, reported: set[str]) -> Iterator[Statement | Gap]:
    """Yields what no packet before it says: a file may have hundreds that say the same."""
    properties = list(packet.properties((PLUS,)))
    constraints = [item.value for item in properties if item.name == "OtherConstraints"]
    for item in properties:
        if item.name == "DataMining" and item.value not in reported:
            reported.add(item.value)
            if len(reported) > MAX_PROPERTIES:
                raise Unreadable(f"The file makes more than {MAX_PROPERTIES} statements.")
            yield from _statement(item, "; ".join(constraints)[:MAX_CONSTRAINT], page)


def _in_manifest(manifest: Manifest) -> Iterator[Property]:
    """Yields the property in metadata assertions (CAWG Metadata 1.1, C2PA 2.2 18.17): JSON-LD with XMP's names."""
    for label, assertion in manifest.assertions.items():
        if not (_METADATA.fullmatch(label) and isinstance(assertion, dict)):
            continue
        context = assertion.get("@context")
        prefixes = [key for key, uri in context.items() if uri == PLUS] if isinstance(context, dict) else ["plus"]
        for prefix in prefixes:
            value = assertion.get(f"{prefix}:DataMining")
            text = value.get("@id") if isinstance(value, dict) else value
            if text is not None:
                written = text.strip() if isinstance(text, str) else json.dumps(text)
                yield Property("DataMining", written, readable(written.encode()), f"{manifest.label}, {label}")


def _statement(item: Property, constraints: str, page: Capture) -> Iterator[Statement | Gap]:
    match = _CODE.fullmatch(item.value)
    code = match[1] if match else ""
    if code in _PROHIBITED:
        note = f"{_POINTER} {constraints}".strip() if "-SEE" in code else ""
        yield Statement(NAME, Preference.DISALLOW, item.quote, page.url, item.where, _PROHIBITED[code], note=note)
    elif code in _OTHER:
        yield Statement(NAME, _OTHER[code], item.quote, page.url, item.where, EVERY_USE)
    elif not item.value:
        yield Gap(NAME, "malformed", page.url, item.where, "The property has no value.", IN_STRICT)
    else:
        yield Statement(
            NAME, Preference.DISALLOW, item.quote, page.url, item.where, EVERY_USE, StatementStatus.MALFORMED
        )
        yield Gap(NAME, item.quote, page.url, item.where, "The PLUS vocabulary does not know this value.", NEVER)
