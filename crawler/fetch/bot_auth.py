"""Signs requests, so that sites can tell the crawler from others that use its name (Web Bot Auth).

HTTP Message Signatures (RFC 9421) with Ed25519, as draft-ietf-webbotauth-httpsig-protocol-00 and
draft-meunier-web-bot-auth-architecture-04 profile them: ``Signature-Agent`` names the site whose
``/.well-known/http-message-signatures-directory`` holds the public key, ``keyid`` is the key's JWK thumbprint
(RFC 7638, RFC 8037 appendix A.3).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import HTTPMessageSigner
from http_message_signatures.algorithms import ED25519
from http_message_signatures.resolvers import MappingKeyResolver

from forbear.crawler.identity import BadConfig
from forbear.storage.db.records import now

DIRECTORY = "/.well-known/http-message-signatures-directory"
MEDIA_TYPE = "application/http-message-signatures-directory+json"
REQUEST_TAG = "web-bot-auth"
DIRECTORY_TAG = "http-message-signatures-directory"

VALID = timedelta(minutes=5)
"""Lifetime of a signature; short, so that a captured request is of little use."""

_LABEL = "sig1"


@dataclass(frozen=True)
class Signer:
    """The crawler's key, and the origin of the site that publishes its public half."""

    key: Ed25519PrivateKey
    origin: str

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JWK (RFC 8037 2)."""
        public = self.key.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(public).decode().rstrip("=")}

    @property
    def key_id(self) -> str:
        """The key's JWK thumbprint (RFC 7638 3)."""
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).decode().rstrip("=")

    def request_headers(self, method: str, origin: str) -> dict[str, str]:
        """Returns the signature fields for one request to an origin, with a fresh nonce."""
        agent = json.dumps(self.origin)
        message = SimpleNamespace(method=method, url=f"{origin}/", headers={"Signature-Agent": f"{_LABEL}={agent}"})
        covered = ("@authority", f'"signature-agent";key="{_LABEL}"')
        self._sign(message, REQUEST_TAG, covered)
        return dict(message.headers)

    def directory_headers(self) -> dict[str, str]:
        """Returns the fields that prove the publisher of the directory has the key (httpsig-directory 5.2)."""
        asked = SimpleNamespace(method="GET", url=self.origin + DIRECTORY, headers={})
        message = SimpleNamespace(status_code=200, headers={}, request=asked)
        self._sign(message, DIRECTORY_TAG, ('"@authority";req',))
        return dict(message.headers)

    def _sign(self, message: SimpleNamespace, tag: str, covered: tuple[str, ...]) -> None:
        resolver = MappingKeyResolver(public_keys={}, private_keys={self.key_id: self.key})
        at = now()
        HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=resolver).sign(
            message,
            key_id=self.key_id,
            created=at,
            expires=at + VALID,
            nonce=base64.b64encode(secrets.token_bytes(48)).decode(),
            label=_LABEL,
            tag=tag,
            covered_component_ids=covered,
        )


def directory(signer: Signer) -> Mapping[str, object]:
    """Returns the key directory as a JWK Set (RFC 7517 5)."""
    return {"keys": [signer.jwk | {"kid": signer.key_id, "use": "sig"}]}


def read_signer(path: Path | None, origin: str | None) -> Signer | None:
    """Returns the signer for ``--signing-key`` and ``--signature-agent``; None without both. Raises BadConfig."""
    if path is None and origin is None:
        return None
    if path is None or origin is None:
        raise BadConfig("--signing-key and --signature-agent go together: a key, and the site that publishes it.")
    if not origin.startswith(("https://", "http://")) or origin.count("/") != 2 or not origin.isascii():
        raise BadConfig(f"--signature-agent {origin!r} is not an origin: write it like https://bot.example.org.")
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise BadConfig(f"--signing-key: {path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError):
        raise BadConfig(f"--signing-key: {path} is not a PEM file with an unencrypted private key.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadConfig(
            f"--signing-key: {path} is not an Ed25519 key: make one with openssl genpkey -algorithm ed25519."
        )
    return Signer(key, origin)
