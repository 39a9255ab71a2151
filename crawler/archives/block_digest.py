"""Compares a block with the digest that its record states (WARC-Block-Digest, ISO 28500:2017 5.8)."""

from __future__ import annotations

import hashlib
from base64 import b32encode, b64encode, urlsafe_b64encode

_ALGORITHMS = frozenset({"md5", "sha1", "sha256", "sha384", "sha512"})


class BlockDigest:
    """Takes the octets of a block; ``known`` is False if no digest is stated, or one by an algorithm not known here."""

    def __init__(self, stated: str | None) -> None:
        label, _, value = (stated or "").partition(":")
        name, self._value = label.strip().lower().replace("-", ""), value.strip()
        self.known = name in _ALGORITHMS and bool(self._value)
        self._hash = hashlib.new(name, usedforsecurity=False) if self.known else None

    def update(self, octets: bytes) -> None:
        """Takes the next octets."""
        if self._hash:
            self._hash.update(octets)

    @property
    def differs(self) -> bool:
        """Whether the digest is another one; Base32, hexadecimal and Base64 are in use."""
        if self._hash is None:
            return False
        octets, value = self._hash.digest(), self._value.rstrip("=")
        either_case = {octets.hex(), b32encode(octets).decode().lower().rstrip("=")}
        exact = {encode(octets).decode().rstrip("=") for encode in (b64encode, urlsafe_b64encode)}
        return value.lower() not in either_case and value not in exact
