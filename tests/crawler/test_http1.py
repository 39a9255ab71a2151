"""What RFC 9110 and 9112 make of an answer's bytes, whatever pieces they come in; h11 reads along."""

from __future__ import annotations

import random

import pytest

from forbear.crawler.fetch import http1
from forbear.crawler.fetch.http1 import MAX_HEAD, AnswerReader, BadAnswer
from forbear.optout.model import Failure
from tests.crawler.exchanges import by_h11, read

MAX_FRAMING = 60_000
"""A limit that is met sooner than that of crawls."""
BODY = b"User-agent: *\nDisallow: /x\n"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d" % len(BODY)
CODED = b"Transfer-Encoding: chunked"


def answer(*fields: bytes, body: bytes = BODY, status: bytes = b"HTTP/1.1 200 OK", end: bytes = b"\r\n") -> bytes:
    return end.join([status, *fields]) + 2 * end + body


def chunked(*fields: bytes, body: bytes = CHUNKED, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return answer(*(fields or (CODED,)), body=body, status=status)


WHOLE = {
    "RFC 9112 2.2: LF ends a line": answer(LENGTH, end=b"\n"),
    "RFC 9112 2.2: an empty line before the answer": b"\r\n\r\n" + answer(LENGTH),
    "RFC 9112 4: no reason": answer(LENGTH, status=b"HTTP/1.1 200"),
    "RFC 9112 4: an empty reason": answer(LENGTH, status=b"HTTP/1.1 200 "),
    "RFC 9112 5.1: a blank before the colon": answer(b"X-Robots-Tag : noai", LENGTH),
    "RFC 9112 5.2: a folded field": answer(b"X-Robots-Tag: noindex,\r\n noai", LENGTH),
    "RFC 9112 6.1: chunked overrides a length": chunked(CODED, b"Content-Length: 5"),
    "RFC 9112 6.1: chunked said twice": chunked(CODED, CODED),
    "RFC 9112 6.1: chunked listed twice": chunked(b"Transfer-Encoding: chunked, chunked"),
    "RFC 9110 5.6.1: an empty member of a list": chunked(b"Transfer-Encoding: , Chunked,"),
    "RFC 2616 3.6: identity is no coding": answer(b"Transfer-Encoding: identity", LENGTH),
    "RFC 9112 6.1: an empty Transfer-Encoding": answer(b"Transfer-Encoding:", LENGTH),
    "RFC 9110 8.6: a length twice": answer(LENGTH, LENGTH),
    "RFC 9110 8.6: a list of equal lengths": answer(LENGTH + b", %d" % len(BODY)),
    "RFC 9110 8.6: leading zeros": answer(b"Content-Length: 00%d" % len(BODY), LENGTH),
    "RFC 9112 6.3: octets behind the body": answer(LENGTH, body=BODY + b"HTTP/1.1 404 No\r\n\r\n"),
    "RFC 9112 6.3: no length": answer(),
    "RFC 9112 6.3: HTTP/1.0 without length": answer(status=b"HTTP/1.0 200 OK"),
    "RFC 9112 7.1.1: extensions of a chunk": chunked(body=b'%x;a=b;c="d"\r\n%b\r\n0;x\r\n\r\n' % (len(BODY), BODY)),
    "RFC 9112 7.1: blanks behind a size": chunked(body=b"%x \t\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "RFC 9112 7.1: zeros before a size": chunked(body=b"000%X\r\n%b\r\n000\r\n\r\n" % (len(BODY), BODY)),
    "RFC 9112 7.1.2: a trailer": chunked(body=CHUNKED[:-2] + b"X-Robots-Tag: noai\r\n\r\n"),
    "RFC 9112 8: cut behind the last chunk": chunked(body=CHUNKED[:-2]),
    "RFC 9110 15.2: interim answers": answer(b"Link: </a>", body=b"", status=b"HTTP/1.1 103 Early Hints") * 3
    + answer(LENGTH),
    "a field of 200 kB": answer(b"Content-Security-Policy: " + b"a" * 200_000, LENGTH),
    "small chunks, as servers write them": chunked(
        body=b"".join(b"1\r\n%c\r\n" % octet for octet in BODY) + b"0\r\n\r\n"
    ),
    "a thousand fields": answer(*[b"Set-Cookie: c%d=1" % number for number in range(1_000)], LENGTH),
}

FAULTS = {
    "RFC 9112 6.3: lengths that differ": (answer(LENGTH, b"Content-Length: 5"), Failure.PROTOCOL),
    "RFC 9112 6.3: a list of lengths that differ": (answer(b"Content-Length: 5, 27"), Failure.PROTOCOL),
    "RFC 9110 8.6: less than nothing": (answer(b"Content-Length: -1"), Failure.PROTOCOL),
    "RFC 9110 8.6: a sign": (answer(b"Content-Length: +27"), Failure.PROTOCOL),
    "RFC 9110 8.6: nothing": (answer(b"Content-Length:"), Failure.PROTOCOL),
    "RFC 9110 8.6: more than there can be": (answer(b"Content-Length: " + b"9" * 5_000), Failure.PROTOCOL),
    "RFC 9112 7: a coding that was not asked for": (answer(b"Transfer-Encoding: gzip, chunked"), Failure.PROTOCOL),
    "RFC 9112 7.1: a parameter": (chunked(b"Transfer-Encoding: chunked;q=1"), Failure.PROTOCOL),
    "RFC 9112 7.1: no chunks": (chunked(body=BODY), Failure.PROTOCOL),
    "RFC 9112 7.1: 0x": (chunked(body=b"0x" + CHUNKED), Failure.PROTOCOL),
    "RFC 9112 7.1: a chunk longer than it says": (chunked(body=b"1" + CHUNKED[2:]), Failure.PROTOCOL),
    "RFC 9112 7.1: lines of chunks end with CRLF": (chunked(body=CHUNKED.replace(b"\r", b"")), Failure.PROTOCOL),
    "RFC 9112 8: no last chunk": (chunked(body=CHUNKED[:-5]), Failure.TRUNCATED),
    "RFC 9112 8: shorter than said": (answer(b"Content-Length: 28"), Failure.TRUNCATED),
    "RFC 9112 2.2: a blank before the first field": (answer(b" X-Robots-Tag: noai", LENGTH), Failure.PROTOCOL),
    "RFC 9112 2.2: CR alone": (answer(b"X: a\rb", LENGTH), Failure.PROTOCOL),
    "RFC 9110 5.5: NUL": (answer(b"X: a\0b", LENGTH), Failure.PROTOCOL),
    "RFC 9112 5: no colon": (answer(b"X-Robots-Tag noai", LENGTH), Failure.PROTOCOL),
    "RFC 9110 5.1: a name of two words": (answer(b"X Robots: noai", LENGTH), Failure.PROTOCOL),
    "RFC 9112 4: four digits": (answer(LENGTH, status=b"HTTP/1.1 2000 OK"), Failure.PROTOCOL),
    "RFC 9110 15.2.2: another protocol": (answer(status=b"HTTP/1.1 101 Hm"), Failure.PROTOCOL),
    "HTTP/0.9": (BODY, Failure.PROTOCOL),
    "ICY": (answer(LENGTH, status=b"ICY 200 OK"), Failure.PROTOCOL),
    "nothing": (b"", Failure.RESET),
    "half a head": (answer(LENGTH)[:20], Failure.RESET),
    "a head without end": (answer(b"X: " + b"x" * MAX_HEAD, LENGTH), Failure.PROTOCOL),
    "more fields than anybody sends": (answer(*[b"X: y"] * 5_001, LENGTH), Failure.PROTOCOL),
    "interim answers without end": (answer(b"X: y", body=b"", status=b"HTTP/1.1 100 Go") * 12_000, Failure.PROTOCOL),
    "a body in chunks of one octet": (chunked(body=b"1\r\nx\r\n" * (MAX_FRAMING // 4 + 1)), Failure.PROTOCOL),
    "a trailer without end": (chunked(body=CHUNKED[:-2] + b"X: y\r\n" * (MAX_FRAMING // 6 + 5)), Failure.PROTOCOL),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_permitted_is_read(case: str) -> None:
    for size in (1 << 20, 1000, 1):
        reader, body = read(WHOLE[case], size)
        assert reader.head
        assert (reader.head.status, body) == (200, BODY)


@pytest.mark.parametrize("case", FAULTS)
def test_what_leaves_a_doubt_is_not_an_answer(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "MAX_FRAMING", MAX_FRAMING)
    octets, failure = FAULTS[case]
    for size in (1 << 20, 1000):
        with pytest.raises(BadAnswer) as raised:
            read(octets, size)
        assert raised.value.failure is failure


def test_fields_are_as_received() -> None:
    fields = (
        b"x-ROBOTS-tag:noai",
        b"X-Robots-Tag :\t a,\r\n\t b ",
        b"Content-Length: 0",
        b"Content-Length: 0",
        b"A: \xe9",
    )
    reader, _ = read(answer(*fields, body=b""), 1000)
    assert reader.head
    assert reader.head.fields == (
        (b"x-ROBOTS-tag", b"noai"),
        (b"X-Robots-Tag", b"a, b"),
        (b"Content-Length", b"0"),
        (b"Content-Length", b"0"),
        (b"A", b"\xe9"),
    )


def test_an_end_that_tls_does_not_vouch_for_is_none() -> None:
    """RFC 9112 9.8."""
    with pytest.raises(BadAnswer) as raised:
        read(answer(), 1000, closed=False)
    assert raised.value.failure is Failure.TRUNCATED
    for whole in (answer(LENGTH), chunked()):
        assert read(whole, 1000, closed=False)[1] == BODY


@pytest.mark.parametrize(
    ("octets", "method", "body", "persistent"),
    [
        (answer(LENGTH), "GET", BODY, True),
        (answer(LENGTH, b"Connection: close"), "GET", BODY, False),
        (answer(LENGTH, status=b"HTTP/1.0 200 OK"), "GET", BODY, False),
        (answer(LENGTH, b"Connection: Keep-Alive", status=b"HTTP/1.0 200 OK"), "GET", BODY, True),
        (answer(LENGTH, body=BODY + b"x"), "GET", BODY, False),
        (chunked(), "GET", BODY, True),
        (chunked(CODED, LENGTH), "GET", BODY, False),
        (chunked(CODED, CODED), "GET", BODY, False),
        (answer(LENGTH, body=b""), "HEAD", b"", True),
        (answer(LENGTH, body=b"", status=b"HTTP/1.1 304 Same"), "GET", b"", True),
        (answer(body=b"", status=b"HTTP/1.1 204 Nothing"), "GET", b"", True),
        (answer(body=b""), "CONNECT", b"", True),
    ],
)
def test_how_long_a_body_is_and_what_may_follow(octets: bytes, method: str, body: bytes, persistent: bool) -> None:
    reader = AnswerReader(method)
    reader.feed(octets)
    assert (reader.take(), reader.complete, reader.persistent) == (body, True, persistent)


def test_what_h11_reads_is_read_alike() -> None:
    """Answers with a few bytes changed, dropped or doubled: nothing is read otherwise, and nothing breaks."""
    chance = random.Random(12)
    compared = 0
    for _ in range(6_000):
        octets = bytearray(chance.choice([case for case in WHOLE.values() if len(case) < 1_000]))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(octets))
            octets[at : at + 1] = chance.choice(
                [b"", octets[at : at + 1] * 2, chance.choice(b" \t\r\n;,:0aF\xe9").to_bytes()]
            )
        theirs = by_h11(bytes(octets))
        if theirs is None:
            continue
        try:
            reader, body = read(bytes(octets), 1 << 20)
        except BadAnswer:
            continue  # stricter, which defers
        assert reader.head
        assert (reader.head.status, body) == theirs, bytes(octets)
        compared += 1
    assert compared > 1_000
