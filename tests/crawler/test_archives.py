"""Answers in WARC files instead of those of hosts (``filter --snapshot``): the newest counts, readable or not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from forbear.crawler.filter.sources import Archives
from tests.crawler.warcs import http, record

URL = "http://a.example/robots.txt"
TYPE = b"Content-Type: text/plain"
OLD, NEW = b"User-agent: *\nAllow: /\n", b"User-agent: *\nDisallow: /\n"
SAME, OTHER = ("WARC-Payload-Digest: sha1:" + letter * 32 for letter in "AB")
ID = "WARC-Record-ID: <urn:1>"
WHERE = f"WARC-Refers-To-Target-URI: {URL}"
WHEN = "WARC-Refers-To-Date: {}-01-01T00:00:00Z".format
MODIFIED = http(b"", TYPE, b"Content-Length: 99")
UNMODIFIED = http(b"", b"ETag: x", first=b"HTTP/1.1 304 Not Modified")


def dated(octets: bytes, year: int) -> bytes:
    return octets.replace(b"WARC-Date: 2026", b"WARC-Date: %d" % year)


def revisit(block: bytes, *more: str) -> bytes:
    return record(URL, block, "revisit", *more)


ANSWER = record(URL, http(OLD, TYPE), "response", ID, SAME)
NEWER: dict[str, tuple[bytes, int | str, bytes]] = {
    # a newer record about robots.txt; the status that counts, or the failure, and the body
    "a response": (record(URL, http(NEW, TYPE)), 200, NEW),
    "a resource": (record(URL, NEW, "resource", "Content-Type: text/plain"), 200, NEW),
    "a type that is not known": (record(URL, http(NEW, TYPE), "rasponse"), "protocol", b""),
    "the text of it alone": (record(URL, NEW, "conversion"), 200, OLD),
    "a request": (record(URL, b"GET", "request"), 200, OLD),
    "a record that is broken": (record(URL, http(NEW, TYPE), length=9), "protocol", b""),
    "a record in another": (record("http://b.example/", http(b"x\r\n\r\n" + record(URL)[:-4], TYPE)), "protocol", b""),
    "a revisit with its body": (revisit(http(NEW, TYPE)), 200, NEW),
    "a revisit that says nothing": (revisit(MODIFIED), "truncated", b""),
    "a revisit with neither head nor reference": (revisit(b""), "truncated", b""),
    "a revisit of another payload": (revisit(MODIFIED, OTHER), "truncated", b""),
    "a revisit of the payload": (revisit(MODIFIED, SAME), 200, OLD),
    "a revisit of the payload, without a head": (revisit(b"", SAME), 200, OLD),
    "a revisit after 304": (revisit(UNMODIFIED, "WARC-Refers-To: <urn:1>"), 200, OLD),
    "a revisit of a URL and date": (revisit(UNMODIFIED, WHERE, WHEN(2026)), 200, OLD),
    "a revisit of another date": (revisit(UNMODIFIED, WHERE, WHEN(2025)), "truncated", b""),
    "a revisit of another id": (revisit(UNMODIFIED, "WARC-Refers-To: <urn:2>"), "truncated", b""),
    "a revisit whose payload is not that of the record": (
        revisit(MODIFIED, OTHER, "WARC-Refers-To: <urn:1>"),
        "truncated",
        b"",
    ),
    "a revisit that is gone": (revisit(http(b"", first=b"HTTP/1.1 404 Not Found"), OTHER), 404, b""),
    "a revisit that cannot be read": (revisit(b"what", SAME), "protocol", b""),
}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("case", NEWER)
def test_the_newest_record_about_a_place_counts(tmp_path: Path, case: str, apart: bool) -> None:
    octets, outcome, body = NEWER[case]
    records = [dated(octets, 2027), ANSWER]
    paths = [tmp_path / f"{number}.warc" for number in range(2 if apart else 1)]
    for path, content in zip(paths, records if apart else [b"".join(records)], strict=True):
        path.write_bytes(content)
    found = Archives(paths, lambda damage: None).get(URL)
    assert found
    assert (found.capture.status or str(found.capture.error), found.capture.body) == (outcome, body)
    assert found.capture.url == URL


def test_an_older_revisit_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(dated(revisit(MODIFIED, OTHER), 2025) + ANSWER)
    found = Archives([path], lambda damage: None).get(URL)
    assert found
    assert found.capture.body == OLD


def test_a_revisit_of_an_answer_that_says_no_more_than_that_it_failed(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    busy = record(URL, http(b"", first=b"HTTP/1.1 503 Busy"), "response", SAME)
    path.write_bytes(busy + dated(revisit(b"", SAME), 2027))
    found = Archives([path], lambda damage: None).get(URL)
    assert found
    assert found.capture.status == 503


def test_files_that_are_compressed_as_a_whole_defer_whom_they_speak_of(tmp_path: Path) -> None:
    path, noted = tmp_path / "a.warc.gz", []
    whole = record("http://b.example/") + dated(record(URL, http(NEW, TYPE)), 2027)
    path.write_bytes(gzip.compress(ANSWER) + gzip.compress(whole))
    found = Archives([path], noted.append).get(URL)
    assert found
    assert str(found.capture.error) == "protocol"
    assert len(noted) == 2
