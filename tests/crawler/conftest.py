"""A web server that sends the bytes a test gives it; and whole crawls."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.certificates import write_certificate
from tests.crawler.crawls import Crawler
from tests.invariants import check_laws
from tests.prefork import Prefork

if TYPE_CHECKING:
    from pathlib import Path

Answer = bytes | Callable[[socket.socket], None]


@dataclass
class Server:
    """``answers`` maps a request target to the bytes sent back, or to what happens to the connection then.

    ``heads`` are the request heads received, in order. One request a connection; what has no answer gets 404.
    """

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    heads: list[bytes] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [head.split(b" ")[1].decode("latin-1") for head in self.heads]

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            head = b""
            while b"\r\n\r\n" not in head:
                octets = connection.recv(4096)
                if not octets:
                    return
                head += octets
            self.heads.append(head)
            answer = self.answers.get(self.targets[-1], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            if isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                answer(connection)


def _listen(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener.getsockname()[1])

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            server.serve(context.wrap_socket(connection, server_side=True) if context else connection)
        connection.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=handle, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield server
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from _listen()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and secure.example that nobody has signed but itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    write_certificate(path, "secure.example")
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    yield from _listen(context)


@pytest.fixture
def crawler(forks: Prefork, tmp_path: Path, sqlite_template: Path) -> Iterator[Crawler]:
    """``forbear crawl`` with a new SQLite database; whatever it leaves is held against both laws at the end."""
    shutil.copy(sqlite_template, tmp_path / "forbear.db")
    crawler = Crawler(forks, tmp_path, f"sqlite:///{tmp_path}/forbear.db")
    yield crawler
    check_laws(crawler.database, crawler.out)


@pytest.fixture
def crawler_on_postgresql(forks: Prefork, tmp_path: Path, postgresql: Any) -> Iterator[Crawler]:
    """The same with a new PostgreSQL database."""
    name = postgresql.create("forbear")
    crawler = Crawler(forks, tmp_path, postgresql.url(name))
    yield crawler
    check_laws(crawler.database, crawler.out)
    postgresql.drop(name)
