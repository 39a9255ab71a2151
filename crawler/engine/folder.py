"""Reads a folder of files as the web will serve it, before it is published and without a network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from forbear.optout.model import Capture
from forbear.optout.readers import url as urls

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = {
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".txt": "text/plain",
    ".json": "application/json",
    ".xml": "application/xml",
}
_PAGES = frozenset({".html", ".htm", ".xhtml"})
_INDEX = frozenset({"index.html", "index.htm"})
MAX_OCTETS = 16 * 1024 * 1024
"""Larger files are left out: nobody reads them for reservations."""


@dataclass(frozen=True, slots=True)
class PublishedFolder:
    """Captures of all files, those that are pages, and the file that each URL comes from, relative to the folder."""

    captures: tuple[Capture, ...]
    pages: tuple[Capture, ...]
    files: dict[str, str]


def published(folder: Path, address: str) -> PublishedFolder:
    """Reads the files of a folder that will have this address. Raises OSError, and NotAUrl for a bad address.

    ``index.html`` is served for its folder. Hidden folders are left out, except ``.well-known``.
    """
    base = urls.parse(address if address.endswith("/") else f"{address}/").href
    captures: list[Capture] = []
    pages: list[Capture] = []
    files: dict[str, str] = {}
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        shown = name.removesuffix(path.name) if path.name in _INDEX else name
        headers = (("Content-Type", _TYPES[path.suffix.lower()]),)
        capture = Capture(urls.parse(base + quote(shown)).href, 200, headers, path.read_bytes())
        files[capture.url] = name
        captures.append(capture)
        if path.suffix.lower() in _PAGES:
            pages.append(capture)
    return PublishedFolder(tuple(captures), tuple(pages), files)


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder, onerror=_fail):
        folders[:] = sorted(name for name in folders if name == ".well-known" or not name.startswith("."))
        for name in sorted(names):
            path = Path(here, name)
            if path.suffix.lower() in _TYPES and path.is_file() and path.stat().st_size <= MAX_OCTETS:
                yield path


def _fail(error: OSError) -> None:
    raise error
