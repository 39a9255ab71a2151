from __future__ import annotations

import csv

import pytest

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.portal.public.dns_txt import servers
from forbear.portal.web.settings import Rates
from forbear.storage.accounts import domain_verification
from forbear.storage.database import writing
from forbear.storage.db.records import now
from tests.portal.mailbox import search

pytestmark = pytest.mark.usefixtures("crawled")

TEXT = (("Content-Type", "text/plain"),)


def begin(portal, name="journal.example"):
    link = portal.post("/control", "/control", {"name": name}).headers["location"]
    return link, search(r"<pre[^>]*>([0-9a-f]{32})</pre>", portal.get(link).text)


def shown(token: str, how: str) -> dict[str, Reply]:
    file, home = "/.well-known/forbear-control.txt", "/"
    found: dict[str, tuple[str, Reply]] = {
        "file": (file, Reply(f"{token}\n".encode(), headers=TEXT)),
        "element": (home, page(f'<meta content="{token}" name="Forbear-Control">')),
        "redirect": (file, Reply(status=302, headers=(("Location", f"http://other.example{file}"),))),
        "downgrade": (file, Reply(status=301, headers=(("Location", f"http://journal.example{file}"),))),
        "comment": (home, page(f'<!-- <meta name="forbear-control" content="{token}"> -->')),
        "other": (file, Reply(f"not {token}".encode(), headers=TEXT)),
    }
    path, reply = found[how]
    return {path: reply}


def page(head: str) -> Reply:
    return Reply(f"<!doctype html><title>t</title>{head}".encode())


@pytest.mark.parametrize("how", ["file", "element", "record"])
def test_who_shows_the_token_sees_the_addresses(serve, zone, sites, how):
    by_https, _, proxy = sites
    portal = serve(proxy=proxy)
    link, token = begin(portal)
    assert portal.get(f"{link}/kept").status_code == 403
    refused = portal.post(link, link, {})
    assert "It was not found yet." in refused.text
    if how == "record":
        zone.records["_forbear-control.journal.example"] = ['TXT "v=spf1 -all"', f"TXT {token}"]
    else:
        by_https["journal.example"] = shown(token, how)
    assert portal.post(link, link, {}).status_code == 303
    page = portal.get(link)
    assert "It is yours" in page.text
    assert page.headers["cache-control"] == "no-store"
    kept = portal.get(f"{link}/kept")
    assert "https://journal.example/secret/plan" in kept.text
    assert kept.headers["cache-control"] == "no-store"
    excluded = portal.get(f"{link}/excluded").text
    assert "https://www.journal.example/no/2" in excluded
    assert "secret" not in excluded
    assert "gallery" not in excluded
    answer = portal.get(f"{link}/kept.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="journal.example-kept.csv"'
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [row["url"] for row in rows] == ["https://journal.example/open/1", "https://journal.example/secret/plan"]
    assert portal.get(f"{link}/everything").status_code == 404
    after = portal.get(f"{link}/kept", params={"after": "https://journal.example/open/1"}).text
    assert "open/1" not in after
    assert "secret/plan" in after


@pytest.mark.parametrize("how", ["redirect", "comment", "other"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_anything_else_proves_nothing(serve, sites, how):
    by_https, by_http, proxy = sites
    portal = serve(proxy=proxy)
    link, token = begin(portal)
    by_https["journal.example"] = by_http["journal.example"] = shown(token, how)
    by_http["other.example"] = shown(token, "file")
    assert "It was not found yet." in portal.post(link, link, {}).text
    assert portal.get(f"{link}/kept").status_code == 403
    assert portal.get(f"{link}/kept.csv").status_code == 403


@pytest.mark.parametrize(
    ("how", "secure"), [("file", "nothing"), ("element", "nothing"), ("file", "downgrade"), ("file", "untrusted")]
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_found_by_http_alone_is_weak_and_shows_no_address(serve, sites, monkeypatch, tmp_path, how, secure):
    by_https, by_http, proxy = sites
    portal = serve(proxy=proxy)
    link, token = begin(portal)
    by_http["journal.example"] = shown(token, how)
    if secure == "downgrade":
        by_https["journal.example"] = shown(token, "downgrade")
    if secure == "untrusted":  # somebody on the way, with a certificate of their own
        by_https["journal.example"] = shown(token, how)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nobody.pem"))
    weak = portal.post(link, link, {})
    assert "It was found by http alone" in weak.text
    assert "It is yours" not in weak.text
    assert weak.text.count("https://journal.example/") >= 2
    assert "It was found by http alone" in portal.get(link).text
    for path in ("kept", "excluded", "kept.csv"):
        refused = portal.get(f"{link}/{path}")
        assert (refused.status_code, "secret/plan" in refused.text) == (403, False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    by_https["journal.example"] = shown(token, how)
    assert portal.post(link, link, {}).status_code == 303
    assert "https://journal.example/secret/plan" in portal.get(f"{link}/kept").text


def test_only_https_and_the_dns_are_kept_as_proofs_which_count_until_they_end(engine):
    weak, proof, record = "http://a.example/", "https://a.example/", "_forbear-control.a.example"
    with writing(engine) as connection:
        for found, kept in (
            ((None,), (None, False)),
            ((weak,), (weak, False)),
            ((weak, None), (None, False)),
            ((proof,), (proof, True)),
            ((record,), (record, True)),
            ((weak, proof, weak), (proof, True)),
            ((proof, None), (proof, True)),
        ):
            secret, control = domain_verification.request_proof(connection, "a.example", now())
            for place in found:
                domain_verification.record_result(connection, control, place, now())
            then = domain_verification.find(connection, secret, now())
            assert then
            assert (then.found, then.proven_at is not None) == kept


NAME = "_forbear-control.journal.example"


@pytest.mark.parametrize(
    ("records", "came"),
    [
        ({}, "no such record"),
        ({NAME: []}, "no such record"),
        ({"journal.example": ["TXT TOKEN"]}, "no such record"),
        ({NAME: ["TXT TOKEN-and-more"]}, "another text"),
        ({NAME: ["TXT a", 'TXT "TOKEN "']}, "another text"),
        ({NAME: ["CNAME pages.example."], "pages.example": ["TXT TOKEN"]}, "an alias, which is not followed"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_other_record_proves_anything(serve, zone, records, came):
    with Web({}) as web:
        portal = serve(proxy=web.proxy)
        link, token = begin(portal)
        zone.records = {name: [line.replace("TOKEN", token) for line in lines] for name, lines in records.items()}
        assert f'<span class="address">{NAME}</span>: {came}' in portal.post(link, link, {}).text
    assert portal.get(f"{link}/kept").status_code == 403


@pytest.mark.parametrize(("how", "came"), [("failing", "the servers of the zone failed"), ("silent", "timeout")])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_zone_that_cannot_be_asked_proves_nothing(serve, zone, monkeypatch, how, came):
    monkeypatch.setattr("forbear.portal.public.dns_txt.SECONDS", 0.2)
    getattr(zone, how).add(NAME)
    with Web({}) as web:
        portal = serve(proxy=web.proxy)
        link, _ = begin(portal)
        assert f'<span class="address">{NAME}</span>: {came}' in portal.post(link, link, {}).text
    assert portal.get(f"{link}/kept").status_code == 403


@pytest.mark.parametrize("name", ["192.0.2.1", "[2001:db8::1]", f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60}.example"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_has_no_zone_of_its_own_is_asked_for_nothing(serve, zone, name):
    with Web({}) as web:
        portal = serve(proxy=web.proxy)
        link, _ = begin(portal, name)
        assert "It was not found yet." in portal.post(link, link, {}).text
    assert zone.asked == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_record_that_does_not_fit_into_a_datagram_is_had_by_tcp(serve, zone):
    with Web({}) as web:
        portal = serve(proxy=web.proxy)
        link, token = begin(portal)
        zone.records[NAME] = [*(f"TXT {'x' * 200}{number}" for number in range(40)), f"TXT {token}"]
        assert portal.post(link, link, {}).status_code == 303
    assert zone.asked == [NAME, NAME]


@pytest.mark.parametrize("text", ["dns.example", "192.0.2.1:0", "192.0.2.1:x", "2001:db8::1:", "[2001:db8::1]:70000"])
def test_a_server_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        servers([text])


def test_servers_have_addresses_and_ports():
    texts = ("192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:5353")
    assert servers(texts) == (
        ("192.0.2.1", 53), ("192.0.2.1", 5353), ("2001:db8::1", 53), ("2001:db8::1", 53), ("2001:db8::1", 5353)
    )  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_control_of_a_host_is_not_control_of_the_domain_above(serve, sites):
    by_https, _, proxy = sites
    portal = serve(proxy=proxy)
    link, token = begin(portal, "www.journal.example")
    by_https["www.journal.example"] = shown(token, "file")
    portal.post(link, link, {})
    excluded = portal.get(f"{link}/excluded").text
    assert "https://www.journal.example/no/2" in excluded
    assert "https://journal.example/no/1" not in excluded


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_public_addresses_are_looked_at(portal):
    link, _ = begin(portal, "127.0.0.1")
    assert "refused" in portal.post(link, link, {}).text
    assert portal.get("/control/nobodys-secret").status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_looking_is_limited(serve):
    portal = serve(rates=Rates(pages=1000, forms=1000, checks=1))
    link, _ = begin(portal, "127.0.0.1")
    assert [portal.post(link, link, {}).status_code for _ in range(2)] == [200, 429]
