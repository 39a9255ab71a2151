"""Sitemaps: which URLs they list, whatever is broken in them, and what it costs to ask."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from forbear.crawler.crawl.sitemaps import MAX_URLS, urls
from forbear.optout.model import Capture
from tests.line_counter import PER_OCTET, steps


def page(body: bytes | str) -> Capture:
    octets = body.encode() if isinstance(body, str) else body
    return Capture("http://a.example/sitemap.xml", 200, (("Content-Type", "application/xml"),), octets)


XML = "<?xml version='1.0' encoding='UTF-8'?>"
SPACE = "xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"{XML}<urlset {SPACE}><url><loc> http://a.example/x?a=1&amp;b=2 </loc></url></urlset>", ["x?a=1&b=2"]),
        (f"{XML}<sitemapindex {SPACE}><sitemap><loc>http://a.example/s.xml</loc></sitemap></sitemapindex>", ["s.xml"]),
        ("<urlset><url><loc>http://a.example/x</loc></url><url><loc>http://a.example/x#y</loc></url></urlset>", ["x"]),
        (f"\ufeff{XML}<urlset {SPACE}><url><loc><![CDATA[http://a.example/x]]></loc></url></urlset>", ["x"]),
        (f"<urlset {SPACE}><url><loc>http://a.example/x</loc></url><url><loc>http://a.ex", ["x"]),
        ("http://a.example/x\r\nhttp://a.example/y\n\nftp://a.example/z\n", ["x", "y"]),
        ("<urlset><url><loc/></url><url><loc>mailto:a@b.example</loc></url></urlset>", []),
        ("", []),
        ("<html><p>Not found", []),
        (f"\n{XML}<urlset {SPACE}><url><loc>http://a.example/x</loc></url></urlset>", ["x"]),
        (f"\ufeff\n{XML}<urlset {SPACE}><url><loc>http://a.example/x</loc></url></urlset>", ["x"]),
        ("<urlset><url><x>&eacute;</x><loc>http://a.example/x</loc></url></urlset>", ["x"]),
        (
            "<urlset><url><loc>http://a.example/?a=1&b=2</loc></url><loc>http://a.example/x</loc></urlset>",
            ["?a=1&b=2", "x"],
        ),
        ("<urlset><url><loc>http://a.example/x</loc></url><x>\x0b</x></urlset>", ["x"]),
        ("<urlset><url><loc><!-- <loc>no</loc> -->http://a.example/x<!-- --></loc></url></urlset>", ["x"]),
        ("<urlset><!-- <loc>http://a.example/no</loc> --><loc>http://a.example/&#120;&#x79;</loc></urlset>", ["xy"]),
        ("<urlset><loc><loc>http://a.example/x</loc></loc><loc>&eacute;</loc></urlset>", ["x"]),
        ("<feed xmlns='http://www.w3.org/2005/Atom'><link rel=self href='/no'/><link href='/x'/></feed>", ["x"]),
        ("<feed><entry><link rel='alternate' href='/x?a=1&amp;b=2'/></entry></feed>", ["x?a=1&b=2"]),
        ("<rss version='2.0'><channel><item><link> http://a.example/x </link></item></channel></rss>", ["x"]),
    ],
)
def test_sitemaps(body: str, expected: list[str]) -> None:
    for octets in (body.encode(), gzip.compress(body.encode())):
        assert urls(page(octets)) == [f"http://a.example/{name}" for name in expected]


def test_a_sitemap_has_as_many_urls_as_the_protocol_allows_and_no_tree_in_memory() -> None:
    entries = b"".join(b"<url><loc>http://a.example/%d</loc></url>" % number for number in range(MAX_URLS + 1))
    assert len(urls(page(b"<urlset>" + entries + b"</urlset>"))) == MAX_URLS


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 10}'>" for n in range(9)), ["http://a.example/x"]),
        ("<!ENTITY e9 SYSTEM 'file:///etc/passwd'>", ["http://a.example/x"]),
        ("<!ENTITY e9 SYSTEM 'http://127.0.0.1:9/'>", ["http://a.example/x"]),
    ],
    ids=["bomb", "file", "network"],
)
def test_entities_are_not_expanded(declared: str, expected: list[str]) -> None:
    body = f"<!DOCTYPE urlset [<!ENTITY e0 'http://a.example/'>{declared}]><urlset>"
    body += "<url><loc>http://a.example/&e9;</loc></url><url><loc>http://a.example/x</loc></url></urlset>"
    assert urls(page(body)) == expected


def test_a_gzip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forbear.crawler.crawl.sitemaps.MAX_OCTETS", limit := 2**20)
    bomb = gzip.compress(b"http://a.example/x\n" + b" " * (4 * limit))
    tracemalloc.start()
    try:
        assert urls(page(bomb)) == []
        assert tracemalloc.get_traced_memory()[1] < 3 * limit
    finally:
        tracemalloc.stop()


def test_an_octet_of_another_encoding_spoils_nothing() -> None:
    assert urls(page(b"<urlset><loc>http://a.example/x</loc><x>caf\xe9</x></urlset>")) == ["http://a.example/x"]


@pytest.mark.parametrize(
    "unit", [b"<loc>", b"<loc><!--", b"<!--", b"<a/>", b"<loc><![CDATA[", b"<link href=", b"&#", b"<"]
)
def test_each_octet_costs_a_few_steps_and_no_tree(unit: bytes) -> None:
    for start in (b"<urlset>", b"<feed>"):
        body = start + unit * 100_000
        tracemalloc.start()
        try:
            assert steps(lambda: urls(page(body))) < PER_OCTET * len(body)  # noqa: B023
            assert tracemalloc.get_traced_memory()[1] < 20 * len(body)
        finally:
            tracemalloc.stop()
