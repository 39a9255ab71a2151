"""Signs pictures with C2PA manifests: a certificate authority of its own for each run, never the network."""

from __future__ import annotations

import datetime
import io
import json
from functools import cache
from typing import Any

import c2pa  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
_CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation",
}


def training(entries: dict[str, Any], label: str = "cawg.training-mining") -> dict[str, Any]:
    """A training and data mining assertion (CAWG Training and Data Mining 1.1)."""
    return {"label": label, "data": {"entries": {key: _entry(entry) for key, entry in entries.items()}}}


def _entry(entry: Any) -> Any:
    return {"use": entry} if isinstance(entry, str) else entry


def signed(
    asset: bytes,
    *assertions: dict[str, Any],
    media_type: str = "image/jpeg",
    ingredients: tuple[tuple[str, bytes], ...] = (),
    update: bool = False,
    remote: str = "",
) -> tuple[bytes, bytes]:
    """The asset with its manifest store, and the store; with ``remote`` the asset names the store and lacks it.

    ``ingredients`` are relationships and JPEG files; an ``update`` manifest has the asset itself as its parent.
    """
    actions = {"label": "c2pa.actions", "data": {"actions": [_CREATED]}}
    edited = any(kind == "parentOf" for kind, _ in ingredients)
    own = [] if edited else [actions]
    definition = {"claim_generator_info": [{"name": "tests", "version": "1"}], "assertions": [*own, *assertions]}
    builder = c2pa.Builder.from_json(json.dumps(definition), c2pa.Context(c2pa.Settings.from_dict(_SETTINGS)))
    if edited:
        builder.set_intent(c2pa.C2paBuilderIntent.UPDATE if update else c2pa.C2paBuilderIntent.EDIT)
    if remote:
        builder.set_no_embed()
        builder.set_remote_url(remote)
    for relationship, octets in ingredients:
        builder.add_ingredient(json.dumps({"relationship": relationship}), "image/jpeg", io.BytesIO(octets))
    made = io.BytesIO()
    store = builder.sign(_signer(), media_type, io.BytesIO(asset), made)
    return made.getvalue(), bytes(store)


@cache
def _signer() -> Any:
    """C2PA 2.2 14.5.1: a leaf for signing documents below an authority."""
    authority, leaf = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    chain = [_certificate("leaf", leaf, authority, is_authority=False), _certificate("root", authority, authority)]
    key = leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"ed25519", pem, key, None))


def _certificate(
    name: str, key: Ed25519PrivateKey, by: Ed25519PrivateKey, *, is_authority: bool = True
) -> x509.Certificate:
    def names(name: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Forbear tests"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )

    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    ours = is_authority
    usage = x509.KeyUsage(not ours, False, False, False, False, ours, ours, False, False)
    builder = (
        x509.CertificateBuilder(names("root"), names(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ours, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False)
        .add_extension(usage, True)
    )
    if not ours:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder.sign(by, None)
