from __future__ import annotations

import pytest

from forbear.optout.model import Capture
from forbear.optout.readers.heavy import LIGHT, is_heavy
from tests.optout.pictures import picture

HTML = "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("kind", "body", "heavy"),
    [
        (HTML, b"<!doctype html><p>text", False),
        (HTML, b'<?xml version="1.0"?><!DOCTYPE html><html><p>text</html>', False),
        (HTML, b"\xef\xbb\xbf\n<p>\xe9</p>", False),
        (HTML, b"<p>text" + b" " * LIGHT, True),
        (HTML, "<p>text".encode("utf-16"), True),
        (HTML, b"PK\x03\x04", True),
        (HTML, b"\n%PDF-1.7\n", True),
        (HTML, picture(), True),
        ("", b"<!DOCTYPE html><p>text", False),
        ("", b"<p>text", False),
        ("", b"<svg/>", True),
        ("", b"", False),
        ("text/plain", b"User-agent: *\nDisallow: /\n", False),
        ("text/plain", b"<rsl/>", True),
        ("application/json", b'[{"location": "/"}]', False),
        ("application/ld+json", b"{}", False),
        ("application/xml", b"<rsl/>", True),
        ("text/xml", b"<rsl/>", True),
        ("application/rsl+xml", b"<rsl/>", True),
        ("application/xhtml+xml", b"<html/>", True),
        ("image/svg+xml", b"<svg/>", True),
        ("image/jpeg", b"no picture", True),
        ("application/pdf", b"no document", True),
        ("application/octet-stream", b"text", True),
        ("image/png", b"", False),
    ],
)
def test_pictures_archives_documents_and_xml_are_heavy_and_pages_are_not(kind: str, body: bytes, heavy: bool) -> None:
    assert is_heavy(Capture("https://a.example/", 200, (("Content-Type", kind),) if kind else (), body)) is heavy
