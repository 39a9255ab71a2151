"""A proxy on loopback that answers for https and http sites, each from a web of its own, as long as a test runs."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from forbear.crawler.demo.demo_server import Web
from tests.certificates import write_certificate


class BothWebs:
    """``secure`` answers what is asked by https (CONNECT and then TLS), ``plain`` what is asked by http.

    ``authority`` is the file with the certificate that has to be trusted; it names the hosts.
    """

    def __init__(self, folder: Path, secure: Web, plain: Web, *hosts: str) -> None:
        self.authority = folder / "authority.pem"
        write_certificate(self.authority, *hosts)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority)

        class Requests(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                client: socket.socket = self.request
                with suppress(OSError):
                    head, port = _head(client), plain.port
                    if head.startswith(b"CONNECT "):
                        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                        client = context.wrap_socket(client, server_side=True)
                        head, port = _head(client), secure.port
                    with client, socket.create_connection(("127.0.0.1", port)) as web:
                        web.sendall(head)
                        while octets := web.recv(65536):
                            client.sendall(octets)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Requests)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def proxy(self) -> str:
        """Its address as a proxy."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (octets := connection.recv(65536)):
        head += octets
    return head
