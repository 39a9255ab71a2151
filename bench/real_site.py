"""``python -m bench.real_site``: crawls a whole real site, and counts its pages again by following links."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import pyarrow.parquet
from lxml import html
from warcio.archiveiterator import ArchiveIterator

from bench.site import folder, serve

_LINKS = ".//a[@href]/@href | .//area[@href]/@href | .//iframe[@src]/@src | .//frame[@src]/@src"


def walk(start: str) -> set[str]:
    """Returns every URL of the host that links lead to and that answers 200, without any code of Forbear."""
    port = urlsplit(start).port
    connection = http.client.HTTPConnection("127.0.0.1", port)
    host = urlsplit(start).netloc
    seen, waiting, found = {start}, [start], set()
    while waiting:
        url = waiting.pop()
        connection.request("GET", url.removeprefix(f"http://{host}"), headers={"Host": host})
        response = connection.getresponse()
        body = response.read()
        if response.status == 301:
            references = [response.headers["Location"]]
        elif response.status == 200:
            found.add(url)
            is_html = response.headers["Content-Type"].startswith("text/html")
            # lxml parses the page as HTML whatever it declares, like browsers.
            references = html.fromstring(body).xpath(_LINKS) if is_html and body.strip() else []
        else:
            continue
        for reference in references:
            try:
                target = urldefrag(urljoin(url, reference.strip()))[0]
            except ValueError:
                continue
            if urlsplit(target).netloc == host and urlsplit(target).scheme == "http" and target not in seen:
                seen.add(target)
                waiting.append(target)
    return found


def main() -> int:
    """Prints the counts, and returns 0 if crawl and walk found the same pages."""
    with tempfile.TemporaryDirectory() as temporary, serve(folder()) as site:
        out, db = Path(temporary, "corpus"), f"sqlite:///{temporary}/forbear.db"
        port = urlsplit(site).port
        command = (
            f"{sys.executable} -m forbear crawl {site}/index.html --out {out} --db {db} --delay 0 --json "
            f"--contact https://example.org/bot --allow-private-networks --resolve docs.example:{port}:127.0.0.1"
        )
        summary = json.loads(subprocess.run(command.split(), check=True, stdout=subprocess.PIPE).stdout)
        in_warc = [
            record.rec_headers["WARC-Target-URI"]
            for file in sorted(out.glob("warc/*.warc.gz"))
            for record in ArchiveIterator(file.open("rb"))
            if record.rec_type in ("response", "revisit")
        ]
        in_parquet = sum(pyarrow.parquet.read_metadata(file).num_rows for file in out.glob("pages/*.parquet"))
        walked = walk(f"{site}/index.html")
    crawled = set(in_warc)
    print(f"pages that a plain link walk reaches: {len(walked)}")
    print(f"pages in the WARC: {len(in_warc)} ({len(crawled)} different), in Parquet: {in_parquet}")
    print(f"crawled in {summary['seconds']} s: {summary['kept'] / summary['seconds']:.0f} pages a second")
    for name, urls in (("walked, not crawled", walked - crawled), ("crawled, not walked", crawled - walked)):
        for url in sorted(urls)[:10]:
            print(f"{name}: {url}")
    return int(crawled != walked or len(in_warc) != len(crawled) or in_parquet != len(in_warc))


if __name__ == "__main__":
    sys.exit(main())
