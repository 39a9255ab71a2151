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

from forbear.portal.web.oidc_client import Issuer
from forbear.storage.accounts import accounts, sessions
from forbear.storage.accounts.accounts import Role
from forbear.storage.database import writing
from forbear.storage.db.records import now

KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})


class Provider:
    """A small issuer on loopback: it signs everybody in as ``subject``, and does the code flow with PKCE."""

    def __init__(self) -> None:
        self.subject = "s-1"
        self.changes: dict[str, Any] = {}
        self.says: dict[str, Any] = {}
        self.leads_to = ""
        self.posts = 0
        self.key = KEY
        self.asked: dict[str, str] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(
                    provider.known() if "configuration" in self.path else {"keys": [KEY.as_dict(private=False)]}
                )

            def do_POST(self) -> None:
                provider.posts += 1
                sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                secret = base64.b64encode(b"portal:hush").decode()
                if provider.leads_to:
                    self.send_response(307)
                    self.send_header("Location", provider.leads_to)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
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
        return {"issuer": self.url} | {name: self.url + path for name, path in paths.items()} | self.says

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
    assert "Sign in with Example ID" in portal.get("/dashboard/sign-in").text
    began = portal.get("/dashboard/oidc?next=/dashboard/log%3Fverdict%3Dexcluded")
    brought = provider.authorize(began.headers["location"])
    assert provider.asked["code_challenge_method"] == "S256"
    signed = portal.get("/dashboard/oidc/callback", params=brought)
    assert (signed.status_code, signed.headers["location"]) == (303, "/dashboard/log?verdict=excluded")
    assert portal.get("/dashboard/log").status_code == 200
    with engine.connect() as connection:
        events = [one["event"] for one in sessions.access_log(connection, "grace")]
    assert "signed in" in events
    assert portal.get("/dashboard/oidc/callback", params=brought).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [{"iss": "https://other.example"}, {"aud": "other"}, {"nonce": "other"}, {"exp": 1}, {"sub": "s-2"}],
)
def test_a_token_that_is_not_ours_signs_nobody_in(portal, provider, changes):
    provider.changes = changes
    brought = provider.authorize(portal.get("/dashboard/oidc").headers["location"])
    assert portal.get("/dashboard/oidc/callback", params=brought).status_code == 403
    assert portal.get("/dashboard/log").status_code == 303


def test_a_token_by_another_key_signs_nobody_in(portal, provider):
    provider.key = OTHER
    brought = provider.authorize(portal.get("/dashboard/oidc").headers["location"])
    refused = portal.get("/dashboard/oidc/callback", params=brought)
    assert (refused.status_code, "BadSignatureError" in refused.text) == (403, True)


def test_a_sign_in_that_another_browser_began_is_refused(portal, provider):
    brought = provider.authorize(portal.get("/dashboard/oidc").headers["location"])
    portal.client.cookies.clear()
    assert portal.get("/dashboard/oidc/callback", params=brought).status_code == 403
    assert portal.get("/dashboard/oidc/callback").status_code == 403


def test_an_account_of_an_issuer_has_no_password(portal, engine):
    given = {"name": "grace", "password": "", "code": ""}
    assert portal.post("/dashboard/sign-in", "/dashboard/sign-in", given).status_code == 403


def test_where_no_issuer_answers_or_is_named_that_is_reported(serve, engine, provider):
    url = provider.url
    provider.server.shutdown()
    provider.server.server_close()
    refused = serve(issuer=Issuer(url, "portal", "hush", "Example ID")).get("/dashboard/oidc")
    assert (refused.status_code, "Example ID cannot be reached" in refused.text) == (502, True)
    assert serve().get("/dashboard/oidc").status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example.org", "https://id.example.org/", "https://id.example.org:8443/realms/a/v2.0",
        "https://ID.example.org", "https://[2001:db8::1]", "https://xn--bcher-kva.example", "https://id_1.example/a%20b",
        "http://localhost", "http://localhost:9000/x", "http://127.0.0.1:9000", "http://127.8.9.1", "http://[::1]:9000",
    ],
)  # fmt: skip
def test_an_issuer_has_https_or_is_this_machine(url):
    assert Issuer(url, "portal", "hush").url == url


@pytest.mark.parametrize(
    "url",
    [
        # http, and the host only looks like this machine
        "http://id.example.org", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://localhost.",
        "http://localhost@evil.example", "http://127.0.0.1:80@evil.example/", "http://[::1].evil.example",
        "http://[::ffff:127.0.0.1]", "http://0.0.0.0", "http://10.0.0.1", "http://a.localhost",
        # read otherwise by other parsers
        "http://127.1", "http://2130706433", "http://0x7f.0.0.1", "http://0177.0.0.1", "http://\u24c1ocalhost",
        "https://id.example\\@evil.example", "https://id.example/\\x", "https://id.example/a b", " https://id.example",
        "https://id.example\n", "http://localhost\t", "https://b\u00fccher.example", "https://id.example%2eevil.example",
        # not the form of an issuer (Discovery 1.0, 3)
        "https://grace@id.example", "https://grace:hush@id.example", "https://id.example.", "https://id.example?x=1",
        "https://id.example/?x=1", "https://id.example/#a", "https:id.example", "https:///id.example", "https://",
        "ftp://id.example", "//id.example", "id.example", "https://id.example:99999", "https://id.example:", "",
    ],
)  # fmt: skip
def test_what_is_not_an_issuer_is_refused(url):
    with pytest.raises(ValueError, match=r"."):
        Issuer(url, "portal", "hush")


@pytest.mark.parametrize(
    "says",
    [
        *({"issuer": "PROVIDER" + more} for more in ("/", "/x", "?", " ", ".")),
        {"issuer": "https://id.example.org"},
        {"issuer": None},
        *(
            {name: address}
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
            for address in ("http://id.example.org/x", "http://127.0.0.1.evil.example/x", "javascript:x", "/x", None)
        ),
        {"token_endpoint": "https://grace@id.example.org/token"},
        {"authorization_endpoint": "https://id.example.org/auth#x"},
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_issuer_that_says_something_else_of_itself_is_not_used(portal, provider, says):
    provider.says = {name: value and value.replace("PROVIDER", provider.url) for name, value in says.items()}
    refused = portal.get("/dashboard/oidc")
    assert (refused.status_code, "Example ID cannot be reached" in refused.text) == (502, True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_clients_secret_goes_nowhere_but_to_the_issuer(portal, provider):
    brought = provider.authorize(portal.get("/dashboard/oidc").headers["location"])
    provider.leads_to = f"{provider.url}/elsewhere"
    assert portal.get("/dashboard/oidc/callback", params=brought).status_code == 403
    assert provider.posts == 1
