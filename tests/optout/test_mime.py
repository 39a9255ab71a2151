"""Media types: Fetch standard, "extract a MIME type"; MIME Sniffing standard 4.4 and 7.1."""

from __future__ import annotations

import pytest

from forbear.optout.readers import mime

PARSED = [
    # a value, the type as it is serialised
    ("text/html", "text/html"),
    (" TEXT/Html ; Charset=UTF-8 ", "text/html;charset=UTF-8"),
    ("text/html;charset=a;charset=b", "text/html;charset=a"),
    ("text/html;a;;b=;c =x;charset=z", "text/html;charset=z"),
    ('text/html;charset="a\\"b" c;d=e', 'text/html;charset="a\\"b";d=e'),
    ('text/html;charset="', 'text/html;charset=""'),
    ('text/html;charset="a;b', 'text/html;charset="a;b"'),
    ('text/html;a="\\', 'text/html;a="\\\\"'),
    ("text/html;a=\u0100;b=c", "text/html;b=c"),
    ("text/html;a='b'", "text/html;a='b'"),
    ("", None),
    ("html", None),
    ("text/", None),
    ("text/html charset=utf-8", None),
    ("text/html: charset=utf-8", None),
    ("text/html/x", None),
    ("te xt/html", None),
]


@pytest.mark.parametrize(("value", "expected"), PARSED)
def test_parse(value, expected):
    found = mime.parse(value)
    assert (str(found) if found else None) == expected


EXTRACTED = [
    # the fields of an answer, the type that counts
    (["text/html,text/html"], "text/html"),
    (["text/html, text/html; charset=utf-8"], "text/html;charset=utf-8"),
    (["text/plain", "text/html"], "text/html"),
    (["text/html", "text/plain"], "text/plain"),
    (["text/html;charset=a", "text/html"], "text/html;charset=a"),
    (["text/html;charset=a", "text/plain", "text/html"], "text/html"),
    (["text/html", "*/*", "", "nonsense"], "text/html"),
    (['text/html;a=",text/plain'], 'text/html;a=",text/plain"'),
    (['text/html;a="b,c";charset=d, x'], 'text/html;a="b,c";charset=d'),
    (["*/*"], None),
    ([], None),
]


@pytest.mark.parametrize(("fields", "expected"), EXTRACTED)
def test_extract(fields, expected):
    found = mime.extract(mime.valid(fields))
    assert (str(found) if found else None) == expected


SNIFFED = [
    (b"\n <!DOCTYPE html>", "text/html"),
    (b"<p>", "text/html"),
    (b"<!-- x", "text/html"),
    (b"<pre>", "text/plain"),
    (b"<?xml version='1.0'?>", "text/xml"),
    (b"%PDF-1.7", "application/pdf"),
    (b"\xef\xbb\xbf\0", "text/plain"),
    (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4"),
    (b"PK\x03\x04", "application/zip"),
    (b"words", "text/plain"),
    (b"words\x01", "application/octet-stream"),
    (b"w" * mime.MAX_HEADER + b"\x01", "text/plain"),
    (b"", "text/plain"),
]


@pytest.mark.parametrize(("octets", "expected"), SNIFFED)
def test_sniff(octets, expected):
    assert mime.sniff(octets) == expected
