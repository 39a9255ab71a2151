"""Reads the meta elements of a page that proves control; runs in a worker, so it imports little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forbear.optout.readers import representation
from forbear.optout.readers.errors import Unreadable

if TYPE_CHECKING:
    from forbear.optout.model import Capture


def contents_of(capture: Capture, name: str) -> list[str]:
    """Returns the contents of all meta elements of a name; none for a page that cannot be parsed."""
    try:
        known = representation.of(capture)
        metas = known.document.iter_elements("meta") if known.is_page else ()
    except Unreadable:
        return []
    named = [meta for meta in metas if (meta.attr("name") or "").strip().lower() == name]
    return [(meta.attr("content") or "").strip() for meta in named]
