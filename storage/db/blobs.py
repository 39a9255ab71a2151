"""Content of captures outside the database: files in a folder or an S3-compatible bucket, named by SHA-256.

Content with the digest ``ab12…`` is the file ``ab/ab12….gz`` (RFC 1952), so that anybody can unpack and check it.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar
from uuid import uuid4

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow import ArrowException
from pyarrow.fs import FileSystem

from forbear.storage.db.errors import StorageError

T = TypeVar("T")
R = TypeVar("R")

AT_A_TIME = 16
"""Parallel requests to a bucket."""


@lru_cache(maxsize=16)
def blob_store(url: str) -> BlobStore:
    """Opens the store at this URL; raises StorageError (unknown kind, a password in it, unreachable)."""
    return BlobStore(url)


class BlobStore:
    """A folder (``/path``, ``file:///path``) or a bucket (``s3://bucket/folder?region=…&endpoint_override=…``).

    Credentials come from where AWS's own programs take them: environment, ~/.aws, the machine's role. Files are written
    whole or not at all, and are on disk when ``put`` returns.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._fs, self._root = _opened(url)

    def put(self, packed: Mapping[str, bytes]) -> None:
        """Writes contents, packed by ``pack``, under their digests; raises StorageError."""
        self._all(lambda item: self._put(*item), packed.items())

    def get(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Returns unpacked contents by digest, without the missing and damaged ones. Raises StorageError."""
        found = self._all(self._get, digests)
        return {sha256: content for sha256, content in found if content is not None}

    def remove(self, digests: Iterable[str]) -> None:
        """Removes contents; a missing one is not an error. Raises StorageError."""
        self._all(self._remove, digests)

    def _all(self, function: Callable[[T], R], arguments: Iterable[T]) -> list[R]:
        try:
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                return list(pool.map(function, arguments))
        except (OSError, ArrowException) as error:
            raise StorageError(f"The evidence at {self.url} cannot be used: {error}.") from error

    def _path(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:2]}/{sha256}.gz"

    def _put(self, sha256: str, packed: bytes) -> None:
        path = self._path(sha256)
        if "file" not in self._fs.protocol:
            self._fs.pipe_file(path, packed)  # a bucket shows an object when it is whole
            return
        self._fs.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH120 as fsspec writes paths
        new = f"{path}.{uuid4().hex}.new"
        with self._fs.open(new, "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        self._fs.mv(new, path)

    def _get(self, sha256: str) -> tuple[str, bytes | None]:
        try:
            return sha256, gzip.decompress(self._fs.cat_file(self._path(sha256)))
        except (FileNotFoundError, gzip.BadGzipFile, EOFError, zlib.error):
            return sha256, None

    def _remove(self, sha256: str) -> None:
        if self._fs.exists(self._path(sha256)):
            self._fs.rm_file(self._path(sha256))


def pack(content: bytes) -> bytes:
    """Compresses content for storage outside the database; the same content gives the same bytes."""
    return gzip.compress(content, mtime=0)


def _opened(url: str) -> tuple[AbstractFileSystem, str]:
    kind, _, rest = url.partition("://")
    if "@" in rest.partition("/")[0]:
        raise StorageError(
            "The URL of the evidence must not hold a key: set AWS_SECRET_ACCESS_KEY and the like instead."
        )
    try:
        if rest and kind == "s3":
            arrow, root = FileSystem.from_uri(url)
            return ArrowFSWrapper(arrow), root.rstrip("/")
        fs, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError, OSError, ArrowException) as error:
        raise StorageError(f"{url} cannot hold evidence: write a folder or s3://BUCKET/FOLDER ({error}).") from None
    return fs, root.rstrip("/")
