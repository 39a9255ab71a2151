"""What is fuzzed: every protocol with the answers of a site, and the readers below with bytes of their own kind."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import brotli

from forbear.crawler.archives import stored_answer
from forbear.crawler.archives.packed import DamagedRecord
from forbear.crawler.archives.warc_records import WarcFile
from forbear.crawler.crawl import links, sitemaps
from forbear.crawler.fetch import decoding
from forbear.crawler.fetch.http1 import BadAnswer
from forbear.crawler.filter import archive
from forbear.optout.model import Capture
from forbear.optout.readers import mime, representation, robots_mended, robots_tags
from tests.crawler import exchanges, warcs
from tests.fuzz import containers, harness
from tests.optout import markup_differential

CORPUS = Path(__file__).parent / "corpus"
URL = "https://site.example/a/page.html"


@dataclass(frozen=True, slots=True)
class Target:
    """A check that raises AssertionError for what must not be, and the inputs that the fuzzer begins with."""

    name: str
    check: Callable[[bytes], Any]
    seeds: Callable[[], Iterable[bytes]]

    def inputs(self) -> list[bytes]:
        """Returns the seeds, and the inputs that earlier runs found to be worth keeping."""
        return list(dict.fromkeys((*self.seeds(), *saved(self.name))))


def saved(name: str) -> list[bytes]:
    """Returns the saved corpus of a target."""
    path = CORPUS / f"{name}.zip"
    if not path.exists():
        return []
    with zipfile.ZipFile(path) as archive:
        return [archive.read(member) for member in archive.namelist()]


def save(name: str, inputs: Iterable[bytes]) -> None:
    """Writes the saved corpus of a target: the same inputs make the same file."""
    CORPUS.mkdir(exist_ok=True)
    with zipfile.ZipFile(CORPUS / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, octets in enumerate(inputs):
            archive.writestr(zipfile.ZipInfo(f"{number:04}"), octets, zipfile.ZIP_DEFLATED, 9)


# --- what an answer is


def answer(octets: bytes) -> Capture:
    """Returns an answer from header lines, an empty line and a body."""
    head, _, body = octets.partition(b"\n\n")
    pairs = (line.partition(b":") for line in head.split(b"\n"))
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, _, value in pairs if name)
    return Capture(URL, 200, headers, body)


def check_representation(octets: bytes) -> None:
    """Checks that any answer has a type, an encoding and a text, and that quotations lead back to their bytes."""
    capture = answer(octets)
    known = representation.of(capture)
    assert known.media_type in known.readings or not known.media_type or "/" not in known.media_type
    found = mime.extract(mime.valid(capture.header("content-type")))
    assert found is None or mime.parse(str(found)) == found
    assert known.text == known.text.encode().decode()
    assert "\r" not in known.text
    middle = len(known.text) // 2
    for start, end in ((0, middle), (middle, len(known.text))):
        known.quote(start, end)
        assert known.octets(start, end) in capture.body
    links.links(capture, URL, "ForbearBot")


_TYPES = (
    b"text/html", b"text/html,text/html", b"text/plain; charset=utf-8", b"text/html; charset=shift_jis", b"*/*",
    b"application/xhtml+xml", b"text/html;x=\",text/plain", b"text/markdown", b"image/png", b"",
)  # fmt: skip
_BODIES = (
    b"<!doctype html><meta charset=koi8-r><p>\xd4\xc5\xcb\xd3\xd4", b"\xff\xfe<\0p\0>\0\r\0\n\0", b"a\x92\r\nb",
    b"\x1b$B8l\x1b(B", b"%PDF-1.7",
    b'<?xml version="1.0" encoding="euc-jp"?><html xmlns="http://www.w3.org/1999/xhtml">\xc6\xfc</html>',
    b"<html a><body b><a href='?q=\xe9&copy=1'>x</a><base href=/b>", b"GIF89a", b"<\0h\0t\0m\0l\0>\0",
)  # fmt: skip


def _answers() -> Iterable[bytes]:
    return (b"Content-Type: " + kind + b"\n\n" + body for kind in _TYPES for body in _BODIES)


# --- markup, beside html5lib


def check_markup(octets: bytes) -> None:
    """Checks that nothing that html5lib sees as a reservation is missed."""
    outcome = markup_differential.compare(octets.decode("utf-8", "replace"))
    assert not outcome["missed"], outcome


def _pages() -> Iterable[bytes]:
    return (page.encode() for page in markup_differential.pages(200, 7))


# --- smaller ones


def check_robots_tags(octets: bytes) -> None:
    """Checks that a rule on its own is found, whatever follows it."""
    field = octets.decode("latin-1")
    rules = robots_tags.for_agent(f"noai, {field}", "ForbearBot")
    assert "noai" in rules
    assert all(rule == rule.strip() and rule for rule in rules)


def check_mended(octets: bytes) -> None:
    """Checks that what is mended is quoted from the file."""
    capture = Capture("https://site.example/robots.txt", 200, (), octets)
    mended = robots_mended.of(capture)
    if mended is not None:
        for line in mended.file.rules_for("ForbearBot").lines:
            assert mended.quote(line)
            assert mended.where(line).startswith("line ")


def check_sitemap(octets: bytes) -> None:
    """Checks that a sitemap gives canonical URLs, each once."""
    found = sitemaps.urls(Capture("https://site.example/sitemap.xml", 200, (), octets))
    assert len(found) == len(set(found)) <= sitemaps.MAX_URLS


_SITEMAPS = (
    b"<urlset><url><loc>http://a.example/x?a=1&amp;b=2</loc></url></urlset>",
    b"\n<?xml version='1.0'?><sitemapindex><sitemap><loc><![CDATA[/s.xml]]></loc></sitemap></sitemapindex>",
    b"<feed><entry><link rel='alternate' href='/x'/></entry></feed>",
    b"<rss><channel><item><link>/x<!-- y --></link></item></channel></rss>",
    b"http://a.example/x\nhttp://a.example/y\n",
    b"\x1f\x8b\x08",
)
_FIELDS = (
    b"noindex, nofollow", b"otherbot: noai", b"unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT, noai",
    b"max-snippet:-1",
)  # fmt: skip
_ROBOTS = (
    b"User-agent: * Disallow: /", b"User-agent: *<br>Disallow: /<br>", b'User-agent: "*"\nDisallow: "/"',
    b"\xef\xbb\xbf\xef\xbb\xbfUser-agent: *\nDisallow: /", b"User-agent: *\\nDisallow: /",
    b"User-agent=*\nDisallow\xef\xbc\x9a/",
)  # fmt: skip


# --- other people's WARC files


def check_warc(octets: bytes) -> None:
    """Checks that records follow each other, that each is read alike alone, and that no broken one has a page."""
    start = end = 0
    for number, record in enumerate(WarcFile(io.BytesIO(octets), "in.warc").records()):
        assert end <= record.start < record.end <= len(octets) or (record.start, record.end) == (start, end)
        start, end = record.start, record.end
        page, damage = archive.read_page(record, record.url, "in.warc")
        assert not (page and damage) or page.error
        if number < 9 and not record.damage:
            again = WarcFile(io.BytesIO(octets), "in.warc").read(record.start)
            assert (again.end, again.fields) == (record.end, record.fields)


def check_stored_answer(octets: bytes) -> None:
    """Checks that the answer in a block is read or is broken, and that fields are lines and bodies bounded."""
    for ends in (True, False):
        with suppress(DamagedRecord):
            head = stored_answer.read_head(octets, ends=ends)
            assert all(name and not re.search(rb"[\0\r\n]", name + value) for name, value in head.fields)
            assert len(stored_answer.read_body(head, octets[head.begin :], 100_000)) <= 100_000


_ANSWERS = (
    warcs.http(), warcs.http(end=b"\n"), b"HTTP/2 103 x\r\n\r\n" + warcs.http(),
    warcs.http(b"5;a=b\r\n<p>hi\r\n0\r\nc: d\r\n\r\n", b"Transfer-Encoding: chunked"),
    warcs.http(warcs.PACKINGS["gzip"](warcs.PAGE), b"Content-Encoding: x-gzip, br"),
)  # fmt: skip
_RECORDS = tuple(
    pack(warcs.record("http://a.example/", block)) + pack(warcs.record("<http://b.example/>", version="WARC/0.17"))[:-9]
    for pack in warcs.PACKINGS.values()
    for block in _ANSWERS
)


# --- answers as servers send them


def check_http(octets: bytes) -> None:
    """Checks that an answer is read alike in whatever pieces it comes, and as h11 reads it, or is refused."""
    whole = _status_and_body(octets, max(len(octets), 1))
    assert _status_and_body(octets, 7) == whole
    theirs = exchanges.by_h11(octets)
    if whole and theirs:
        assert whole == theirs


def _status_and_body(octets: bytes, size: int) -> tuple[int, bytes] | None:
    try:
        reader, body = exchanges.read(octets, size)
    except BadAnswer:
        return None
    assert reader.head
    assert not any(re.search(rb"[\0\r\n]", name + value) for name, value in reader.head.fields)
    return reader.head.status, body


def check_codings(octets: bytes) -> None:
    """Checks that a body without its codings is bounded, or is refused."""
    codings, _, body = octets.partition(b"\n")
    with suppress(BadAnswer):
        assert len(decoding.decode(body, [codings.decode("latin-1")], 100_000)) <= 100_000


_CODED = (
    *(name.encode() + b"\n" + pack(warcs.PAGE) for name, pack in warcs.PACKINGS.items()),
    b"deflate\n" + zlib.compress(warcs.PAGE), b"br\n" + brotli.compress(warcs.PAGE), b"utf-8, none\n" + warcs.PAGE,
    b"zstd, gzip\n" + warcs.PACKINGS["gzip"](warcs.PACKINGS["zstd"](warcs.PAGE)),
)  # fmt: skip

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        *(Target(name, partial(harness.check, name), partial(harness.seeds, name)) for name in harness.BY_NAME),
        Target("representation", check_representation, _answers),
        Target("markup", check_markup, _pages),
        Target("robots-tags", check_robots_tags, lambda: _FIELDS),
        Target("robots-mended", check_mended, lambda: _ROBOTS),
        Target("sitemap", check_sitemap, lambda: _SITEMAPS),
        Target("warc", check_warc, lambda: _RECORDS),
        Target("stored-answer", check_stored_answer, lambda: _ANSWERS),
        Target("http", check_http, lambda: _ANSWERS),
        Target("content-codings", check_codings, lambda: _CODED),
        *(
            Target(f"in-{name}", partial(containers.check, name), partial(containers.inputs, name))
            for name in containers.FILES
        ),
        Target("manifest-stores", partial(harness.check, "c2pa"), containers.stores),
    )
}
