"""Serves real documentation sites on loopback: the HTML of Debian packages, by default python3.11-doc."""

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

PACKAGES = {
    "python3.11-doc": Path("usr/share/doc/python3.11/html"),
    "postgresql-doc-15": Path("usr/share/doc/postgresql-doc-15/html"),
    "git-doc": Path("usr/share/doc/git-doc"),
}
"""The folder of the pages in each package."""
ROBOTS = b"""User-agent: GPTBot
Disallow: /

User-agent: *
Disallow: /search
Content-Signal: search=yes
Allow: /
Sitemap: https://docs.example/sitemap.xml
"""
"""A typical robots.txt of such a site."""


class Handler(SimpleHTTPRequestHandler):
    """Serves static files on persistent connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
        """Logs nothing."""


def folder() -> Path:
    """Returns the site's folder: FORBEAR_SITE, or that of python3.11-doc."""
    named = os.environ.get("FORBEAR_SITE")
    return Path(named) if named else unpack("python3.11-doc")


def unpack(package: str) -> Path:
    """Downloads a package to .cache, unpacks it without installing it, and returns the folder of its pages."""
    cache = Path(".cache/site")
    path = cache / PACKAGES[package]
    if not any(path.glob("*.html")):
        if not shutil.which("apt-get"):
            sys.exit("There is no apt-get here. Set FORBEAR_SITE to a folder with at least 400 HTML pages.")
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", package], cwd=cache, check=True)
        [archive] = cache.glob("*.deb")
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=cache, check=True)
        archive.unlink()
    return path


def _serve(path: Path, ready: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(path)))
    server.daemon_threads = True
    ready.send(server.server_port)
    server.serve_forever()


@contextmanager
def serve(path: Path) -> Iterator[str]:
    """Serves a folder during the block, and yields its address: ``http://docs.example:PORT``, which is 127.0.0.1."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(path, there), daemon=True)
    process.start()
    try:
        yield f"http://docs.example:{here.recv()}"
    finally:
        process.terminate()
        process.join()
