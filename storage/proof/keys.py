"""The operator's signing key: a file of its own, outside the database, encrypted with a passphrase (PKCS #8, PEM).

The public half is a line of text above the key, which PEM readers skip (RFC 7468 2): it can be shown without the
passphrase.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from forbear.storage.chain.signed_note import BadNote, SignerKey, VerifierKey, check_name

_LINE = "Verifier key: "


class BadKey(Exception):
    """A key cannot be made or used; the message is a sentence."""


def create(path: Path, name: str, passphrase: str) -> VerifierKey:
    """Makes a key and writes it to a new file that only its owner can read. Raises BadKey, OSError."""
    if not passphrase:
        raise BadKey("The passphrase is empty: choose one, or anybody who gets the file can sign in your name.")
    try:
        signer = SignerKey(check_name(name), Ed25519PrivateKey.generate())
    except BadNote as error:
        raise BadKey(str(error)) from None
    pem = signer.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadKey(f"{path} exists already, and keys are not overwritten: name a new file.") from None
    with os.fdopen(file, "wb") as out:
        out.write(f"{_LINE}{signer.verifier.text}\n".encode() + pem)
    return signer.verifier


def load(path: Path, passphrase: str) -> SignerKey:
    """Reads the key of a file. Raises BadKey (wrong passphrase, not a key), OSError."""
    verifier = public(path)
    try:
        private = load_pem_private_key(path.read_bytes(), passphrase.encode())
    except ValueError:
        raise BadKey(f"{path} does not open with this passphrase.") from None
    except TypeError:
        raise BadKey(f"{path} is not encrypted: make a key with `forbear key new`.") from None
    if not isinstance(private, Ed25519PrivateKey) or private.public_key().public_bytes_raw() != verifier.public:
        raise BadKey(f"{path} names another key than it holds: it was changed.")
    return SignerKey(verifier.name, private)


def public(path: Path) -> VerifierKey:
    """Reads the public half from a key file, or from a file with nothing else. Raises BadKey, OSError."""
    try:
        line = path.read_text("utf-8").partition("\n")[0]
        return VerifierKey.parse(line.removeprefix(_LINE))
    except (BadNote, UnicodeDecodeError):
        raise BadKey(f"{path} is not a key of Forbear: make one with `forbear key new`.") from None
