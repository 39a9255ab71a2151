"""Links: which URLs a page leads to, and what it costs to ask."""

from __future__ import annotations

import pytest

from forbear.crawler.crawl.links import MAX_LINKS, links
from forbear.optout.model import Capture
from tests.line_counter import PER_OCTET, steps

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
        ("<area href=/x><iframe src=/z></iframe>", ["http://a.example/x", "http://a.example/z"]),
        ("<frameset><frame src=/y></frameset>", ["http://a.example/y"]),
        ("<a href='/item?id=1&copy=2&sect=3&not=4&notify=5&amp;x'>", ["http://a.example/item?id=1&copy=2&sect=3&not=4&notify=5&x"]),
        ("<select><a href=/x>", ["http://a.example/x"]),
        ("<meta name=robots content='noindex;nofollow'><a href=/x>", []),
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
        (["noindex nofollow"], True),
        (["noindex; nofollow"], True),
        (["*: nofollow"], True),
        (["robots: nofollow"], True),
        (["ForbearBot/1.0: nofollow"], True),
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


@pytest.mark.parametrize(
    ("body", "charset", "expected"),
    [
        ("<a href='/?q=日'>", "windows-1252", "http://a.example/?q=%26%2326085%3B"),
        ("<a href='/?q=①表@'>", "cp932", "http://a.example/?q=%87@%95%5C@"),
        ("<a href='/?q=똠'>", "cp949", "http://a.example/?q=%8Cc"),
    ],
)
def test_a_query_is_written_as_browsers_do(body: str, charset: str, expected: str) -> None:
    octets = body.encode(charset, "xmlcharrefreplace")
    label = {"cp932": "shift_jis", "cp949": "euc-kr"}.get(charset, charset)
    assert links(page(octets, content_type=f"text/html; charset={label}"), BASE, "ForbearBot") == [expected]


def test_the_links_of_a_page_are_bounded_and_each_octet_costs_a_few_steps() -> None:
    body = "".join(f"<a href=/p{number}>x</a>\n" for number in range(2 * MAX_LINKS))
    found = links(page(body), BASE, "ForbearBot")
    assert steps(lambda: links(page(body), BASE, "ForbearBot")) < PER_OCTET * len(body)
    assert len(found) == MAX_LINKS
    assert found[-1] == f"http://a.example/p{MAX_LINKS - 1}"
