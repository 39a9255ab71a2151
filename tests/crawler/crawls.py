"""Crawls as a person starts them, on a loopback web: the program, its options, what it prints and what it leaves."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import create_engine, text
from warcio.archiveiterator import ArchiveIterator

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.optout.protocols import PROTOCOLS
from tests.prefork import Done, Prefork, Process

ROOT = Path(__file__).parents[2]
FILES = {place for protocol in PROTOCOLS for place in protocol.PLACES} - {"/robots.txt"}
PLAIN = (("Content-Type", "text/plain"),)
HTML = (("Content-Type", "text/html; charset=utf-8"),)


def page(*links: str, words: str = "Seven boats left the harbour before sunrise and came back with herring.") -> Reply:
    """An HTML page with a paragraph and links."""
    anchors = "".join(f'<a href="{link}">on</a>\n' for link in links)
    return Reply(f"<!doctype html><title>t</title><p>{words}</p>\n{anchors}".encode(), headers=HTML)


def plain(text: str, **more: Any) -> Reply:
    """A text file, such as a robots.txt."""
    return Reply(text.encode(), headers=PLAIN, **more)


def moved(target: str, status: int = 302) -> Reply:
    """A redirect."""
    return Reply(status=status, headers=(("Location", target),))


def tree(pages: int, width: int = 3) -> dict[str, Reply]:
    """A site of ``pages`` pages, each with words of its own: / links to /1 to /3, /1 to /4 to /6, and so on."""

    def links(number: int) -> list[str]:
        first = number * width + 1
        return [f"/{child}" for child in range(first, min(first + width, pages))]

    return {
        "/" if number == 0 else f"/{number}": page(*links(number), words=f"This is page {number} of {pages}.")
        for number in range(pages)
    }


def late(site: Mapping[str, Reply], seconds: float = 0.01) -> dict[str, Reply]:
    """The same site, but slower."""
    return {path: replace(reply, pause=seconds) for path, reply in site.items()}


@dataclass
class Crawler:
    """``forbear crawl`` into one folder and one database; every call is one process."""

    forks: Prefork
    folder: Path
    database: str
    defaults: dict[str, Any] = field(default_factory=dict)
    started: int = 0
    program: str = "crawl"

    @property
    def out(self) -> Path:
        """The folder of the corpus."""
        return self.folder / "corpus"

    def start(
        self,
        web: Web | None,
        *seeds: str,
        largest: int | None = None,
        dies: int | None = None,
        memory: int | None = None,
        deadly: str | None = None,
        **options: Any,
    ) -> Process:
        """A crawl of seeds; an option that is False or None is left out, one that is True has no value.

        ``largest``: bytes that no file of it can grow beyond, as if the disk were full. ``dies``: the step of writing
        files of the corpus that it is killed at. ``memory``: bytes that reading an answer may take. ``deadly``:
        words of a page that it dies of.
        """
        chosen = {
            "out": self.out,
            "db": self.database,
            "contact": "https://operator.example/bot",
            "delay": 0,
            "retries": 0,
            "proxy": web.proxy if web else None,
            "json": True,
            **self.defaults,
            **options,
        }
        words = [self.program, *seeds]
        for name, value in chosen.items():
            if value is not None and value is not False:
                words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        self.started += 1
        kill = None if dies is None else (dies, str(self.out))
        folder = self.folder / f"run-{self.started}"
        return self.forks.start(words, folder, largest=largest, dies=kill, memory=memory, deadly=deadly)

    def run(self, web: Web | None, *seeds: str, code: int = 0, **options: Any) -> Done:
        """A crawl from its start to its end, which is asserted to be the exit code ``code``."""
        done = self.start(web, *seeds, **options).wait()
        assert done.code == code, done
        return done

    def command(self, *words: str) -> Done:
        """Any other command, from its start to its end."""
        self.started += 1
        return self.forks.start(words, self.folder / f"run-{self.started}").wait()

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """What the database answers."""
        engine = create_engine(self.database)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(statement), values)]
        finally:
            engine.dispose()

    def change(self, statement: str, **values: Any) -> None:
        """Has the database changed behind the crawl's back."""
        engine = create_engine(self.database)
        try:
            with engine.begin() as connection:
                connection.execute(text(statement), values)
        finally:
            engine.dispose()

    def frontier(self) -> dict[str, str]:
        """The state of each URL."""
        return dict(self.rows("SELECT url, state FROM frontier"))

    def reasons(self) -> dict[str, set[tuple[str, str]]]:
        """Protocol and quote of what decided against each URL."""
        found: dict[str, set[tuple[str, str]]] = {}
        asked = "SELECT canonical, protocol, quote FROM reasons JOIN decisions ON decisions.id = reasons.decision"
        for url, protocol, quote in self.rows(asked):
            found.setdefault(url, set()).add((protocol, quote))
        return found

    def kept(self) -> Counter[str]:
        """The URLs in the WARC files, by count."""
        return Counter(
            record.rec_headers["WARC-Target-URI"] for record in self.records() if record.rec_type != "request"
        )

    def records(self, *types: str) -> list[Any]:
        """The response and revisit records of all WARC files, in order."""
        found = []
        for path in sorted((self.out / "warc").glob("*")):
            with path.open("rb") as file:
                for record in ArchiveIterator(file):
                    if record.rec_type in (types or ("response", "revisit")):
                        record.octets = record.content_stream().read()
                        found.append(record)
        return found

    def table(self) -> pa.Table:
        """All Parquet files as one."""
        return pq.read_table(self.out / "pages")

    def octets(self) -> bytes:
        """Every byte that the crawls have left on the disk, the databases' own files included."""
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


def paths(web: Web, host: str) -> list[str]:
    """What was requested of a host, in order, but for the files beside robots.txt that hold reservations."""
    return [path for path in all_paths(web, host) if path not in FILES]


def all_paths(web: Web, host: str) -> list[str]:
    """What was requested of a host, in order."""
    return [hit.path for hit in web.hits if hit.host == host]


def gaps(web: Web, host: str) -> list[float]:
    """Seconds between requests to a host, one after the other."""
    at = [hit.at for hit in web.hits if hit.host == host]
    return [later - earlier for earlier, later in pairwise(at)]


def until(true: Callable[[], object], seconds: float = 100) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


def urls(host: str, some: Iterable[str]) -> set[str]:
    """The URLs of paths on a host."""
    return {f"http://{host}{path}" for path in some}


def events(process: Process) -> list[dict[str, Any]]:
    """The lines of standard error that are whole, each of which has to be a JSON object."""
    text = (process.folder / "stderr").read_text() if (process.folder / "stderr").exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def named(process: Process, event: str) -> list[dict[str, Any]]:
    """The events of a name, of a crawl with ``--log-format json``."""
    return [line for line in events(process) if line["event"] == event]


def ask(address: str, path: str) -> tuple[int, str]:
    """Status and body of what a server answers."""
    host, _, port = address.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
