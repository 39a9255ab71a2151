from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from portal.issuer import Issuer
from storage import accounts, sessions
from storage.accounts import Role
from storage.database import writing
from storage.records import now

KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})


class Provider:
    """A small issuer on loopback: it signs in whoever comes as ``subject``, and does the code flow with PKCE."""

    def __init__(self) -> None:
        self.subject = "s-1"
        self.changes: dict[str, Any] = {}
        self.key = KEY
        self.asked: dict[str, str] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(
                    provider.known() if "configuration" in self.path else {"keys": [KEY.as_dict(private=False)]}
                )

            def do_POST(self) -> None:
                sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                secret = base64.b64encode(b"portal:hush").decode()
                right = self.headers["Authorization"] == f"Basic {secret}" and provider.proves(sent)
                if right:
                    self.answer({"access_token": "x", "token_type": "Bearer", "id_token": provider.token()})
                else:
                    self.answer({"error": "invalid_grant"}, 400)

            def answer(self, what: Any, status: int = 200) -> None:
                body = json.dumps(what).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def known(self) -> dict[str, str]:
        paths = {"authorization_endpoint": "/auth", "token_endpoint": "/token", "jwks_uri": "/keys"}
        return {"issuer": self.url} | {name: self.url + path for name, path in paths.items()}

    def authorize(self, address: str) -> dict[str, str]:
        """What somebody's browser brings back."""
        self.asked = dict(parse_qsl(urlsplit(address).query))
        return {"state": self.asked["state"], "code": "c-1"}

    def proves(self, sent: dict[str, list[str]]) -> bool:
        digest = hashlib.sha256(sent["code_verifier"][0].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return sent["code"] == ["c-1"] and challenge == self.asked["code_challenge"]

    def token(self) -> str:
        at = int(time())
        claims = {
            "iss": self.url, "aud": "portal", "sub": self.subject, "nonce": self.asked["nonce"], "iat": at,
            "exp": at + 300, **self.changes,
        }  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()


@pytest.fixture
def portal(serve, engine, provider):
    with writing(engine) as connection:
        accounts.add(connection, "grace", Role.LEGAL, "", now(), subject=f"{provider.url} s-1")
    return serve(issuer=Issuer(provider.url, "portal", "hush", "Example ID"))


def test_an_issuer_signs_in_whom_an_account_is_tied_to(portal, provider, engine):
    assert "Sign in with Example ID" in portal.get("/desk/sign-in").text
    began = portal.get("/desk/oidc?next=/desk/log%3Fverdict%3Dexcluded")
    brought = provider.authorize(began.headers["location"])
    assert provider.asked["code_challenge_method"] == "S256"
    signed = portal.get("/desk/oidc/callback", params=brought)
    assert (signed.status_code, signed.headers["location"]) == (303, "/desk/log?verdict=excluded")
    assert portal.get("/desk/log").status_code == 200
    with engine.connect() as connection:
        events = [one["event"] for one in sessions.noted(connection, "grace")]
    assert "signed in" in events
    assert portal.get("/desk/oidc/callback", params=brought).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [{"iss": "https://other.example"}, {"aud": "other"}, {"nonce": "other"}, {"exp": 1}, {"sub": "s-2"}],
)
def test_a_token_that_is_not_ours_signs_nobody_in(portal, provider, changes):
    provider.changes = changes
    brought = provider.authorize(portal.get("/desk/oidc").headers["location"])
    assert portal.get("/desk/oidc/callback", params=brought).status_code == 403
    assert portal.get("/desk/log").status_code == 303


def test_a_token_by_another_key_signs_nobody_in(portal, provider):
    provider.key = OTHER
    brought = provider.authorize(portal.get("/desk/oidc").headers["location"])
    refused = portal.get("/desk/oidc/callback", params=brought)
    assert (refused.status_code, "BadSignatureError" in refused.text) == (403, True)


def test_a_sign_in_that_another_browser_began_is_refused(portal, provider):
    brought = provider.authorize(portal.get("/desk/oidc").headers["location"])
    portal.client.cookies.clear()
    assert portal.get("/desk/oidc/callback", params=brought).status_code == 403
    assert portal.get("/desk/oidc/callback").status_code == 403


def test_an_account_of_an_issuer_has_no_password(portal, engine):
    given = {"name": "grace", "password": "", "code": ""}
    assert portal.post("/desk/sign-in", "/desk/sign-in", given).status_code == 403


def test_where_no_issuer_answers_or_is_named_that_is_said(serve, engine, provider):
    url = provider.url
    provider.server.shutdown()
    provider.server.server_close()
    refused = serve(issuer=Issuer(url, "portal", "hush", "Example ID")).get("/desk/oidc")
    assert (refused.status_code, "Example ID cannot be asked just now" in refused.text) == (502, True)
    assert serve().get("/desk/oidc").status_code == 404
