from __future__ import annotations

import base64

import pytest

from forbear.crawler.fetch.bot_auth import DIRECTORY, Signer
from tests.crawler.test_bot_auth import RFC_KEY, verify

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_the_directory_holds_the_key_and_is_signed_with_it(serve):
    signer = Signer(RFC_KEY, "https://bot.operator.example")
    portal = serve(signer=signer, base_url="https://bot.operator.example")
    answer = portal.get(DIRECTORY)
    assert answer.headers["content-type"] == "application/http-message-signatures-directory+json"
    [key] = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["kid"]) == ("OKP", "Ed25519", signer.key_id)
    public = base64.urlsafe_b64decode(key["x"] + "=")
    said = verify(answer.headers, "bot.operator.example", public, "http-message-signatures-directory")
    assert (said["covered"], said["keyid"]) == ("@authority", signer.key_id)
    assert portal.get("/crawlers/card.json").json()["signature_key"] == signer.key_id
    assert signer.key_id in portal.get("/crawlers").text


def test_a_crawler_that_signs_nothing_has_no_directory(portal):
    assert portal.get(DIRECTORY).status_code == 404
    assert "How you know them" not in portal.get("/crawlers").text
