"""A real documentation site on loopback: the HTML of Debian's python3.11-doc, served by a process of its own."""

from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

PACKAGE = "python3.11-doc"
_HTML = Path("usr/share/doc/python3.11/html")
ROBOTS = b"""User-agent: GPTBot
Disallow: /

User-agent: *
Disallow: /search
Content-Signal: search=yes
Allow: /
Sitemap: https://docs.example/sitemap.xml
"""
"""What such a site has for crawlers."""


class Handler(SimpleHTTPRequestHandler):
    """Static files with connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
        """Nothing."""


def folder() -> Path:
    """The site's folder: FORBEAR_SITE, or the package, unpacked below .cache without being installed."""
    named = os.environ.get("FORBEAR_SITE")
    if named:
        return Path(named)
    cache = Path(".cache/site")
    if not (cache / _HTML / "index.html").exists():
        if not shutil.which("apt-get"):
            sys.exit("There is no apt-get here: name a folder of at least 400 HTML pages in FORBEAR_SITE.")
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", PACKAGE], cwd=cache, check=True)
        [archive] = cache.glob("*.deb")
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=cache, check=True)
        archive.unlink()
    return cache / _HTML


def _serve(path: Path, ready: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(path)))
    server.daemon_threads = True
    ready.send(server.server_port)
    server.serve_forever()


@contextmanager
def served(path: Path) -> Iterator[str]:
    """The address of a folder while it is served: ``http://docs.example:PORT`` is at 127.0.0.1."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(path, there), daemon=True)
    process.start()
    try:
        yield f"http://docs.example:{here.recv()}"
    finally:
        process.terminate()
        process.join()
