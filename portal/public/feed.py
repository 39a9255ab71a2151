"""Writes the changes of the card as an Atom feed (RFC 4287)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from forbear.portal.public.publishing import describe_changes
from forbear.portal.web.context import Portal
from forbear.storage.accounts.cards import Version

ATOM = "http://www.w3.org/2005/Atom"


def feed(portal: Portal, versions: Sequence[Version]) -> bytes:
    """Returns the feed of these versions, newest first; the oldest only serves to compare the next with."""
    ET.register_namespace("", ATOM)
    root = ET.Element(f"{{{ATOM}}}feed")
    address = portal.address("/crawlers/feed.atom")
    _add(root, "id", address)
    _add(root, "title", f"Crawlers of {portal.settings.name}")
    _add(root, "updated", versions[0].published_at.isoformat(timespec="seconds"))
    _add(root, "link", rel="self", href=address)
    _add(root, "link", rel="alternate", href=portal.address("/crawlers"))
    _add(ET.SubElement(root, f"{{{ATOM}}}author"), "name", portal.settings.name)
    for version, before in zip(versions, [*versions[1:], None], strict=True):
        entry = ET.SubElement(root, f"{{{ATOM}}}entry")
        _add(entry, "id", f"urn:uuid:{version.id}")
        _add(entry, "title", "Our crawlers have changed" if before else "Our crawlers are published")
        _add(entry, "updated", version.published_at.isoformat(timespec="seconds"))
        _add(entry, "link", rel="alternate", href=portal.address(f"/crawlers/changes#{version.id}"))
        lines = describe_changes(before, version) if before else ["The first version of this card."]
        _add(entry, "content", "\n".join((*lines, f"SHA-256 of the card: {version.digest}")), type="text")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> None:
    child = ET.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
    child.text = "".join(c for c in text if c.isprintable() or c == "\n") or None
