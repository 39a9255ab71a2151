"""Title, language and main text of a page, for the table of the corpus (WHATWG HTML; resiliparse)."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from forbear.crawler.limits.workers import TooCostly
from forbear.optout.readers import representation
from forbear.optout.readers.errors import Unreadable

if TYPE_CHECKING:
    from forbear.crawler.limits.bounded import BoundedReader
    from forbear.optout.model import Capture
    from forbear.optout.readers.representation import Representation

logger = logging.getLogger(__name__)

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_LONGEST_TITLE = 1000
_MOST_TAGS = 40_000
"""Tags; a larger page gets no main text: finding it takes tags times depth, a second at this size."""
_FEW_TAGS, _FEW_OCTETS = 4_000, 262_144
"""Below this many tags and bytes, a page is cheap to parse in any order."""
_MOST_OPTIONS = 20_000
_MOST_ATTRIBUTES = 500


class Text(NamedTuple):
    """The readable content of a page. ``title`` and ``language`` (BCP 47) are None if the page states none.

    ``text`` is empty if the page has none (a picture), and None if it could not be read.
    """

    title: str | None
    language: str | None
    text: str | None


def extract(capture: Capture, reader: BoundedReader | None = None) -> Text:
    """Returns title, declared language and main text; all text of a page without main content. Never raises.

    With a reader, a heavy page is read by a worker, and has no text if that is given up.
    """
    known = representation.of(capture)
    if reader and known.is_page:
        try:
            return reader.read(extract, capture)
        except TooCostly as reason:
            logger.warning("No text was read from %s: %s", capture.url, reason)
            return Text(None, None, None)
    language = _language(*capture.header("content-language"))
    try:
        if known.is_page:
            return _of_page(known, language)
        return Text(None, language, known.text if known.media_type == "text/plain" else "")
    except Unreadable as reason:
        logger.info("No text was read from %s: %s", capture.url, reason)
    except Exception:  # the page is in the WARC file even if no text can be extracted
        logger.warning("No text could be read from %s", capture.url, exc_info=True)
    return Text(None, language, None)


def _of_page(known: Representation, language: str | None) -> Text:
    tree = HTMLTree.parse(_tidied(known))
    root = tree.document.query_selector("html") if tree.document else None
    declared = _language(root.getattr("lang") or "") if root else None
    title = " ".join((tree.title or "").split())[:_LONGEST_TITLE]
    main = known.source.count(b"<") <= _MOST_TAGS
    text = extract_plain_text(tree, main_content=True, alt_texts=False).strip() if main else ""
    return Text(title or None, declared or language, text or extract_plain_text(tree, alt_texts=False).strip())


def _tidied(known: Representation) -> str:
    """Returns the page in a form that resiliparse parses in linear time.

    Its time grows with the square of open elements that are misnested, of options, and of attributes on an element;
    the tree of the standard, written out, has no misnesting. Raises Unreadable.
    """
    if known.source.count(b"<") <= _FEW_TAGS and len(known.source) <= _FEW_OCTETS:
        return known.text
    options = 0
    for node in known.document.iter_elements():
        options += node.tag == "option"
        if options > _MOST_OPTIONS or len(node.attrs) > _MOST_ATTRIBUTES:
            most = f"{_MOST_OPTIONS} options, or {_MOST_ATTRIBUTES} attributes at one element"
            raise Unreadable(f"The page has more than {most}.")
    return known.document.serialize()


def _language(*declared: str) -> str | None:
    """Returns a language tag; None for several, none, or an invalid one."""
    tag = declared[0].strip() if len(declared) == 1 else ""
    return tag if _LANGUAGE.fullmatch(tag) else None
