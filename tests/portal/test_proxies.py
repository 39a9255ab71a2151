from __future__ import annotations

import pytest
from sqlalchemy import select

from forbear.portal.web.proxies import client_address, networks
from forbear.portal.web.settings import Rates
from forbear.storage.accounts.accounts import Role
from forbear.storage.db import account_tables
from tests.portal.conftest import PLENTY
from tests.portal.signing_in import enrolled, sign_in

NAMED = networks(["10.0.0.0/8", "192.0.2.1, 2001:db8:ffff::/48"])

X = "X-Forwarded-For"
F = "Forwarded"


@pytest.mark.parametrize(
    ("peer", "fields", "client"),
    [
        # Only a named proxy is believed.
        ("198.51.100.1", [], "198.51.100.1"),
        ("198.51.100.1", [(X, "203.0.113.5")], "198.51.100.1"),
        ("198.51.100.1", [(F, "for=203.0.113.5")], "198.51.100.1"),
        ("192.0.2.2", [(X, "203.0.113.5")], "192.0.2.2"),
        ("2001:db8:fffe::1", [(X, "203.0.113.5")], "2001:db8:fffe::1"),
        ("", [(X, "203.0.113.5")], ""),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [(X, "203.0.113.5")], "203.0.113.5"),
        ("2001:db8:ffff::1", [(X, "203.0.113.5")], "203.0.113.5"),
        ("::ffff:10.0.0.1", [(X, "203.0.113.5")], "203.0.113.5"),
        ("fe80::1%eth0", [(X, "203.0.113.5")], "fe80::1"),
        # The rightmost address that is not a proxy's.
        ("10.0.0.1", [(X, "10.9.1.1, 198.51.100.8")], "198.51.100.8"),
        ("10.0.0.1", [(X, "1.1.1.1, 198.51.100.8, 10.0.0.2, 192.0.2.1")], "198.51.100.8"),
        ("10.0.0.1", [(X, "1.1.1.1"), ("Accept", "*/*"), (X, "198.51.100.8"), (X, "10.0.0.2")], "198.51.100.8"),
        ("10.0.0.1", [(X, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ("10.0.0.1", [(X, " ,198.51.100.8 , ,")], "198.51.100.8"),
        ("10.0.0.1", [(X, "")], "10.0.0.1"),
        # Ports and IPv6.
        ("10.0.0.1", [(X, "198.51.100.8:4711")], "198.51.100.8"),
        ("10.0.0.1", [(X, "2001:DB8:0:0::8")], "2001:db8::8"),
        ("10.0.0.1", [(X, "[2001:db8::8]")], "2001:db8::8"),
        ("10.0.0.1", [(X, "[2001:db8::8]:443")], "2001:db8::8"),
        ("10.0.0.1", [(X, "::ffff:198.51.100.8")], "198.51.100.8"),
        # What is not an address is not a client: the last proxy is.
        *(
            ("10.0.0.1", [(X, f"198.51.100.8, {wrong}, 10.0.0.2")], "10.0.0.2")
            for wrong in (
                "unknown", "_hidden", "-", "a.example", "1.2.3", "1.2.3.4.5", "010.0.0.1", "256.1.1.1", "1.2.3.4:",
                "1.2.3.4:http", "[1.2.3.4]", "[2001:db8::8", "2001:db8::8]", "[2001:db8::8]x", "[2001:db8::8]:x",
                "2001:db8:::8", "fe80::1%eth0", '"1.2.3.4"', "1.2.3.4 5.6.7.8", "1.2.3.4;", "<script>", "\xe4", "%00",
                "10.0.0.1/8", "0x7f.1", "2130706433", "::1%", "\u0661.1.1.1",
            )
        ),
        ("10.0.0.1", [(X, "198.51.100.8, garbage")], "10.0.0.1"),
        ("10.0.0.1", [(X, "garbage, 198.51.100.8")], "198.51.100.8"),
        # RFC 7239 4, 6 and 7.1.
        ("10.0.0.1", [(F, "for=203.0.113.5")], "203.0.113.5"),
        ("10.0.0.1", [(F, "For=203.0.113.5;Proto=http;by=10.0.0.9")], "203.0.113.5"),
        ("10.0.0.1", [(F, 'for="203.0.113.5:47011"')], "203.0.113.5"),
        ("10.0.0.1", [(F, 'for="203.0.113.5:_port"')], "203.0.113.5"),
        ("10.0.0.1", [(F, 'for="[2001:db8:cafe::17]:4711"')], "2001:db8:cafe::17"),
        ("10.0.0.1", [(F, 'FOR="[2001:db8:cafe::17]"')], "2001:db8:cafe::17"),
        ("10.0.0.1", [(F, 'for="\\203.0.113.\\5"')], "203.0.113.5"),
        ("10.0.0.1", [(F, "for=192.0.2.43, for=198.51.100.17, for=10.0.0.2")], "198.51.100.17"),
        ("10.0.0.1", [(F, "for=192.0.2.43"), (F, "for=198.51.100.17 ,, for=10.0.0.2")], "198.51.100.17"),
        ("10.0.0.1", [(F, "proto=https;for=203.0.113.5 ; host=a.example")], "203.0.113.5"),
        *(
            ("10.0.0.1", [(F, f"for=198.51.100.8, {wrong}, for=10.0.0.2")], "10.0.0.2")
            for wrong in (
                "for=unknown", "for=_hidden", 'for="_gazonk"', "for=2001:db8::8", 'for="2001:db8::8"', "proto=https",
                "for=1.2.3.4:80", "for=1.2.3.4;for=5.6.7.8", "for =1.2.3.4", "for=", "for", "1.2.3.4", 'for="1.2.3.4',
                'for="[1.2.3.4]"', 'for="[fe80::1%25eth0]"', "for='1.2.3.4'", "by=1.2.3.4", "=1.2.3.4",
            )
        ),
        # What a client writes does not reach into what a proxy adds behind it.
        ("10.0.0.1", [(F, 'for="1.1.1.1, for=198.51.100.8')], "198.51.100.8"),
        ("10.0.0.1", [(F, 'for="'), (F, "for=198.51.100.8")], "198.51.100.8"),
        ("10.0.0.1", [(F, 'for="\\, for=198.51.100.8')], "198.51.100.8"),
        ("10.0.0.1", [(F, 'for=1.1.1.1;host="\\", for=198.51.100.8;host="a, for=1.1.1.1;x=\\""')], "198.51.100.8"),
        # Both fields count where they agree.
        ("10.0.0.1", [(X, "198.51.100.8"), (F, "for=198.51.100.8")], "198.51.100.8"),
        ("10.0.0.1", [(X, "1.1.1.1, 198.51.100.8"), (F, 'for="198.51.100.8:80", for=10.0.0.2')], "198.51.100.8"),
        ("10.0.0.1", [(X, "198.51.100.8"), (F, "proto=https")], "198.51.100.8"),
        ("10.0.0.1", [(X, "198.51.100.8"), (F, "for=1.1.1.1")], "10.0.0.1"),
        ("10.0.0.1", [(X, "1.1.1.1"), (F, "for=198.51.100.8")], "10.0.0.1"),
        ("10.0.0.1", [(X, "1.1.1.1"), (F, "for=_hidden")], "10.0.0.1"),
    ],
)  # fmt: skip
def test_the_client_is_the_rightmost_address_that_is_not_a_proxys(peer, fields, client):
    sent = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in fields]
    assert client_address(peer, sent, NAMED) == client


@pytest.mark.parametrize("unit", ["\\", '"', ",", "a=b;", 'for="\\', "10.0.0.1,", "a", 'for="10.0.0.1",', "a="])
def test_long_fields_are_read_in_linear_time(unit):
    for name in (b"forwarded", b"x-forwarded-for"):
        field = (unit * (1_000_000 // len(unit))).encode()
        assert client_address("10.0.0.1", [(name, field)], NAMED).startswith("10.0.0.1")


@pytest.mark.parametrize(
    "text", ["", "*", "proxy.example", "10.0.0.1/8", "10.0.0.0/8,", "0.0.0.0/0", "::/0", "::ffff:0:0/96"]
)
def test_what_is_not_a_proxy_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        networks([text])


def test_an_ipv4_network_may_be_written_as_ipv6():
    assert networks(["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"]) == networks(["10.0.0.1", "10.0.0.0/8"])


SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HERE = networks(["127.0.0.1"])


@SQLITE
@pytest.mark.parametrize(
    ("named", "header", "codes"),
    [
        (HERE, "{}, 198.51.100.8", [200, 429]),
        (HERE, "{}", [200, 200]),
        ((), "{}", [200, 429]),
        (networks(["192.0.2.1"]), "{}", [200, 429]),
    ],
)
def test_limits_count_the_client_and_not_what_it_claims(serve, named, header, codes):
    portal = serve(trusted_proxies=named, rates=Rates(pages=1, forms=1, checks=1))
    claims = ("203.0.113.1", "203.0.113.2")
    assert [portal.get("/", headers={X: header.format(claim)}).status_code for claim in claims] == codes
    api = [portal.get("/api/v1/decisions", headers={X: header.format(claim)}).status_code for claim in claims]
    assert api == [429, 429]  # the same count


@SQLITE
def test_visits_have_the_address_that_they_came_from(serve, engine):
    portal = serve(trusted_proxies=HERE, rates=PLENTY)
    account = enrolled(engine, "grace", Role.ADMIN)
    portal.client.headers[X] = "203.0.113.99, 2001:db8::1234:5678"
    sign_in(portal, account)
    portal.get("/dashboard/access-log")
    with engine.connect() as connection:
        assert set(connection.scalars(select(account_tables.visits.c.client))) == {"2001:db8::1234:5678"}
        assert connection.scalar(select(account_tables.attempts.c.client)) == "2001:db8::/64"


@SQLITE
@pytest.mark.parametrize("named", [HERE, ()])
@pytest.mark.parametrize("base_url", ["https://portal.example", "http://portal.example"])
def test_no_answer_repeats_what_a_request_says_of_its_own_address(serve, named, base_url):
    portal = serve(trusted_proxies=named, base_url=base_url)
    lies = {
        "Host": "evil.example", "X-Forwarded-Host": "evil.example", F: "host=evil.example;proto=https",
        "X-Forwarded-Proto": "https", "X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Server": "evil.example", "X-Original-URL": "/evil", "X-Rewrite-URL": "/evil",
    }  # fmt: skip
    paths = (
        "/",
        "/check",
        "/check/",
        "/dashboard",
        "/dashboard/",
        "/dashboard/access-log",
        "/crawlers",
        "/crawlers/feed.atom",
        "/static",
    )
    for path in (*paths, "/crawlers/card.json", "/api/openapi.json", "//evil.example/", "/subscriptions/x/end"):
        answer = portal.get(path, headers=lies)
        assert "evil" not in answer.text.replace("//evil.example/", "")
        assert "evil" not in str(answer.headers)
        assert answer.headers.get("location", "/").startswith("/")
        cookies = answer.headers.get_list("set-cookie")
        assert all(("; Secure" in cookie) == base_url.startswith("https") for cookie in cookies)
