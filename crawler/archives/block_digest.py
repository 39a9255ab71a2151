"""Compares a block with the digest stated in its record (WARC-Block-Digest, ISO 28500:2017 5.8)."""

from __future__ import annotations

import hashlib
from base64 import b32encode, b64encode, urlsafe_b64encode

_ALGORITHMS = frozenset({"md5", "sha1", "sha256", "sha384", "sha512"})


class BlockDigest:
    """Hashes the bytes of a block; ``known`` is False without a stated digest, or with an unknown algorithm."""

    def __init__(self, stated: str | None) -> None:
        label, _, value = (stated or "").partition(":")
        name, self._value = label.strip().lower().replace("-", ""), value.strip()
        self.known = name in _ALGORITHMS and bool(self._value)
        self._hash = hashlib.new(name, usedforsecurity=False) if self.known else None

    def update(self, octets: bytes) -> None:
        """Adds bytes to the hash."""
        if self._hash:
            self._hash.update(octets)

    @property
    def differs(self) -> bool:
        """Returns whether the digest differs; Base32, hexadecimal and Base64 are in use."""
        if self._hash is None:
            return False
        octets, value = self._hash.digest(), self._value.rstrip("=")
        either_case = {octets.hex(), b32encode(octets).decode().lower().rstrip("=")}
        exact = {encode(octets).decode().rstrip("=") for encode in (b64encode, urlsafe_b64encode)}
        return value.lower() not in either_case and value not in exact
