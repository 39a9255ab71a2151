"""Client of an OpenID Connect issuer (Core 1.0): its addresses, the code flow with PKCE (RFC 7636), the ID token.

Authlib implements OAuth 2; joserfc, which it builds on, checks the token's signature and claims. requests raises
OSError for any failure of the connection.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from time import time
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from forbear.optout.readers.url import NotAUrl, parse

logger = logging.getLogger(__name__)

SECONDS = 10
"""Timeout of a request to the issuer."""

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
"""Accepted signature algorithms: none that uses the client's secret."""

LEEWAY = 60
"""Seconds that two clocks may differ."""

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")

# URL parsers differ on backslashes, blanks, 127.1 and letters outside of ASCII, and several parsers read these
# addresses: only what all read alike is accepted.
_ADDRESS = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?(?:/[^\\#]*)?", re.IGNORECASE)


class NotSignedIn(Exception):
    """The issuer did not sign the person in; the message is a sentence for them."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuer, and the portal's client credentials there; ``label`` is the issuer's name for people.

    Raises ValueError unless ``url`` is an issuer identifier (Discovery 1.0, 3): https, and only scheme, host, port and
    path. On this machine, http is allowed, for tests.
    """

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    label: str = "your organisation"

    def __post_init__(self) -> None:
        _check_address(self.url, http=True)
        if "?" in self.url:
            raise ValueError(f"{self.url!r} has a query, which an issuer's address never has")

    def begin(self, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """Returns the URL to send the browser to. Raises NotSignedIn."""
        known = self._known()
        with self._client(redirect) as client:
            address: str = client.create_authorization_url(
                known["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )[0]
        return address

    def finish(self, redirect: str, code: str, nonce: str, verifier: str) -> str:
        """Returns the subject that a code stands for, as ``ISSUER SUBJECT``. Raises NotSignedIn."""
        known = self._known()
        try:
            with self._client(redirect) as client:
                answer: Mapping[str, Any] = client.fetch_token(
                    known["token_endpoint"], code=code, code_verifier=verifier, grant_type="authorization_code",
                    allow_redirects=False,
                )  # fmt: skip
            keys = KeySet.import_key_set(self._fetch(known["jwks_uri"]))
            token = jwt.decode(str(answer["id_token"]), keys, algorithms=ALGORITHMS)
            self._check(token.claims, nonce)
        except (AuthlibBaseError, JoseError, OSError, LookupError, ValueError, TypeError) as error:
            raise NotSignedIn(f"{self.label} did not sign you in ({type(error).__name__}): try again.") from error
        return f"{self.url} {token.claims['sub']}"

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        """Validates the claims (Core 1.0, 3.1.3.7). Raises JoseError."""
        needed: Any = {
            "iss": {"essential": True, "value": self.url},
            "aud": {"essential": True, "value": self.client_id},
            "nonce": {"essential": True, "value": nonce},
            "exp": {"essential": True},
            "iat": {"essential": True},
            "sub": {"essential": True},
        }
        jwt.JWTClaimsRegistry(now=int(time()), leeway=LEEWAY, **needed).validate(dict(claims))
        if isinstance(claims["aud"], list) and claims.get("azp", self.client_id) != self.client_id:
            raise ValueError("the token is for another client")

    def _known(self) -> Mapping[str, Any]:
        """Fetches the issuer's metadata (Discovery 1.0, 4), which must have the same issuer name (4.3)."""
        try:
            known: Mapping[str, Any] = self._fetch(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
            if known["issuer"] != self.url:
                raise ValueError(f"it calls itself {known['issuer']!r}")
            for name in _ENDPOINTS:
                _check_address(known[name], http=self.url.lower().startswith("http:"))
            return {name: known[name] for name in _ENDPOINTS}
        except (OSError, LookupError, ValueError, TypeError) as error:
            logger.warning("The issuer %s cannot be used: %s", self.url, error)
            raise NotSignedIn(f"{self.label} cannot be reached: sign in later, or with a password.") from error

    def _fetch(self, url: str) -> Any:
        with self._client() as client:
            answer = client.get(url, withhold_token=True, allow_redirects=False)
            answer.raise_for_status()
            return answer.json()

    def _client(self, redirect: str | None = None) -> Any:
        return OAuth2Session(
            self.client_id, self.client_secret, scope="openid", redirect_uri=redirect, code_challenge_method="S256",
            default_timeout=SECONDS,
        )  # fmt: skip


def _check_address(address: str, *, http: bool) -> None:
    """Raises ValueError for an address that is not https, or, if ``http`` is allowed, http on this machine."""
    match = _ADDRESS.fullmatch(address)
    try:
        host = parse(address).host if match and address.isascii() and address.isprintable() else ""
    except NotAUrl:
        host = ""
    if not match or " " in address or host != match[2].lower() or host.endswith("."):
        raise ValueError(
            f"{address!r} is not an address like https://id.example.org: the host in A-labels, no user name"
        )
    if match[1].lower() != "https" and not (http and _is_loopback(host)):
        raise ValueError(f"{address!r} is not an https address")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
