from __future__ import annotations

import csv

import pytest

from crawler.web import Reply, Web
from portal.settings import Rates
from tests.portal.mailbox import search

pytestmark = pytest.mark.usefixtures("crawled")

TEXT = (("Content-Type", "text/plain"),)


def begin(portal, name="journal.example"):
    link = portal.post("/control", "/control", {"name": name}).headers["location"]
    return link, search(r"<pre[^>]*>([0-9a-f]{32})</pre>", portal.get(link).text)


def shown(token, how):
    if how == "file":
        return {"/.well-known/forbear-control.txt": Reply(f"{token}\n".encode(), headers=TEXT)}
    if how == "element":
        return {"/": Reply(f'<!doctype html><title>t</title><meta content="{token}" name="Forbear-Control">'.encode())}
    if how == "redirect":
        there = (("Location", "http://other.example/.well-known/forbear-control.txt"),)
        return {"/.well-known/forbear-control.txt": Reply(status=302, headers=there)}
    if how == "comment":
        return {"/": Reply(f'<!doctype html><!-- <meta name="forbear-control" content="{token}"> -->'.encode())}
    return {"/.well-known/forbear-control.txt": Reply(f"not {token}".encode(), headers=TEXT)}


@pytest.mark.parametrize("how", ["file", "element"])
def test_who_shows_the_token_sees_the_addresses(serve, how):
    sites: dict[str, dict[str, Reply]] = {}
    with Web(sites) as web:
        portal = serve(proxy=web.proxy)
        link, token = begin(portal)
        assert portal.get(f"{link}/kept").status_code == 403
        refused = portal.post(link, link, {})
        assert "It was not found yet." in refused.text
        sites["journal.example"] = shown(token, how)
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
def test_anything_else_proves_nothing(serve, how):
    sites: dict[str, dict[str, Reply]] = {}
    with Web(sites) as web:
        portal = serve(proxy=web.proxy)
        link, token = begin(portal)
        sites["journal.example"] = shown(token, how)
        sites["other.example"] = shown(token, "file")
        assert "It was not found yet." in portal.post(link, link, {}).text
    assert portal.get(f"{link}/kept").status_code == 403
    assert portal.get(f"{link}/kept.csv").status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_control_of_a_host_is_no_control_of_the_domain_above(serve):
    sites: dict[str, dict[str, Reply]] = {}
    with Web(sites) as web:
        portal = serve(proxy=web.proxy)
        link, token = begin(portal, "www.journal.example")
        sites["www.journal.example"] = shown(token, "file")
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
