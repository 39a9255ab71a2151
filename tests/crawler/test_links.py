"""Links and sitemaps: which URLs a page leads to, and what it costs to ask."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from crawler.links import MAX_LINKS, MAX_SITEMAP_URLS, links, sitemap
from optout.model import Capture
from tests.steps import PER_OCTET, steps

BASE = "http://a.example/d/page"


def page(body: bytes | str, *headers: tuple[str, str], content_type: str = "text/html") -> Capture:
    octets = body.encode() if isinstance(body, str) else body
    return Capture(BASE, 200, (("Content-Type", content_type), *headers), octets)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<a href=x>", ["http://a.example/d/x"]),
        ("<a href='/x#part'><a href='/x#other'>", ["http://a.example/x"]),
        ("<a href='#here'>", [BASE]),
        ("<a href=''>", [BASE]),
        ("<a name=x>", []),
        ("<a href=' \n/x\t'>", ["http://a.example/x"]),
        ("<a href='/a b'>", ["http://a.example/a%20b"]),
        ("<a href='/%7Ea/%41%2f'>", ["http://a.example/%7Ea/%41%2f"]),
        ("<a href='/x?b=2&amp;a=1&a=1'>", ["http://a.example/x?b=2&a=1&a=1"]),
        ("<a href='/x?'><a href='/x'><a href='/x/'>", ["http://a.example/x?", "http://a.example/x", "http://a.example/x/"]),
        ("<a href='/../y/./z'>", ["http://a.example/y/z"]),
        ("<a href='//B.Example:80/'>", ["http://b.example/"]),
        ("<a href='https://user:pass@b.example/'>", ["https://b.example/"]),
        ("<a href='https://bücher.example/ä'>", ["https://xn--bcher-kva.example/%C3%A4"]),
        ("<a href='mailto:a@b.example'><a href='javascript:x()'><a href='data:,x'><a href='ftp://b.example/'>", []),
        ("<a href='http://'><a href='http://[x'><a href='http://a b/'><a href=/ok>", ["http://a.example/ok"]),
        ("<area href=/x><frame src=/y><iframe src=/z></iframe>", [f"http://a.example/{name}" for name in "xyz"]),
        ("<img src=/img><script src=/js></script><link rel=next href=/next><form action=/form>", []),
        ("<a href=/b><a href=/a><a href=/b>", ["http://a.example/b", "http://a.example/a"]),
        ("<base href=/base/><a href=x>", ["http://a.example/base/x"]),
        ("<a href=x><base href='https://b.example/'><base href=/no/>", ["https://b.example/x"]),
        ("<base href='data:,x'><a href=x>", ["http://a.example/d/x"]),
        ("<base target=_top><base href=/base/><a href=x>", ["http://a.example/base/x"]),
        ("<a rel=nofollow href=/x><a rel='external NoFollow' href=/y><a rel=noopener href=/z>", ["http://a.example/z"]),
        ("<a rel=ugc href=/x><a rel=sponsored href=/y>", ["http://a.example/x", "http://a.example/y"]),
        ("<A HREF=/x>", ["http://a.example/x"]),
        ("<!-- <a href=/x> --><script>'<a href=/y>'</script><template><a href=/t></template>", []),
        ("<meta name=robots content='noindex, NOFOLLOW'><a href=/x>", []),
        ("<a href=/x><meta name=Robots content=none>", []),
        ("<meta name=forbearbot content=nofollow><a href=/x>", []),
        ("<meta name=otherbot content=nofollow><a href=/x>", ["http://a.example/x"]),
        ("<meta name=robots content=noindex><a href=/x>", ["http://a.example/x"]),
        (f"<a href='/{'x' * 9000}'><a href='/{'ä' * 2000}'><a href=/x>", ["http://a.example/x"]),
    ],
)  # fmt: skip
def test_links(body: str, expected: list[str]) -> None:
    assert links(page(body, content_type="text/html; charset=utf-8"), BASE, "ForbearBot") == expected


@pytest.mark.parametrize(
    ("values", "closed"),
    [
        (["nofollow"], True),
        (["noindex, NoFollow"], True),
        (["none"], True),
        (["noindex"], False),
        (["noindex", "nofollow"], True),
        (["ForbearBot: nofollow"], True),
        (["otherbot: nofollow"], False),
        (["otherbot: noindex, nofollow"], False),
        (["otherbot: nofollow, forbearbot: none"], True),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, nofollow"], True),
        (["max-snippet: 10, nofollow"], True),
    ],
)
def test_the_header_can_close_all_links(values: list[str], closed: bool) -> None:
    headers = [("X-Robots-Tag", value) for value in values]
    assert links(page("<a href=/x>", *headers), BASE, "ForbearBot") == ([] if closed else ["http://a.example/x"])


def test_only_html_has_links() -> None:
    assert links(page("<a href=/x>", content_type="text/plain"), BASE, "ForbearBot") == []


@pytest.mark.parametrize(
    ("charset", "expected"),
    [("windows-1251", "%EC"), ("utf-8", "%D0%BC"), ("windows-1252", "&"), ("utf-16le", "%D0%BC")],
)
def test_a_query_is_written_in_the_encoding_of_its_page(charset: str, expected: str) -> None:
    body = "<a href='/м?q=м#м'>" if expected != "&" else "<a href='/?q=ü'>"
    found = links(page(body.encode(charset), content_type=f"text/html; charset={charset}"), BASE, "ForbearBot")
    assert found == (["http://a.example/?q=%FC"] if expected == "&" else [f"http://a.example/%D0%BC?q={expected}"])


def test_the_links_of_a_page_are_bounded_and_each_octet_costs_a_few_steps() -> None:
    body = "".join(f"<a href=/p{number}>x</a>\n" for number in range(2 * MAX_LINKS))
    found = links(page(body), BASE, "ForbearBot")
    assert steps(lambda: links(page(body), BASE, "ForbearBot")) < PER_OCTET * len(body)
    assert len(found) == MAX_LINKS
    assert found[-1] == f"http://a.example/p{MAX_LINKS - 1}"


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
    ],
)
def test_sitemaps(body: str, expected: list[str]) -> None:
    for octets in (body.encode(), gzip.compress(body.encode())):
        assert sitemap(page(octets)) == [f"http://a.example/{name}" for name in expected]


def test_a_sitemap_has_as_many_urls_as_the_protocol_allows_and_no_tree_in_memory() -> None:
    urls = b"".join(b"<url><loc>http://a.example/%d</loc></url>" % number for number in range(MAX_SITEMAP_URLS + 1))
    assert len(sitemap(page(b"<urlset>" + urls + b"</urlset>"))) == MAX_SITEMAP_URLS


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 10}'>" for n in range(9)), []),
        ("<!ENTITY e9 SYSTEM 'file:///etc/passwd'>", ["http://a.example/x"]),
        ("<!ENTITY e9 SYSTEM 'http://127.0.0.1:9/'>", ["http://a.example/x"]),
    ],
    ids=["bomb", "file", "network"],
)
def test_entities_are_not_expanded(declared: str, expected: list[str]) -> None:
    body = f"<!DOCTYPE urlset [<!ENTITY e0 'http://a.example/'>{declared}]><urlset>"
    body += "<url><loc>http://a.example/&e9;</loc></url><url><loc>http://a.example/x</loc></url></urlset>"
    assert sitemap(page(body)) == expected


def test_a_gzip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.links.MAX_SITEMAP", limit := 2**20)
    bomb = gzip.compress(b"http://a.example/x\n" + b" " * (4 * limit))
    tracemalloc.start()
    try:
        assert sitemap(page(bomb)) == []
        assert tracemalloc.get_traced_memory()[1] < 3 * limit
    finally:
        tracemalloc.stop()
