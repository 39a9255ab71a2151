"""WARC files as others write them, and as disks and networks leave them (ISO 28500:2017; RFC 1952, 8878, 9112)."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from base64 import b32encode, b64encode
from binascii import hexlify
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
import zstandard

from forbear.crawler.archives import packed, warc_records
from forbear.crawler.archives.warc_records import WarcFile
from forbear.crawler.filter.archive import Archive
from forbear.crawler.filter.inputs import Item
from tests.crawler.warcs import PACKINGS, PAGE, Counted, bomb, http, record

A, B, C = (f"http://{name}.example/" for name in "abc")


def items(tmp_path: Path, octets: bytes) -> list[Item]:
    """All of them, each written again."""
    path = tmp_path / "in.warc"
    path.write_bytes(octets)
    archive = Archive(path, tmp_path / "out.warc")
    some = list(archive.items())
    for item in some:
        archive.keep(item)
    archive.finish()
    return some


def found(some: list[Item]) -> list[tuple[str | None, object]]:
    """URL and status, or the name of the failure."""
    return [(item.url, item.page and (item.page.status or str(item.page.error))) for item in some]


def damage(some: list[Item]) -> list[str]:
    return [str(each).partition(", ")[2] for item in some for each in item.damage]


def cut_off(item: Item) -> bool:
    return any(each.cut for each in item.damage)


TEXT = b"".join(hashlib.sha256(bytes([each])).digest() for each in range(99))
"""Does not compress, so that bytes of it are missed."""
GOOD = (record(A), record(B, http(TEXT)), record(C))
Pack = Callable[[bytes], bytes]


def instead(octets: bytes) -> Callable[[list[bytes], Pack], list[bytes]]:
    """A record in place of the second."""
    return lambda some, pack: [some[0], pack(octets), some[2]]


DAMAGED: dict[str, tuple[Callable[[list[bytes], Pack], list[bytes]], str, str, bool]] = {
    # how the three are damaged; which are lost then of those that are packed, and of those that are not; cut off?
    "nothing is wrong": (lambda some, pack: some, "", "", False),
    "the last is cut": (lambda some, pack: [*some[:2], some[2][:-40]], "c", "c", True),
    "the file ends in a header": (lambda some, pack: [*some[:2], some[2][:30]], "c", "c", True),
    "the file ends in a beginning": (lambda some, pack: [*some[:2], some[2][:3]], "c", "c", True),
    "one is cut, and others follow": (lambda some, pack: [some[0], some[1][:-900], some[2]], "b", "b", False),
    "octets are missing": (lambda some, pack: [some[0], some[1][:900] + some[1][1000:], some[2]], "b", "b", False),
    "zeros in a header": (
        lambda some, pack: [some[0], some[1][:50] + bytes(60) + some[1][110:], some[2]],
        "b",
        "b",
        False,
    ),
    "zeros in a checksum": (lambda some, pack: [some[0], some[1][:-8] + bytes(8), some[2]], "b", "b", False),
    "the length is too small": (instead(record(B, length=len(http()) - 5)), "b", "b", False),
    "the length is too large": (instead(record(B, length=len(http()) + 50)), "b", "b", False),
    "the length reaches over the next": (instead(record(B, length=len(http()) + 300)), "b", "b", False),
    "the length is huge": (instead(record(B, length=10**15)), "b", "b", False),
    "the length is no number": (instead(record(B, length="+5")), "b", "b", False),
    "there is no length": (instead(record(B, length="")), "b", "b", False),
    "there are two lengths": (instead(record(B, None, "response", "Content-Length: 5")), "b", "b", False),
    "there are two URLs": (instead(record(B, None, "response", f"WARC-Target-URI: {A}")), "b", "b", False),
    "there is no type": (instead(record(B).replace(b"WARC-Type", b"Type")), "b", "b", False),
    "a line is no field": (instead(record(B, None, "response", "what")), "b", "b", False),
    "the version is not known": (instead(record(B, version="WARC/7.0")), "b", "b", False),
    "the version is damaged": (instead(record(B, version="XYZ")), "b", "b", False),
    "octets lie between": (lambda some, pack: [some[0], bytes(99), *some[1:]], "", "a", False),
    "lines lie between": (lambda some, pack: [some[0], b"error: disk full\nerror\n", *some[1:]], "", "a", False),
    "the type is not known": (instead(record(B, kind="rasponse")), "b", "b", False),
    "the digest is wrong": (instead(record(B, None, "response", "WARC-Block-Digest: md5:00")), "b", "b", False),
    "what goes on looks like a version": (
        instead(record(B, http(b"<p>\r\n\r\nWARC/1.0 is a format"), length=len(http(b"<p>")))),
        "b",
        "b",
        False,
    ),
    "octets stand first": (lambda some, pack: [b"\xef\xbb\xbf??", *some], "", "", False),
    "octets stand last": (lambda some, pack: [*some, bytes(99) + b"?"], "", "c", False),
    "NULs stand last": (lambda some, pack: [*some, bytes(70_000)], "", "", False),
    "line ends lie between": (lambda some, pack: [some[0], b"\r\n\r\n", *some[1:], b"\n"], "", "", False),
}
QUIET = {"nothing is wrong", "NULs stand last", "line ends lie between"}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_not_whole_is_known_and_the_rest_is_read(tmp_path: Path, packing: str, case: str) -> None:
    pack = PACKINGS[packing]
    damaging, packed, plain, cut = DAMAGED[case]
    lost = plain if packing == "plain" else packed
    some = items(tmp_path, b"".join(damaging([pack(each) for each in GOOD], pack)))
    whole = [item for item in some if not item.damage]
    assert [item.url for item in whole] == [url for url in (A, B, C) if url[7] not in lost]
    assert all(item.page and item.page.status == 200 for item in whole)
    broken = [item for item in some if item.damage]
    assert len(broken) == (case not in QUIET)
    for item in broken:
        assert item.url is None or (item.url[7] in lost and item.page and item.page.error)
        assert item.page is None or f"in.warc, {item.where}: " in item.page.memo["detail"]
        assert [each.cut for each in item.damage] == [cut]
    assert (tmp_path / "out.warc").read_bytes().strip(b"\r\n") == b"".join(
        pack(GOOD["abc".index(item.url[7])]) for item in whole if item.url
    ).strip(b"\r\n") or case == "line ends lie between"


HEADERS = {
    "WARC/0.17": record(A, version="WARC/0.17"),
    "WARC/0.18": record(A, version="WARC/0.18"),
    "WARC/1.0, URL in brackets": record(f"<{A}>", version="WARC/1.0"),
    "LF alone": record(A, end=b"\n"),
    "names in lower case (4)": record(A).replace(b"WARC-", b"warc-").replace(b"Content-L", b"content-l"),
    "a folded field (4)": record(A).replace(b"WARC-Target-URI: http", b"WARC-Target-URI:\r\n\t http"),
    "a blank before the colon": record(A).replace(b"Content-Length:", b"Content-Length :"),
    "a field twice, the same": record(A, None, "response", f"Content-Length: {len(http())}"),
    "one line end behind the block": record(A).removesuffix(b"\r\n"),
    "no line end behind the block": record(A).removesuffix(b"\r\n\r\n"),
    "LF behind the block": record(A).removesuffix(b"\r\n\r\n") + b"\n\n",
    "a length with half a line end in it, as of some wget": record(A, length=len(http()) + 1),
    "a length with the line ends in it": record(A, length=len(http()) + 4),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("case", HEADERS)
def test_headers_as_others_write_them(tmp_path: Path, packing: str, case: str) -> None:
    some = items(tmp_path, PACKINGS[packing](HEADERS[case]) + PACKINGS[packing](record(B)))
    assert found(some) == [(A, 200), (B, 200)]


def test_a_url_that_is_not_utf_8_is_escaped(tmp_path: Path) -> None:
    some = items(tmp_path, record(b"http://a.example/caf\xe9") + record("http://b.example/café"))
    assert [item.page and item.page.url for item in some] == ["http://a.example/caf%E9", "http://b.example/caf%C3%A9"]


TYPE = b"Content-Type: text/plain"
PACKED = gzip.compress(PAGE)
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE)
TE, CE = b"Transfer-Encoding: chunked", b"Content-Encoding: gzip"
ANSWERS: dict[str, tuple[bytes, int | str, bytes]] = {
    # block, status or failure, body or words about what is wrong
    "CRLF": (http(), 200, PAGE),
    "LF alone (RFC 9112 2.2)": (http(end=b"\n"), 200, PAGE),
    "CRLF and LF": (b"HTTP/1.1 200 OK\r\nA: b\n\r\n" + PAGE, 200, PAGE),
    "no reason (4)": (http(first=b"HTTP/1.1 200"), 200, PAGE),
    "HTTP/1.0": (http(first=b"HTTP/1.0 200 OK"), 200, PAGE),
    "HTTP/2": (http(first=b"HTTP/2 200"), 200, PAGE),
    "HTTP/3": (http(first=b"HTTP/3 200"), 200, PAGE),
    "an empty line in front": (b"\r\n" + http(), 200, PAGE),
    "a body behind a status without one": (http(first=b"HTTP/1.1 204 No Content"), 204, PAGE),
    "HTTP/2.0": (http(first=b"HTTP/2.0 200 "), 200, PAGE),
    "a pseudo-header": (http(PAGE, b":status: 200", TYPE), 200, PAGE),
    "a name with a blank": (http(PAGE, b"X Foo: 1", TYPE), 200, PAGE),
    "no value": (http(PAGE, b"X-Foo:", TYPE), 200, PAGE),
    "no fields": (b"HTTP/1.1 200 OK\r\n\r\n" + PAGE, 200, PAGE),
    "interim answers (RFC 9110 15.2)": (b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + http(), 200, PAGE),
    "no answer but an interim one": (b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n", 103, b""),
    "404": (http(b"no", first=b"HTTP/1.1 404 Not Found"), 404, b"no"),
    "an empty line behind the head, as of Nutch in 2018": (http(b"\r\n" + PAGE), 200, b"\r\n" + PAGE),
    "no head": (PAGE, "protocol", b"no HTTP head"),
    "nothing": (b"", "protocol", b"no HTTP head"),
    "a head that is cut off": (b"HTTP/1.1 200 OK\r\nContent-Type: te", "truncated", b"is cut off"),
    "a head without an end": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + PAGE, "truncated", b"is cut off"),
    "a status of two digits": (http(first=b"HTTP/1.1 20 OK"), "protocol", b"not a status line"),
    "a line that is no field": (http(PAGE, b"what", TYPE), "protocol", b"not a field"),
    "a line without a name": (http(PAGE, b": what", TYPE), "protocol", b"not a field"),
    "a field that begins with a blank": (http(PAGE, b" X: y", TYPE), "protocol", b"not a status line"),
    "NUL": (http(PAGE, b"X: \0", TYPE), "protocol", b"NUL"),
    "CR alone": (http(PAGE, b"X: y\rX-Robots-Tag: noai", TYPE), "protocol", b"CR without LF"),
    "a long head": (http(PAGE, b"X: " + bytes(b"y" * 300_000), TYPE), "protocol", b"longer"),
    "the body is longer than it says": (http(PAGE, b"Content-Length: 9", TYPE), 200, PAGE),
    "chunked (7.1)": (http(CHUNKED, TE), 200, PAGE),
    "chunk extensions (7.1.1)": (http(CHUNKED.replace(b"\r\n", b' ;a="b"\r\n', 1), TE), 200, PAGE),
    "trailer fields (7.1.2)": (http(CHUNKED[:-2] + b"X: y\r\n\r\n", TE), 200, PAGE),
    "no line behind the last chunk": (http(CHUNKED[:-2], TE), 200, PAGE),
    "chunks with LF": (http(CHUNKED.replace(b"\r\n", b"\n"), TE), 200, PAGE),
    "chunked twice, meant once": (http(CHUNKED, TE, TE), 200, PAGE),
    "chunked in the head alone": (http(PAGE, TE), 200, PAGE),
    "chunked and is cut off": (http(CHUNKED[:-9], TE), "truncated", b"is cut off"),
    "chunked and ends before the last chunk": (http(CHUNKED[:-5], TE), "truncated", b"is cut off"),
    "a chunk that is too long": (http(CHUNKED.replace(PAGE, PAGE + b"!!"), TE), "protocol", b"longer than it says"),
    "a second chunk without size": (http(CHUNKED[:-5] + b"?\r\n", TE), "protocol", b"not the size of a chunk"),
    "a chunk of more than there is": (http(b"ffffffffffffffff\r\nx", TE), "truncated", b"is cut off"),
    "text that looks like the last chunk": (http(b"0\r\nmore text", TE), "protocol", b"goes on"),
    "chunked and empty": (http(b"", TE), "truncated", b"no chunk"),
    "chunked and empty, and moved": (http(b"", TE, first=b"HTTP/1.1 301 Moved"), 301, b""),
    "gzip": (http(PACKED, CE), 200, PAGE),
    "x-gzip (RFC 9110 8.4.1.3)": (http(PACKED, b"content-encoding: X-GZIP"), 200, PAGE),
    "gzip and chunked": (http(b"%x\r\n%b\r\n0\r\n\r\n" % (len(PACKED), PACKED), CE, TE), 200, PAGE),
    "gzip as a transfer coding": (http(PACKED, b"Transfer-Encoding: gzip"), 200, PAGE),
    "deflate": (http(zlib.compress(PAGE), b"Content-Encoding: deflate"), 200, PAGE),
    "deflate without a wrapper": (http(zlib.compress(PAGE)[2:-4], b"Content-Encoding: deflate"), 200, PAGE),
    "br": (http(brotli.compress(PAGE), b"Content-Encoding: br"), 200, PAGE),
    "gzip in the head alone": (http(PAGE, CE), 200, PAGE),
    "gzip twice in the head, once in the body": (http(PACKED, CE, CE), 200, PAGE),
    "gzip and chunked in the head alone": (http(PAGE, CE, TE), 200, PAGE),
    "deflate in the head alone": (http(b"{" + PAGE, b"Content-Encoding: deflate"), 200, b"{" + PAGE),
    "br in the head alone": (http(PAGE, b"Content-Encoding: br"), 200, PAGE),
    "no coding that is known": (http(PAGE, b"Content-Encoding: utf-8"), 200, PAGE),
    "gzip in the head alone, Latin-1": (http(b"caf\xe9 " * 99, CE), 200, b"caf\xe9 " * 99),
    "gzip in the head alone, UTF-16": (http(PAGE.decode().encode("utf-16"), CE), 200, PAGE.decode().encode("utf-16")),
    "gzip in the head alone, an image": (http(b"\x89PNG\r\n\x1a\n\0\0", CE), 200, b"\x89PNG\r\n\x1a\n\0\0"),
    "gzip and is cut off": (http(PACKED[:-9], CE), "truncated", b"is cut off"),
    "gzip and damaged": (http(PACKED[:-8] + bytes(8), CE), "protocol", b"gzip"),
    "neither gzip nor a text": (http(b"\0\1\2\3", CE), "protocol", b"gzip"),
    "gzip and is cut off, and is absent": (http(PACKED[:-9], CE, first=b"HTTP/1.1 404 Not Found"), 404, b""),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_as_others_store_them(tmp_path: Path, case: str) -> None:
    block, outcome, body = ANSWERS[case]
    [item, other] = items(tmp_path, record(A, block) + record(B))
    assert found([other]) == [(B, 200)]
    assert found([item]) == [(A, outcome)]
    assert item.page
    if isinstance(outcome, int):
        assert (item.page.body, item.damage) == (body, ())
    else:
        assert body.decode() in item.page.memo["detail"]
        assert [f"{item.page.memo['detail']}"] == list(map(str, item.damage))


def test_fields_are_as_they_were_sent(tmp_path: Path) -> None:
    fields = (b"X-Crawler-Content-Encoding: gzip", b"Content-Length: 9", b"X-A: b\r\n\t c", b"x-b :caf\xc3\xa9")
    [item] = items(tmp_path, record(A, http(PAGE, *fields)))
    assert item.page
    assert item.page.headers == (("Content-Encoding", "gzip"), ("Content-Length", "9"), ("X-A", "b c"), ("x-b", "café"))


NOAI = b"X-Robots-Tag: noai"
ID = "WARC-Record-ID: <urn:1>"
GROUPS: dict[str, tuple[list[bytes], list[tuple[str | None, object]]]] = {
    "request, response and metadata": (
        [record(A, b"GET", "request"), record(A), record(A, b"", "metadata"), record(B)],
        [(A, 200), (B, 200)],
    ),
    "two responses of a URL are two pages": ([record(A), record(A, PAGE)], [(A, 200), (A, "protocol")]),
    "each with its request before it": (
        [record(A, b"GET", "request"), record(A), record(A, b"GET", "request"), record(A, PAGE)],
        [(A, 200), (A, "protocol")],
    ),
    "each with its request behind it": (
        [record(A), record(A, b"GET", "request"), record(A, PAGE), record(A, b"GET", "request")],
        [(A, 200), (A, "protocol")],
    ),
    "metadata that is broken takes its page with it": (
        [record(A), record(A, b"x", "metadata", length=0), record(B)],
        [(A, "protocol"), (B, 200)],
    ),
    "an answer that cannot be read, behind its request": (
        [record(A, b"GET", "request"), b"\0" * 9 + b"\n", record(B)],
        [(A, "protocol"), (B, 200)],
    ),
    "a revisit with a head": ([record(A, http(b"", NOAI), "revisit")], [(A, 200)]),
    "a head that does not end": ([record(A, http(b"", NOAI)[:-2], "revisit")], [(A, 200)]),
    "not modified: as if 200 (RFC 9110 15.4.5)": (
        [record(A, http(b"", NOAI, first=b"HTTP/1.1 304 Not Modified"), "revisit")],
        [(A, 200)],
    ),
    "a revisit without a head": ([record(A, b"", "revisit", "WARC-Truncated: length")], [(A, None)]),
    "a revisit whose body is elsewhere": (
        [record(A, http(b"", NOAI, b"Content-Length: 9"), "revisit", "WARC-Truncated: length")],
        [(A, 200)],
    ),
    "a revisit without the end of its header, as of Heritrix": (
        [record(A, b"", "revisit").removesuffix(b"\r\n"), record(B)],
        [(A, None), (B, 200)],
    ),
    "a revisit that cannot be read": ([record(A, b"what", "revisit")], [(A, "protocol")]),
    "resource": ([record(A, PAGE, "resource", "Content-Type: text/html")], [(A, 200)]),
    "a type that is not known, without URL": ([record(None, b"x", "rasponse"), record(B)], [(None, None), (B, 200)]),
    "a type that is not known, and nothing in it": ([record(None, b"", "rasponse"), record(B)], [(B, 200)]),
    "a part of the body in a revisit": (
        [record(A, http(), "revisit", "WARC-Truncated: length")],
        [(A, "truncated")],
    ),
    "conversion": ([record(A, b"words", "conversion")], [(A, None)]),
    "what was cut off when it was written": (
        [record(A, None, "response", "WARC-Truncated: length")],
        [(A, "truncated")],
    ),
    "a segment": ([record(A, None, "response", "WARC-Segment-Number: 1")], [(A, "truncated")]),
    "another segment": (
        [record(A, b"more", "continuation", "WARC-Segment-Number: 2")],
        [(A, "truncated")],
    ),
    "no http(s) URL": (
        [record("dns:a.example", b"1", "response"), record(None)],
        [("dns:a.example", None), (None, None)],
    ),
    "warcinfo": ([record(None, b"a: b", "warcinfo"), record(A)], [(A, 200)]),
    "metadata about a record of a page": (
        [record(A, None, "response", ID), record(None, b"a: b", "metadata", "WARC-Refers-To: <urn:1>")],
        [(A, 200)],
    ),
}


@pytest.mark.parametrize("case", GROUPS)
def test_records_about_one_url_stay_or_leave_together(tmp_path: Path, case: str) -> None:
    records, outcome = GROUPS[case]
    some = items(tmp_path, b"".join(records))
    assert found(some) == outcome
    assert all(len(item.content) < len(records) for item in some if item.damage)
    assert sum(len(item.content) + len(item.damage) for item in some) in (len(records), len(records) - 1)
    pages = [item.page for item in some if item.page and NOAI in b"".join(records)]
    assert all(("X-Robots-Tag", "noai") in page.headers for page in pages)


MAGIC = gzip.compress(b"")[:10]
HTTP = "Content-Type: application/http; msgtype=response"
BODIES: dict[str, tuple[bytes, bytes, str]] = {
    # a record with all of its answer, and its body and Content-Type
    "a revisit with its body": (record(A, http(), "revisit"), PAGE, "text/html"),
    "a revisit after 304": (record(A, http(first=b"HTTP/1.1 304 Not Modified"), "revisit"), PAGE, "text/html"),
    "a revisit with its body in a coding": (record(A, http(PACKED, CE, TYPE), "revisit"), PAGE, "text/plain"),
    "a resource with its head": (record(A, http(), "resource", HTTP), PAGE, "text/html"),
    "a resource that is a request": (
        record(A, PAGE, "resource", "Content-Type: application/http;msgtype=request"),
        PAGE,
        "application/http;msgtype=request",
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_is_read_whatever_the_record_is_called(tmp_path: Path, case: str) -> None:
    octets, body, kind = BODIES[case]
    [item] = items(tmp_path, octets)
    assert item.page
    assert (item.page.status, item.page.body, item.page.header("content-type")) == (200, body, [kind])


def over(*records: bytes, more: str = "Content-Type: application/http", fields: tuple[bytes, ...] = (TYPE,)) -> bytes:
    """A record whose length reaches over others, up to the end of the last."""
    block = (http(PAGE, *fields) + b"\r\n\r\n" + b"".join(records)).removesuffix(b"\r\n\r\n")
    return record(A, block, "response", more)


def digest(name: str, encode: Callable[[bytes], bytes], octets: bytes | None = None) -> str:
    value = encode(
        hashlib.new(name, over(record(B)).partition(b"\r\n\r\n")[2][:-4] if octets is None else octets).digest()
    )
    return f"WARC-Block-Digest: {name}:{value.decode()}"


INNER = record(B)
LENGTH = b"Content-Length: %d"
LOST: list[tuple[str | None, object]] = [(A, "protocol"), (B, "protocol"), (C, 200)]
WITHIN: dict[str, tuple[bytes, list[tuple[str | None, object]]]] = {
    # a record with another within its block, or beside it in one gzip member; what is read, with C behind it
    "a length that reaches over the next": (over(INNER), LOST),
    "over two": (over(INNER, INNER), [(A, "protocol"), (B, "protocol"), (B, "protocol"), (C, 200)]),
    "the answer ends before the next": (over(INNER, fields=(TYPE, LENGTH % len(PAGE))), LOST),
    "the answer says more than there is": (over(INNER, fields=(TYPE, LENGTH % 9999)), LOST),
    "the answer says two lengths": (over(INNER, fields=(TYPE, LENGTH % 999, LENGTH % 1)), LOST),
    "metadata that reaches over the next": (record(A, b"a: b\r\n\r\n" + INNER[:-4], "metadata"), LOST),
    "a page about WARC": (over(INNER, fields=(TYPE, LENGTH % (len(PAGE) + len(INNER)))), [(A, 200), (C, 200)]),
    "a page about versions": (over(b"WARC/1.1\r\nis a version.\r\n\r\n"), [(A, 200), (C, 200)]),
    "the digest is right": (over(INNER, more=digest("sha1", b32encode)), [(A, 200), (C, 200)]),
    "in lower case": (over(INNER, more=digest("sha1", lambda octets: b32encode(octets).lower())), [(A, 200), (C, 200)]),
    "SHA-256": (over(INNER, more=digest("sha256", hexlify)), [(A, 200), (C, 200)]),
    "MD5 in Base64": (over(INNER, more=digest("md5", b64encode)), [(A, 200), (C, 200)]),
    "the digest is wrong": (over(INNER, more=digest("sha1", b32encode, b"")), LOST),
    "the digest is by an algorithm that is not known": (over(INNER, more="WARC-Block-Digest: crc32:0"), LOST),
    "packed by itself": (gzip.compress(over(INNER)), [(A, 200), (C, 200)]),
    "packed together": (gzip.compress(record(A) + INNER), LOST),
    "packed together, and the length is wrong": (gzip.compress(record(A, length=9) + INNER), LOST),
    "packed together, and cut off": (
        gzip.compress(record(A) + INNER)[:-9],
        [(A, "truncated"), (B, "truncated"), (C, 200)],
    ),
}


@pytest.mark.parametrize("case", WITHIN)
def test_a_record_within_another_is_never_passed_over(tmp_path: Path, case: str) -> None:
    octets, outcome = WITHIN[case]
    some = items(tmp_path, octets + (gzip.compress(record(C)) if octets[:2] == MAGIC[:2] else record(C)))
    assert found(some) == outcome
    assert [len(item.damage) for item in some] == [not (item.page and item.page.status) for item in some]


def test_a_revisit_may_have_the_digest_of_the_whole(tmp_path: Path) -> None:
    wrong = digest("sha1", b32encode, b"")
    cut = (wrong, "WARC-Truncated: length")
    some = items(tmp_path, record(A, http(b""), "revisit", wrong) + record(B, None, "response", *cut))
    assert found(some) == [(A, 200), (B, "truncated")]
    assert not damage(some)


def test_a_bomb_of_records_leaves_no_more_than_it_is_large(tmp_path: Path) -> None:
    some = items(tmp_path, gzip.compress(record(A) + record(B, b"") * 50_000))
    assert 100 < len(some) < 2_000
    assert not any(item.page and item.page.status for item in some)


def test_a_dictionary_that_is_broken_leaves_nothing(tmp_path: Path) -> None:
    words = zstandard.train_dictionary(1024, [record(A, http(bytes([each]) * 99)) for each in range(99)])
    packer = zstandard.ZstdCompressor(dict_data=words)
    head = b"\x5d\x2a\x4d\x18" + len(words.as_bytes()).to_bytes(4, "little")
    octets = packer.compress(record(A)) + packer.compress(record(B))
    assert found(items(tmp_path, head + words.as_bytes() + octets)) == [(A, 200), (B, 200)]
    packed_head = head[:4] + len(zstandard.compress(words.as_bytes())).to_bytes(4, "little")
    assert found(items(tmp_path, packed_head + zstandard.compress(words.as_bytes()) + octets)) == [(A, 200), (B, 200)]
    for broken in (head[:4] + b"\xff\xff\xff\xff" + words.as_bytes(), head + bytes(len(words.as_bytes()))):
        some = items(tmp_path, broken + octets)
        assert damage(some)
        assert not any(item.page and item.page.status for item in some)


def test_what_is_large_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc_records, "MAX_BLOCK", 5000)
    monkeypatch.setattr(packed, "FREE", 1 << 20)
    head = record(A, length=len(http()) + (8 << 20)).removesuffix(b"\r\n\r\n")
    large = record(A, http(bytes(5000)))
    assert found(items(tmp_path, record(A, bytes(5001), "revisit"))) == [(A, "too-large")]
    for octets, wrong in ((large, 0), (gzip.compress(large), 0), (bomb(head, 8 << 20), 1)):
        some = items(tmp_path, octets + (record(B) if octets is large else gzip.compress(record(B))))
        assert found(some) == [(A, "too-large"), (B, 200)]
        assert len(damage(some)) == wrong


VERSION = b"WARC/1.1\r\nWARC-Type: response\r\n"
STORED = MAGIC + b"\x00\xff\xff\x00\x00WARC/1.0\r\n"
HOSTILE: dict[str, tuple[bytes, int]] = {
    # bytes, and how often each may be read
    "a header without end": (b"WARC/1.1\r\n" + b"A: b\r\n" * 400_000, 8),
    "a field without end": (b"WARC/1.1\r\nA: " + b"b" * 2_000_000, 8),
    "a field that is folded and folded": (b"WARC/1.1\r\nA: b\r\n" + b" b\r\n" * 400_000, 8),
    "beginnings of records": (VERSION * 30_000, 60),
    "beginnings of records in fields": (b"a:WARC/1.1\r\nWARC-a:" * 30_000, 60),
    "records that claim to be long": ((VERSION + b"Content-Length: 900000\r\n\r\n") * 20_000, 60),
    "beginnings of members": (MAGIC * 60_000, 200),
    "members that end nowhere": (STORED * 20_000, 200),
    "frames": (b"\x28\xb5\x2f\xfd\x04\x00" * 60_000, 400),
    "line ends": (b"\r\n" * 400_000, 2),
    "members with several records": (gzip.compress(record(A) + record(B)) * 5_000, 20),
    "a block of records": (record(A, http(b"\r\n\r\n" + record(B) * 5_000)), 4),
    "NULs between broken records": ((bytes(3000) + b"WARC/1.1\r\nWARC-") * 500, 60),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_read_in_linear_time(case: str) -> None:
    octets, times = HOSTILE[case]
    file = Counted(octets)
    records = list(WarcFile(file, "in.warc").records())
    assert all(record.damage for record in records)
    assert file.count <= times * len(octets)
