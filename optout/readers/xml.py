"""XML from strangers: no network, no external entities, no entity bombs (XML 1.0, fifth edition)."""

from __future__ import annotations

from lxml import etree

from optout.readers.unreadable import Unreadable


def parse(octets: bytes) -> etree._Element:
    """The root element of a well-formed document; raises Unreadable."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        return etree.fromstring(octets, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"It is no well-formed XML: {error}.") from None
