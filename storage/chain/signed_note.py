"""Signed notes and checkpoints as text (C2SP signed-note v1.0.0 and tlog-checkpoint v1.0.0), with Ed25519 keys.

Pure: text and keys in, text out. A malformed note, or one whose signature fails, raises BadNote with a sentence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_LONGEST = 65536


class BadNote(ValueError):
    """A text is not a signed note, checkpoint or key, or has the wrong signer; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key: its name, such as ``example.org/forbear``, and 32 bytes."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Reads a key written as ``NAME+ID+BASE64``. Raises BadNote."""
        name, _, rest = text.strip().partition("+")
        _, _, encoded = rest.partition("+")
        try:
            public = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            public = b""
        key = cls(name, public[1:])
        if len(public) != 33 or public[:1] != _ED25519 or key.text != text.strip():
            raise BadNote(
                f"{text.strip()[:100]!r} is not a verifier key: it looks like example.org/log+1234abcd+BASE64."
            )
        return key

    @property
    def id(self) -> bytes:
        """Returns the first four bytes of SHA-256 over name, type and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """Returns the key as ``NAME+ID+BASE64``."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"


@dataclass(frozen=True, slots=True)
class SignerKey:
    """The private half of a key."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> VerifierKey:
        """Returns the public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Returns the note: the text, which ends in a newline, with the signature below."""
        signature = base64.b64encode(self.verifier.id + self.private.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"


def check_name(name: str) -> str:
    """Returns the name of a key; raises BadNote if it is empty or has spaces or plus signs."""
    if not _NAME.fullmatch(name):
        raise BadNote(
            f"{name!r} is not a valid key name: write one like example.org/forbear, without spaces and plus signs."
        )
    return name


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: ``size`` leaves with this root hash of 32 bytes; ``origin`` names the log."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Returns the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse(note: str) -> Checkpoint:
    """Reads the checkpoint of a signed note, without checking signatures. Raises BadNote."""
    return _read(note)[0]


def verify(note: str, key: VerifierKey) -> Checkpoint:
    """Returns the checkpoint of a note that this key signed. Raises BadNote if it did not sign, or wrongly."""
    checkpoint, text, signatures = _read(note)
    signed = [signature[4:] for name, signature in signatures if name == key.name and signature[:4] == key.id]
    if not signed:
        names = ", ".join(sorted({name for name, _ in signatures}))
        raise BadNote(f"The checkpoint of size {checkpoint.size} is signed by {names}, and not by {key.text}.")
    for signature in signed:
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
        except InvalidSignature:
            raise BadNote(
                f"The signature of {key.name} under the checkpoint of size {checkpoint.size} is wrong."
            ) from None
    return checkpoint


def _read(note: str) -> tuple[Checkpoint, str, list[tuple[str, bytes]]]:
    body, separator, signatures = note.rpartition("\n\n")
    lines = body.split("\n")
    try:
        if not separator or len(note) > _LONGEST or not note.endswith("\n") or "" in lines:
            raise ValueError
        origin, size, root = lines[:3]
        decoded = base64.b64decode(root, validate=True)
        if not re.fullmatch("0|[1-9][0-9]*", size) or len(decoded) != 32:
            raise ValueError
        signed = [_signature(line) for line in signatures[:-1].split("\n")]
    except ValueError:
        raise BadNote("This is not a signed checkpoint (C2SP tlog-checkpoint).") from None
    return Checkpoint(origin, int(size), decoded), f"{body}\n", signed


def _signature(line: str) -> tuple[str, bytes]:
    dash, name, encoded = line.split(" ")
    signature = base64.b64decode(encoded, validate=True)
    if dash != "—" or len(signature) <= 4:
        raise ValueError
    return name, signature
