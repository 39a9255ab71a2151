"""Encrypts secrets of one-time codes with a key that is not in the database (AES-256-GCM, HKDF of RFC 5869).

The cipher is an option of the engine (``execution_options(totp_cipher=…)``). Without one, secrets are stored in plain;
such a secret is encrypted when its owner next signs in to a portal that has a cipher.
"""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection

from forbear.storage.db.errors import StorageError

_PREFIX = "aes-256-gcm:"
_NONCE = 12


class WrongKey(StorageError):
    """A secret is encrypted with another key, or there is no key; the message is a sentence."""


class TotpCipher:
    """Encrypts with a key derived from the secret of the portal."""

    def __init__(self, secret: bytes) -> None:
        derived = HKDF(SHA256(), 32, None, b"forbear: secrets of one-time codes").derive(secret)
        self._cipher = AESGCM(derived)

    def encrypt(self, account: str, secret: str) -> str:
        """Encrypts a secret, for this account alone."""
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), account.encode())
        return _PREFIX + base64.b64encode(sealed).decode()

    def decrypt(self, account: str, stored: str) -> str:
        """Decrypts a secret; raises WrongKey."""
        try:
            sealed = base64.b64decode(stored.removeprefix(_PREFIX), validate=True)
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], account.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise WrongKey("The codes are encrypted with another secret than this portal's.") from None


def encrypt_secret(connection: Connection, account: str, secret: str) -> str:
    """Returns a secret as this database stores it."""
    cipher: TotpCipher | None = connection.get_execution_options().get("totp_cipher")
    return cipher.encrypt(account, secret) if cipher else secret


def decrypt_secret(connection: Connection, account: str, stored: str) -> str:
    """Returns a stored secret in plain; raises WrongKey."""
    if not stored.startswith(_PREFIX):
        return stored
    cipher: TotpCipher | None = connection.get_execution_options().get("totp_cipher")
    if cipher is None:
        raise WrongKey("The codes are encrypted, and this portal has no secret that stays.")
    return cipher.decrypt(account, stored)
