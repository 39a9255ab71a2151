"""XML from strangers: no network, no external entities, no entity bombs (XML 1.0, fifth edition)."""

from __future__ import annotations

import re

from lxml import etree

from optout.readers.unreadable import Unreadable

# Who can read this declaration as ASCII has a document that is not, or no longer (text.to_utf8), in such an encoding.
_NOT_SO = re.compile(rb"<\?xml[^>]*?\bencoding\s*=\s*[\"'](?:utf-?16|ucs-?2|iso-10646-ucs-2)", re.IGNORECASE)


def parse(octets: bytes) -> etree._Element:
    """The root element of a well-formed document; raises Unreadable."""
    encoding = "utf-8" if _NOT_SO.match(octets) else None
    parser = etree.XMLParser(
        encoding=encoding, resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False
    )
    try:
        return etree.fromstring(octets, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"It is no well-formed XML: {error}.") from None
