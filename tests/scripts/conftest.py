"""Fixtures that run the program and serve a small site."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.prefork import Prefork

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def forbear(forks: Prefork, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs ``python -m forbear`` in an empty folder, without FORBEAR_ variables."""

    def run(
        *words: str, text: str | bytes = "", env: dict[str, str] | None = None, memory: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        stdin, folder = text.encode() if isinstance(text, str) else text, tmp_path_factory.mktemp("program")
        process = forks.start(words, folder, work=tmp_path, stdin=stdin, env=env, memory=memory)
        done = process.wait()
        return subprocess.CompletedProcess(words, done.code, done.stdout, done.stderr)

    return run


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, str]]]:
    """Serves files by path, and yields the origin and the files; a missing file is answered with 404."""
    files: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path, "").encode()
            self.send_response(200 if self.path in files else 404)
            self.send_header("Content-Type", "text/html" if body.startswith(b"<") else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", files
    server.shutdown()
    server.server_close()
    thread.join()
