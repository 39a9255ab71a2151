"""``python -m bench.reach``: lets a publisher opt out between two runs, and checks that it reaches every output.

It crawls three real documentation sites (bench.site) of more than 1,000 pages under made-up names. Then one opts out,
another is put on a list of infringing sites, and a recheck follows. Every document is made before and after; each line
that begins with ``ok`` or ``MISSING`` is an expected effect. Exit code 1: something is missing. It also measures the
requests per kept page, the speed of rewriting in MB per second, and of filtering in rows per second.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import mlcroissant
import pdfplumber
import pyarrow as pa
import pyarrow.parquet as pq
from docx import Document as Word
from warcio.archiveiterator import ArchiveIterator

from bench.site import unpack
from forbear.crawler.demo.demo_server import Reply, Web

SITES = {
    "language.example": ("python3.11-doc", "/index.html"),
    "tool.example": ("git-doc", "/git.html"),
    "database.example": ("postgresql-doc-15", "/index.html"),
}
LEAVES, LISTED, STAYS = SITES
POLICY = "https://database.example/terms.json"
CONTACT = "https://operator.example/bot"
FORMS = ("html", "docx", "pdf", "json", "txt")
STEPS = """
[[run.step]]
name = "recheck"
command = ["recheck"]
at = "@daily"
[[run.step]]
name = "checkpoint"
command = ["checkpoint"]
at = "@daily"
[[run.step]]
name = "summary"
command = ["report", "summary", "--out", "scheduled.json"]
at = "@monthly"
"""


def _serve(folders: dict[str, Path], ready: Connection) -> None:
    """Serves the sites; on a message, the first one opts out."""
    reserved = False

    def answer(host: str, target: str) -> Reply:
        if target == "/robots.txt" and reserved and host == LEAVES:
            return Reply(b"User-agent: *\nDisallow: /\n", headers=(("Content-Type", "text/plain"),))
        if target == "/.well-known/tdmrep.json" and host == STAYS:
            rule = [{"location": "/", "tdm-reservation": 0, "tdm-policy": POLICY}]
            return Reply(json.dumps(rule).encode(), headers=(("Content-Type", "application/json"),))
        path = folders[host] / target.lstrip("/")
        if path.suffix != ".html" or not path.is_file():
            return Reply(status=404)
        return Reply(path.read_bytes(), headers=(("Content-Type", "text/html; charset=utf-8"), ("ETag", f'"{target}"')))

    def site(host: str) -> Any:
        return lambda target: answer(host, target)

    with Web({host: site(host) for host in folders}) as web:
        ready.send(web.proxy)
        ready.recv()
        reserved = True
        ready.send(True)
        ready.recv()


class Operator:
    """Runs ``forbear`` in a folder with a settings file, and counts the expected effects that are missing."""

    def __init__(self, folder: Path, proxy: str) -> None:
        self.folder = folder
        self.missing = 0
        (folder / "phrase").write_text("of the bench\n")
        settings = {
            "db": f"sqlite:///{folder}/forbear.db",
            "out": str(folder / "corpus"),
            "contact": CONTACT,
            "proxy": proxy,
            "key": str(folder / "log.key"),
            "passphrase-file": str(folder / "phrase"),
        }
        lines = [*(f"{name} = {json.dumps(value)}" for name, value in settings.items()), "delay = 0"]
        (folder / "forbear.toml").write_text("\n".join(lines) + STEPS)

    def run(self, *words: object, codes: tuple[int, ...] = (0,)) -> str:
        """Runs a command, and returns its standard output."""
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        command = [sys.executable, "-m", "forbear", *map(str, words)]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, check=False)
        if done.returncode not in codes:
            sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stderr.decode()}")
        return done.stdout.decode()

    def run_json(self, *words: object, codes: tuple[int, ...] = (0,)) -> Any:
        """Runs a command with --json, and returns the object that it prints."""
        return json.loads(self.run(*words, "--json", codes=codes))

    def check(self, what: str, found: bool) -> None:
        """Prints whether an expected effect was found."""
        self.missing += not found
        print(f"{'ok     ' if found else 'MISSING'}  {what}")

    def reports(self, name: str) -> dict[str, dict[str, str]]:
        """Makes every report in every format, and returns its text."""
        found: dict[str, dict[str, str]] = {}
        for kind in ("summary", "policy", "coverage"):
            paths = [self.folder / f"{kind}-{name}.{form}" for form in FORMS]
            self.run("report", kind, "--issue", *(word for path in paths for word in ("--out", path)))
            found[kind] = {path.suffix: _text_of(path) for path in paths}
        return found


def _text_of(path: Path) -> str:
    """Returns the text of a document, with single spaces."""
    if path.suffix == ".pdf":
        with pdfplumber.open(path) as file:
            text = "\n".join(page.extract_text() for page in file.pages)
    elif path.suffix == ".docx":
        word = Word(io.BytesIO(path.read_bytes()))
        cells = (cell.text for table in word.tables for row in table.rows for cell in row.cells)
        text = "\n".join([*(paragraph.text for paragraph in word.paragraphs), *cells])
    else:
        text = path.read_text("utf-8")
    return " ".join(text.split())


def _urls(corpus: Path) -> Iterator[str]:
    """Yields the URLs of the pages in the WARC files."""
    for path in sorted((corpus / "warc").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type in ("response", "revisit"):
                    yield record.rec_headers["WARC-Target-URI"]


def _host(url: str) -> str:
    return url.split("/")[2]


def crawl(operator: Operator) -> Counter[str]:
    """Makes the first version of the corpus, and counts the pages of each site."""
    operator.run("key", "new", "--name", "operator.example/forbear")
    made = operator.run_json("crawl", *(f"http://{host}{start}" for host, (_, start) in SITES.items()))
    pages = Counter(map(_host, _urls(operator.folder / "corpus")))
    print(f"crawl    {made['kept']:,} pages in {made['seconds']:.1f} s: {dict(pages)}")
    operator.check("version 1 has more than 1,000 pages", made["version"] == 1 and pages.total() > 1000)
    return pages


def opt_out(operator: Operator, pages: Counter[str]) -> None:
    """Imports a list with one site, rechecks all, and checks the second version of the corpus."""
    (operator.folder / "list.csv").write_text(f"domain,date\n{LISTED},2026-01-15\n")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    operator.run("lists", "import", "--format", "denmark", "--published", today, "list.csv")
    again = operator.run_json("recheck")
    kept = again["pages"]
    print(f"recheck  {again['requests']:,} requests for {kept:,} pages in {again['seconds']:.1f} s:")
    print(f"         {again['requests'] / kept:.3f} a page; {again['outcomes']}")
    rewritten = again["rewritten"]
    rate = rewritten["bytes"] / 1e6 / rewritten["seconds"]
    print(f"rewrite  {rewritten['bytes'] / 1e6:.1f} MB of WARC in {rewritten['seconds']:.2f} s: {rate:.1f} MB/s")
    gone = pages[LEAVES] + pages[LISTED]
    operator.check(f"{gone:,} pages leave, the removals are signed", again["removed"] == {"excluded": gone})
    operator.check("a checkpoint of the second version", again["checkpoint"]["new"] and again["version"] == 2)
    corpus = operator.folder / "corpus"
    operator.check("no WARC record of them is left", Counter(map(_host, _urls(corpus))) == {STAYS: pages[STAYS]})
    left = {_host(url) for url in pq.read_table(corpus / "pages", columns=["url"])["url"].to_pylist()}
    operator.check("no row of them is left in Parquet", left == {STAYS})


def versions(operator: Operator, pages: Counter[str]) -> None:
    """Checks what changed between the versions, and the words that decided."""
    diff = operator.run_json("corpus", "diff", 1, 2, "--db", f"sqlite:///{operator.folder}/forbear.db")
    removed = {name: counts["removed"] for name, counts in diff["domains"].items()}
    operator.check("corpus diff counts them by domain", removed == {name: pages[name] for name in (LEAVES, LISTED)})
    words = {(reason["protocol"], _host(page["url"])) for page in diff["pages"] for reason in page["reasons"]}
    operator.check("and quotes the words for each", words == {("robots", LEAVES), ("infringing-list", LISTED)})
    for number in (2, 1):
        operator.run("corpus", "verify", number)
    held = [json.loads(line)["pages"] for line in operator.run("corpus", "holds", LEAVES, "--json").splitlines()]
    operator.check("corpus holds knows what version 1 had", held == [pages[LEAVES], 0])
    known = operator.run_json("lookup", LEAVES)
    operator.check("lookup shows it to the publisher", known["answer"] == "excluded" and "kept" not in known["urls"])
    card = {name: Path(path) for name, path in operator.run_json("corpus", "card").items()}
    croissant = json.loads(card["croissant"].read_text("utf-8"))
    mlcroissant.Dataset(jsonld=croissant)
    operator.check("mlcroissant accepts the description; ODRL has the site's policy", POLICY in json.dumps(croissant))
    text = card["card"].read_text("utf-8")
    operator.check("the data card names only what stays", STAYS in text and LEAVES not in text and LISTED not in text)


def documents(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]], operator: Operator) -> None:
    """Checks the opt-out in each report, in each format."""
    for form in (f".{form}" for form in FORMS):
        first, second = before["summary"][form], after["summary"][form]
        changed = LEAVES in first and LEAVES not in second and STAYS in second
        operator.check(f"summary{form}: the domain names of 2.3 change, removed pages are named", changed)
        operator.check(f"summary{form}: and counted", "Taken out again" in second and "Taken out again" not in first)
        lists = "Share With Care" in after["policy"][form] and "Share With Care" not in before["policy"][form]
        operator.check(f"policy{form}: the list in use", lists)
        found = all(
            words in after["coverage"][form] and words not in before["coverage"][form]
            for words in ("taken out of the corpus again", "recheck 1", "1 publication imported")
        )
        operator.check(f"coverage{form}: the recheck is evidence", found)
    changes = operator.run("report", "summary", "--diff", "summary-before.json")
    operator.check("report summary --diff shows it", LEAVES in changes and STAYS in changes)


def filter_data(operator: Operator, urls: list[str], files: list[Path]) -> None:
    """Filters the pages of version 1 like data of others: their URLs ten times, and the WARC files of the crawl."""
    table = operator.folder / "rows.parquet"
    pq.write_table(pa.table({"url": urls * 10}), table)
    for name, inputs in (("rows", [table]), ("pages of WARC", files)):
        out = operator.folder / f"filtered {name}"
        done = operator.run_json("filter", *inputs, "--out", out)
        count = sum(done["counts"].values())
        print(f"filter   {count:,} {name} in {done['seconds']:.1f} s: {count / done['seconds']:,.0f} a second")
        reasons = pq.read_table(out / "reasons").to_pylist()
        left = Counter(_host(row["url"]) for row in reasons)
        wanted = Counter({host: n for host, n in Counter(map(_host, urls)).items() if host != STAYS})
        factor = 10 if name == "rows" else 1
        operator.check(
            f"filter leaves out both sites ({name})", left == Counter({host: n * factor for host, n in wanted.items()})
        )


def run_schedule(operator: Operator) -> None:
    """Runs the schedule: a recheck that finds nothing new, a checkpoint, a report."""
    steps = [json.loads(line) for line in operator.run("run", "forbear.toml", "--once", "--json").splitlines()]
    codes = {step["step"]: step["code"] for step in steps}
    operator.check("forbear run does all its steps", codes == {"recheck": 0, "checkpoint": 0, "summary": 0})
    operator.check("and its summary is the new one", LEAVES not in _text_of(operator.folder / "scheduled.json"))
    operator.run("verify", "--key", operator.run("key", "show", "--key", operator.folder / "log.key").strip())
    operator.check("forbear verify: the log is unaltered", True)


def main() -> int:
    """Prints a line for each figure and each expected effect."""
    here, there = multiprocessing.Pipe()
    folders = {host: unpack(package).resolve() for host, (package, _) in SITES.items()}
    server = multiprocessing.Process(target=_serve, args=(folders, there), daemon=True)
    server.start()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        operator = Operator(Path(temporary), here.recv())
        pages = crawl(operator)
        urls = sorted(_urls(operator.folder / "corpus"))
        copies = []
        for path in sorted((operator.folder / "corpus" / "warc").iterdir()):
            copies.append(operator.folder / path.name)
            copies[-1].write_bytes(path.read_bytes())
        before = operator.reports("before")
        here.send(True)
        here.recv()
        opt_out(operator, pages)
        versions(operator, pages)
        documents(before, operator.reports("after"), operator)
        filter_data(operator, urls, copies)
        run_schedule(operator)
    here.send(True)
    server.join()
    print(f"{operator.missing} missing; {time.monotonic() - began:.0f} s")
    return int(operator.missing > 0)


if __name__ == "__main__":
    sys.exit(main())
