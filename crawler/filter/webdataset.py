"""Tar files of samples, in the layout of webdataset and img2dataset: an image, a JSON object with its URL, a caption.

The files of a sample are consecutive and share a name up to the first dot after the last slash. What is kept is copied
byte for byte.
"""

from __future__ import annotations

import json
import tarfile
from itertools import groupby
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from forbear.crawler.files import atomic_rename
from forbear.crawler.filter.images import IMAGES, capture_of
from forbear.crawler.filter.inputs import BadInput, Item, Source, url_column

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 512
_RECORD = 20 * _BLOCK
"""POSIX.1-1988 ustar: blocks of 512 bytes, two empty ones at the end, padded to a multiple of 20."""


class Shard(Source):
    """An uncompressed tar file; a sample is kept or removed whole, entries that are not files are kept."""

    def __init__(self, path: Path, target: Path, column: str | None) -> None:
        super().__init__(path, target)
        self._column = column

    def items(self) -> Iterator[Item]:
        """Yields samples. One with several images has no URL, as it would be about only one of them."""
        self._in: IO[bytes] = self.path.open("rb")
        self._out = self.part.open("wb")
        try:
            with tarfile.open(fileobj=self._in, mode="r:") as tar:
                for (key, is_file), some in groupby(tar, key=lambda member: (_key(member), member.isfile())):
                    members = list(some)
                    span = (members[0].offset, _end(members[-1]))
                    if is_file:
                        yield self._sample(tar, key, members, span)
                    else:
                        self._copy(span)
        except tarfile.TarError as error:
            raise BadInput(f"{self.path} is not a tar file, or is compressed or damaged: {error}") from None

    def _sample(self, tar: tarfile.TarFile, key: str, members: list[tarfile.TarInfo], span: tuple[int, int]) -> Item:
        images = [member for member in members if PurePosixPath(member.name).suffix.lower() in IMAGES]
        url = self._url(tar, members) if len(images) <= 1 else None
        page = capture_of(url, images[0].name, _read(tar, images[0])) if images else None
        return Item(key, url, page, span[1] - span[0], span)

    def _url(self, tar: tarfile.TarFile, members: list[tarfile.TarInfo]) -> str | None:
        for member in members:
            if member.name.lower().endswith(".json"):
                try:
                    metadata: Any = json.loads(_read(tar, member))
                    url = metadata[url_column(list(metadata), self._column, self.path / member.name)]
                except (ValueError, TypeError):
                    return None
                return url if isinstance(url, str) else None
        return None

    def keep(self, item: Item) -> None:
        """Writes the sample unchanged."""
        self._copy(item.content)

    def _copy(self, span: tuple[int, int]) -> None:
        with self.path.open("rb") as file:
            file.seek(span[0])
            self._out.write(file.read(span[1] - span[0]))

    def finish(self) -> None:
        """Completes the file with the end of a tar file."""
        self._out.write(bytes(2 * _BLOCK))
        self._out.write(bytes(-self._out.tell() % _RECORD))
        self._out.close()
        self._in.close()
        atomic_rename(self.part, self.target)


def _key(member: tarfile.TarInfo) -> str:
    folder, slash, name = member.name.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def _end(member: tarfile.TarInfo) -> int:
    """Returns the offset of the next entry."""
    size = member.size if member.isfile() else 0
    return member.offset_data + -(-size // _BLOCK) * _BLOCK


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""
