"""Reads the bytes of an answer by forbear.crawler.fetch.http1, in pieces, and by h11."""

from __future__ import annotations

import h11

from forbear.crawler.fetch.http1 import MAX_HEAD, AnswerReader


def read(octets: bytes, size: int, *, method: str = "GET", closed: bool = True) -> tuple[AnswerReader, bytes]:
    """Returns the reader, and the body; ``size`` is that of the pieces. Raises BadAnswer."""
    reader, body = AnswerReader(method), bytearray()
    for at in range(0, len(octets), size):
        reader.feed(octets[at : at + size])
        body += reader.take()
    reader.end(closed=closed)
    return reader, bytes(body)


def by_h11(octets: bytes) -> tuple[int, bytes] | None:
    """Returns the status and body of an answer to GET, as h11 reads it; None if it refuses."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a.example")]))
    client.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        client.receive_data(octets)
        client.receive_data(b"")
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            if isinstance(event, h11.Data):
                body += event.data
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None
    return status, body
