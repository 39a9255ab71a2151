"""``python -m bench.reach``: recheck requests for each kept page, rewriting in MB a second, filtering in rows a second.

A crawl of 1,200 pages of a real site (see bench.site) under four names, one of which opts out before the recheck; then
the same corpus is filtered as data of others: its WARC files by content, its URLs as a table.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.site import folder
from crawler.web import Reply, Web

HOSTS = 4
PAGES = 300
CONTACT = "https://operator.example/"


def _play(path: Path, ready: Connection) -> None:
    """The site under HOSTS names; each page has an ETag; when told to, the first name opts out."""
    files = islice(sorted(path.rglob("*.html")), PAGES)
    pages = {f"/{file.relative_to(path)}": file.read_bytes() for file in files}
    index = "".join(f'<a href="{target}">x</a>' for target in pages).encode()
    reserved = False

    def site(number: int, target: str) -> Reply:
        if target == "/robots.txt" and reserved and number == 0:
            return Reply(b"User-agent: *\nDisallow: /\n", headers=(("Content-Type", "text/plain"),))
        body = index if target == "/" else pages.get(target)
        # each host has words of its own, so that nothing is the same content twice
        return Reply(body + b"<!-- %d -->" % number, headers=_headers(target)) if body else Reply(b"", 404)

    def host(number: int) -> Any:
        return lambda target: site(number, target)

    with Web({f"docs{number}.example": host(number) for number in range(HOSTS)}) as web:
        ready.send(web.proxy)
        ready.recv()
        reserved = True
        ready.send(len(pages) + 1)
        ready.recv()


def _headers(target: str) -> tuple[tuple[str, str], ...]:
    return (("Content-Type", "text/html; charset=utf-8"), ("ETag", f'"{target}"'))


def _run(*words: object) -> tuple[dict[str, Any], float]:
    start = time.monotonic()
    command = [sys.executable, "-m", "scripts", *map(str, words), "--json", "--contact", CONTACT, "--delay", "0"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found, time.monotonic() - start


def main() -> None:
    """Prints each figure in a line."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_play, args=(folder(), there), daemon=True)
    server.start()
    proxy = here.recv()
    with tempfile.TemporaryDirectory() as temporary:
        out, db = Path(temporary, "corpus"), f"sqlite:///{temporary}/f.db"
        common = ("--db", db, "--proxy", proxy)
        seeds = [f"http://docs{number}.example/" for number in range(HOSTS)]
        crawled, seconds = _run("crawl", *seeds, "--out", out, *common, "--max-depth", 1)
        print(f"crawl:   {crawled['kept']:,} pages in {seconds:.1f} s")
        here.send(None)
        here.recv()
        again, seconds = _run("recheck", "--out", out, *common)
        left = again["pages"] - sum(again["removed"].values())
        print(f"recheck: {again['requests']:,} requests for {again['pages']:,} pages in {seconds:.1f} s,")
        print(f"         {again['requests'] / again['pages']:.3f} a page; {left:,} stay, {again['outcomes']}")
        rewritten = again["rewritten"]
        rate = rewritten["bytes"] / 1e6 / rewritten["seconds"]
        print(f"rewrite: {rewritten['bytes'] / 1e6:.1f} MB of WARC in {rewritten['seconds']:.2f} s, {rate:.1f} MB/s")
        table = pq.read_table(out / "pages", columns=["url"])
        pq.write_table(pa.concat_tables([table] * 10), Path(temporary, "rows.parquet"))
        for name, inputs in (("rows", [Path(temporary, "rows.parquet")]), ("warc", sorted((out / "warc").iterdir()))):
            done, _ = _run("filter", *inputs, "--out", Path(temporary, name), *common)
            count = sum(done["counts"].values())
            print(f"filter:  {count:,} {name} in {done['seconds']:.1f} s, {count / done['seconds']:,.0f} a second")
    here.send(None)
    server.join()


if __name__ == "__main__":
    main()
