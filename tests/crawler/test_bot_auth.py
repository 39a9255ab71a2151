"""Signatures are verified here by RFC 9421 3.2 itself, on cryptography alone, without the library that makes them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from pathlib import Path
from time import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from forbear.crawler.demo.demo_server import Web
from forbear.crawler.engine.live import Live
from forbear.crawler.fetch.bot_auth import Signer, read_signer
from forbear.crawler.fetch.network import Guard
from forbear.crawler.identity import BadConfig
from tests.crawler.crawls import Crawler, page, plain

ORIGIN = "https://bot.operator.example"
# The key of RFC 9421 B.1.4, which RFC 8037 appendix A and the drafts of Web Bot Auth use too.
RFC_KEY = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU="))


def verify(headers, authority: str, public: bytes, tag: str = "web-bot-auth") -> dict[str, str]:
    """The parameters of the signature of a request; raises InvalidSignature."""
    headers = {name.lower(): value for name, value in headers.items()}
    label, _, inner = headers["signature-input"].partition("=")
    components = re.findall(r'"([^"]+)"((?:;[a-z]+(?:="[^"]*")?)*)', inner[1 : inner.index(")")])
    agent = re.fullmatch(rf'{label}=("[^"]*")', headers.get("signature-agent", ""))
    values = {"@authority": authority, "signature-agent": agent[1] if agent else ""}
    lines = [f'"{name}"{parameters}: {values[name]}' for name, parameters in components]
    base = "\n".join([*lines, f'"@signature-params": {inner}'])
    signature = re.fullmatch(rf"{label}=:([^:]+):", headers["signature"])
    assert signature
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature[1]), base.encode())
    found = dict(re.findall(r';([a-z]+)="?([^";]+)"?', inner[inner.index(")") :]))
    assert found["tag"] == tag
    assert int(found["created"]) <= time() + 1 < int(found["expires"])
    return found | {"covered": " ".join(name for name, _ in components)}


def pem(path: Path, key) -> Path:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return path


def test_the_key_is_named_by_its_thumbprint():
    signer = Signer(RFC_KEY, ORIGIN)
    assert signer.jwk["x"] == "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"
    assert signer.key_id == "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U"  # draft-meunier-web-bot-auth-architecture B


@pytest.mark.parametrize(
    ("origin", "authority"),
    [("https://a.example", "a.example"), ("http://a.example:8080", "a.example:8080"), ("http://[::1]:81", "[::1]:81")],
)
def test_a_signature_holds_for_its_authority_and_its_agent_alone(origin, authority):
    signer = Signer(RFC_KEY, ORIGIN)
    public = RFC_KEY.public_key().public_bytes_raw()
    headers = signer.request_headers("GET", origin)
    said = verify(headers, authority, public)
    assert (said["covered"], said["keyid"]) == ("@authority signature-agent", signer.key_id)
    assert headers["Signature-Agent"] == f'sig1="{ORIGIN}"'
    assert verify(signer.request_headers("GET", origin), authority, public)["nonce"] != said["nonce"]
    with pytest.raises(InvalidSignature):
        verify(headers, "b.example", public)
    with pytest.raises(InvalidSignature):
        verify(headers | {"Signature-Agent": 'sig1="https://evil.example"'}, authority, public)
    with pytest.raises(InvalidSignature):
        verify(headers, authority, Ed25519PrivateKey.generate().public_key().public_bytes_raw())


def test_every_request_of_a_crawl_is_signed(crawler: Crawler, tmp_path: Path):
    key = pem(tmp_path / "bot.pem", RFC_KEY)
    with Web({"a.example": {"/robots.txt": plain("User-agent: *\nAllow: /\n"), "/": page("/1"), "/1": page()}}) as web:
        crawler.run(web, "http://a.example/", signing_key=key, signature_agent=ORIGIN)
        again = crawler.run(web, "http://a.example/2").summary
    signed, plain_ = [hit for hit in web.hits if "Signature" in hit.headers], [h for h in web.hits if h.path == "/2"]
    assert {hit.path for hit in signed} >= {"/robots.txt", "/", "/1"}
    for hit in signed:
        verify(hit.headers, "a.example", RFC_KEY.public_key().public_bytes_raw())
    assert again["finished"]
    assert all("Signature" not in hit.headers for hit in plain_)
    assert plain_


def test_a_live_check_is_signed():
    async def ask(proxy: str) -> None:
        async with Live(Guard(), version="1", proxy=proxy, signer=Signer(RFC_KEY, ORIGIN)) as live:
            await live.fetch("http://a.example/x?y=%7E")

    with Web({"a.example": {"/x?y=%7E": page()}}) as web:
        asyncio.run(ask(web.proxy))
    [hit] = web.hits
    verify(hit.headers, "a.example", RFC_KEY.public_key().public_bytes_raw())


@pytest.mark.parametrize(
    ("key", "origin", "says"),
    [
        (RFC_KEY, None, "go together"),
        (None, ORIGIN, "go together"),
        (RFC_KEY, "bot.example", "is not an origin"),
        (RFC_KEY, f"{ORIGIN}/", "is not an origin"),
        (rsa.generate_private_key(65537, 2048), ORIGIN, "is not an Ed25519 key"),
        (b"nonsense", ORIGIN, "is not a PEM file"),
    ],
)
def test_a_key_that_cannot_be_used_is_reported(tmp_path: Path, key, origin, says):
    path = tmp_path / "bot.pem"
    if isinstance(key, bytes):
        path.write_bytes(key)
    elif key:
        pem(path, key)
    with pytest.raises(BadConfig, match=says):
        read_signer(path if key else None, origin)
    assert read_signer(None, None) is None


def test_a_thumbprint_is_that_of_rfc_7638():
    jwk = Signer(RFC_KEY, ORIGIN).jwk
    canonical = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    digest = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")
    assert digest == Signer(RFC_KEY, ORIGIN).key_id
