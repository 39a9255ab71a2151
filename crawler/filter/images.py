"""Folders of images with metadata: a file for each (NAME.json), or one for all (metadata.jsonl, csv, parquet).

These are the layouts of img2dataset (files) and of Hugging Face's ImageFolder. Each image is checked for reservations
in its own metadata (IPTC, C2PA), besides those of its source.
"""

from __future__ import annotations

import csv
import json
import mimetypes
import os
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from forbear.crawler.files import sync_folder
from forbear.crawler.filter.inputs import BadInput, Item, Source, url_column
from forbear.optout.model import Capture
from forbear.optout.readers import url as urls
from forbear.optout.readers.url import NotAUrl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGES = frozenset({".avif", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".jxl", ".png", ".tif", ".tiff", ".webp"})
_TABLES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_FILE = "file_name"


class Folder(Source):
    """Images below a folder. What is kept is linked into the new one, or copied to another disk."""

    def __init__(self, path: Path, target: Path, column: str | None) -> None:
        super().__init__(path, target)
        self._column = column
        self._table = next((path / name for name in _TABLES if (path / name).exists()), None)
        self._rows = _read(self._table) if self._table else []
        self._urls: dict[str, str] = {}
        if self._table and self._rows:
            names = list(self._rows[0])
            if _FILE not in names:
                raise BadInput(f"{self._table} has no column {_FILE!r}, so no row can be matched with an image")
            wanted = url_column(names, column, self._table)
            self._urls = {str(row[_FILE]): str(row[wanted]) for row in self._rows if row[wanted]}
        self._kept: set[str] = set()

    def items(self) -> Iterator[Item]:
        """Yields images; one without metadata has no URL."""
        shutil.rmtree(self.part, ignore_errors=True)
        self.part.mkdir(parents=True)
        for path in sorted(self.path.rglob("*")):
            if path.suffix.lower() in IMAGES and path.is_file():
                name = path.relative_to(self.path).as_posix()
                url = self._urls.get(name) or self._beside(path)
                body = path.read_bytes()
                yield Item(name, url, capture_of(url, name, body), len(body), path)

    def _beside(self, path: Path) -> str | None:
        try:
            metadata = json.loads(path.with_suffix(".json").read_text("utf-8"))
            url = metadata[url_column(list(metadata), self._column, path.with_suffix(".json"))]
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        return url if isinstance(url, str) else None

    def keep(self, item: Item) -> None:
        """Links the image and the files of the same name beside it."""
        image: Path = item.content
        for path in (image, *(image.with_suffix(suffix) for suffix in (".json", ".txt"))):
            if path.exists():
                copy = self.part / path.relative_to(self.path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, copy)
                except OSError:
                    shutil.copy2(path, copy)
        self._kept.add(item.where)

    def finish(self) -> None:
        """Writes the metadata of what is kept, and gives the folder its name."""
        if self._table:
            _write(self.part / self._table.name, [row for row in self._rows if str(row.get(_FILE)) in self._kept])
        shutil.rmtree(self.target, ignore_errors=True)  # left by a run that was killed
        self.part.rename(self.target)
        sync_folder(self.target.parent)


def capture_of(url: str | None, name: str, body: bytes) -> Capture | None:
    """Returns a file as the answer from its URL; None without a URL."""
    try:
        href = urls.parse(url or "").href
    except NotAUrl:
        return None
    kind, _ = mimetypes.guess_type(name)
    return Capture(href, 200, (("Content-Type", kind or "application/octet-stream"),), body)


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    text = path.read_text("utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise BadInput(f"{path} is not JSON Lines: {error}") from None


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [_FILE])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
