"""A DNS server on loopback (RFC 1035, UDP and TCP) that answers from a table, for as long as a test runs."""

from __future__ import annotations

import socketserver
import struct
import threading
from contextlib import suppress
from typing import Any, Self

from dns import flags, message, rcode
from dns.exception import TooBig
from dns.name import from_text
from dns.rdata import from_text as from_value
from dns.rdataclass import RdataClass
from dns.rdatatype import from_text as from_kind


class Zone:
    """``records`` are lines of a zone by name: ``["TXT \"one\""]``; ``failing`` names get SERVFAIL, ``silent`` nothing.

    Answers that do not fit into 512 bytes are cut, and the whole is had by TCP.
    """

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        zone = self

        class Datagrams(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                query, socket = self.request
                if answer := zone.answer(query, 512):
                    socket.sendto(answer, self.client_address)

        class Streams(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(struct.error):
                    [length] = struct.unpack("!H", self.rfile.read(2))
                    if answer := zone.answer(self.rfile.read(length), 65535):
                        self.wfile.write(struct.pack("!H", len(answer)) + answer)

        self._servers = self._bound(Datagrams, Streams)
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in self._servers]
        for thread in self._threads:
            thread.start()
        return self

    def _bound(self, datagrams: Any, streams: Any) -> list[socketserver.BaseServer]:
        """Both on one port: the kernel's choice for UDP may be taken for TCP."""
        while True:
            udp = socketserver.UDPServer(("127.0.0.1", 0), datagrams)
            self.port: int = udp.server_address[1]
            try:
                return [udp, socketserver.TCPServer(("127.0.0.1", self.port), streams)]
            except OSError:
                udp.server_close()

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def server(self) -> str:
        """Its address, as ``--dns-server`` takes it."""
        return f"127.0.0.1:{self.port}"

    def answer(self, octets: bytes, most: int) -> bytes | None:
        query = message.from_wire(octets)
        name = query.question[0].name
        text = name.to_text(omit_final_dot=True)
        self.asked.append(text)
        if text in self.silent:
            return None
        response: Any = message.make_response(query)
        response.flags |= flags.RA
        if text in self.failing:
            response.set_rcode(rcode.SERVFAIL)
        elif text not in self.records:
            response.set_rcode(rcode.NXDOMAIN)
        while text in self.records:
            text = _add(response, text, self.records[text])
        try:
            return bytes(response.to_wire(max_size=most))
        except TooBig:
            response.answer.clear()
            response.flags |= flags.TC
            return bytes(response.to_wire())


def _add(response: Any, name: str, lines: list[str]) -> str:
    """Adds the records of a name; where it is an alias, the name that it leads to."""
    target = ""
    for line in lines:
        kind, _, value = line.partition(" ")
        rrset = response.find_rrset(response.answer, from_text(name), RdataClass.IN, from_kind(kind), create=True)
        rrset.add(from_value("IN", kind, value), 60)
        target = value.rstrip(".") if kind == "CNAME" else ""
    return target
