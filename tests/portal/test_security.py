from __future__ import annotations

from ipaddress import ip_address

import pytest
from fastapi import Request

from forbear.portal.web.limits import Limit, client_of, target_of
from forbear.portal.web.settings import Rates

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}


@pytest.mark.parametrize(
    "path", ["/", "/lookup?name=a.example", "/nowhere", "/api/lookup", "/static/forbear.css", "/health"]
)
def test_every_answer_has_the_header_fields(portal, path):
    answer = portal.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "server" not in answer.headers
    assert "strict-transport-security" not in answer.headers


def test_with_tls_in_front_browsers_stay_with_it(serve):
    assert serve(base_url="https://portal.example").get("/").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/", "/lookup?name=a.example", "/nowhere"])
def test_no_page_has_inline_script_or_style_or_anything_from_elsewhere(portal, path):
    text = portal.get(path).text
    assert "<script" not in text
    assert "<style" not in text
    assert " style=" not in text
    assert 'src="http' not in text


def test_what_is_not_there_is_a_page_with_a_sentence(portal):
    page = portal.get("/nowhere")
    assert page.status_code == 404
    assert "There is no page at this address." in page.text
    assert portal.get("/api/nowhere").json() == {"error": "There is no page at this address."}


def test_too_many_requests_learn_when_to_come_back(serve):
    portal = serve(rates=Rates(pages=2, forms=1, checks=1))
    assert [portal.get("/").status_code for _ in range(3)] == [200, 200, 429]
    refused = portal.get("/")
    assert 0 < int(refused.headers["retry-after"]) <= 30
    assert "Too many requests came from your address" in refused.text
    assert portal.get("/health").text == "ok\n"


def test_a_limit_refills_with_time_and_counts_each_client_alone(database_url):
    now = [0.0]
    limit = Limit(2, lambda: now[0])
    assert [limit.wait("a"), limit.wait("a"), limit.wait("a"), limit.wait("b")] == [0, 0, 30, 0]
    now[0] = 30.0
    assert [limit.wait("a"), limit.wait("a")] == [0, 30]


@pytest.mark.parametrize(
    ("address", "client"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("socket", "socket")],
)
def test_a_client_is_an_address_or_an_ipv6_network(address, client, database_url):
    assert client_of(Request({"type": "http", "client": (address, 1)})) == client
    assert client == "socket" or ip_address(address)


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("a.b.example.org", "example.org"),
        ("example.org.", "example.org"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::/64"),
        ("single", "single"),
    ],
)
def test_a_target_is_a_registrable_domain_or_an_address(host, target, database_url):
    assert target_of(host) == target
