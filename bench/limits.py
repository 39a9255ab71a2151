"""``python -m bench limits [FOLDER] [--only COMMAND]``: the cost of hostile files for each command that reads them.

Prints for each file and command the verdict with its quotation, the processor time, and the peak memory of the process
and of its workers; for the portal, also the longest wait of others for /health. The files are those of ``bench.bombs``
and of a folder. ``python -m bench limits cost`` measures the overhead of workers for ordinary answers.
"""

from __future__ import annotations

import argparse
import base64
import json
import mimetypes
import os
import random
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.bombs import BOMBS, Bomb
from bench.readers import ORIGIN, pages, photographs
from bench.site import ROBOTS
from forbear.crawler.demo.demo_server import Reply, Web
from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Question
from forbear.optout.readers.heavy import LIGHT

HOST = "hostile.example"
URL = f"http://{HOST}/file"
ROUNDS = 7
_PROGRAM = (sys.executable, "-m", "forbear")
_PLAIN = (("Content-Type", "text/plain"),)


@dataclass
class Cost:
    """The cost of a command: peak ``memory`` and ``workers`` in MiB, ``processor`` and ``stall`` in seconds."""

    verdict: str = "-"
    processor: float = 0.0
    memory: int = 0
    workers: int = 0
    stall: float | None = None

    def __str__(self) -> str:
        """Formats the cost as cells of a table."""
        stall = "" if self.stall is None else f"{self.stall * 1e3:,.0f} ms"
        return f"{self.verdict} | {self.processor:.1f} s | {self.memory} MiB | {self.workers} MiB | {stall}"


@dataclass
class Program:
    """A running program, with the peak memory of it and its children."""

    process: subprocess.Popen[bytes]
    cost: Cost = field(default_factory=Cost)
    ended: bool = False

    def watch(self) -> None:
        """Samples the memory until the program has ended."""
        while not self.ended:
            self.cost.memory = max(self.cost.memory, _peak(self.process.pid))
            for child in _children(self.process.pid):
                self.cost.workers = max(self.cost.workers, _peak(child))
            time.sleep(0.01)


def _peak(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/status").read_text("ascii").split("VmHWM:")[1].split()[0]) >> 10
    return 0


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [
            int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()
        ]
    return []


@contextmanager
def watched(words: Sequence[str], **options: Any) -> Iterator[Program]:
    """Starts ``forbear`` and watches it until it ends; the block has to make it end."""
    process = subprocess.Popen([*_PROGRAM, *words], **options)
    program = Program(process)
    thread = threading.Thread(target=program.watch)
    thread.start()
    try:
        yield program
    finally:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        program.ended = True
        thread.join()
        program.cost.processor = used.ru_utime + used.ru_stime


def _read(words: Sequence[str], stdin: bytes = b"") -> tuple[Cost, str]:
    """Runs a command that prints JSON, and returns its cost and the first line."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out:
        given.write(stdin)
        given.seek(0)
        with watched(words, stdin=given, stdout=out, stderr=subprocess.DEVNULL) as program:
            pass
        out.seek(0)
        return program.cost, out.read().decode().partition("\n")[0]


def _quotes(reasons: list[dict[str, str]]) -> str:
    return ", ".join(dict.fromkeys(reason["quote"][:30] for reason in reasons))


def _of_decision(cost: Cost, line: str) -> Cost:
    answer = json.loads(line) if line else {"verdict": "none", "reasons": []}
    cost.verdict = f"{answer['verdict']} {_quotes(answer['reasons'])}".strip()
    return cost


def by_decide(bomb: Bomb, body: bytes, _web: Web, _folder: Path) -> Cost:
    """Measures ``forbear decide``."""
    exchanges = [{"url": URL, "status": 200, "headers": [["Content-Type", bomb.kind]]}]
    exchanges[0]["body_b64"] = base64.b64encode(body).decode()
    robots = {"url": f"http://{HOST}/robots.txt", "status": 200, "headers": [["Content-Type", "text/plain"]]}
    exchanges += [{**robots, "body": bomb.robots.decode()}] if bomb.robots else []
    return _of_decision(*_read(["decide"], json.dumps({"id": "1", "url": URL, "exchanges": exchanges}).encode()))


def by_check(_bomb: Bomb, _body: bytes, web: Web, _folder: Path) -> Cost:
    """Measures ``forbear check``."""
    return _of_decision(*_read(["check", "--json", "--proxy", web.proxy, URL]))


_ROWS = """SELECT verdict, quote FROM decisions LEFT JOIN reasons ON reasons.decision = decisions.id
WHERE decisions.url = ? ORDER BY decisions.id"""


def _of_log(cost: Cost, database: Path) -> Cost:
    connection = sqlite3.connect(database)
    rows = connection.execute(_ROWS, (URL,)).fetchall()
    connection.close()
    cost.verdict = " ".join(str(word)[:30] for word in rows[-1] if word) if rows else "none"
    return cost


def by_crawl(_bomb: Bomb, _body: bytes, web: Web, folder: Path) -> Cost:
    """Measures ``forbear crawl``."""
    words = ["crawl", URL, "--out", str(folder / "out"), "--db", f"sqlite:///{folder}/crawl.db", "--sitemaps"]
    options = ["--contact", "https://operator.example/bot", "--delay", "0", "--retries", "0", "--json"]
    cost, _ = _read([*words, *options, "--proxy", web.proxy])
    return _of_log(cost, folder / "crawl.db")


def by_filter(bomb: Bomb, body: bytes, web: Web, folder: Path) -> Cost:
    """Measures ``forbear filter`` on a WARC file."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {bomb.kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    record = (
        "WARC/1.1\r\nWARC-Type: response\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        "WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>\r\n"
        f"WARC-Target-URI: {URL}\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(head) + len(body)}\r\n\r\n"
    ).encode()
    (folder / "one.warc").write_bytes(record + head + body + b"\r\n\r\n")
    words = ["filter", str(folder / "one.warc"), "--out", str(folder / "filtered"), "--proxy", web.proxy, "--json"]
    options = ["--contact", "https://operator.example/bot", "--db", f"sqlite:///{folder}/filter.db"]
    cost, _ = _read([*words, *options])
    return _of_log(cost, folder / "filter.db")


def by_portal(_bomb: Bomb, _body: bytes, web: Web, folder: Path) -> Cost:
    """Measures the live check of ``forbear serve``, while another client requests /health."""
    subprocess.run(
        [*_PROGRAM, "db", "upgrade", "--db", f"sqlite:///{folder}/portal.db"], check=False, capture_output=True
    )
    port = random.randrange(20_000, 30_000)
    words = ["serve", "--port", str(port), "--db", f"sqlite:///{folder}/portal.db", "--proxy", web.proxy]
    with (
        watched([*words, "--contact", "https://operator.example/bot"], stdout=subprocess.DEVNULL) as program,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client,
    ):
        try:
            _wait_for(client)
            token = re.search(r'name="form_token" value="(\w+)"', client.get("/check").text)
            assert token
            stalls: list[float] = []
            ended = threading.Event()
            asker = threading.Thread(target=_ask_health, args=(f"http://127.0.0.1:{port}/health", ended, stalls))
            asker.start()
            page = client.post("/check", data={"form_token": token[1], "url": URL})
            ended.set()
            asker.join()
            verdict = re.search(r'class="narrow answer (\w+)"', page.text)
            quote = re.search(r"The answer was: <code>([^<]*)", page.text)
            words_of = f"{verdict[1] if verdict else page.status_code} {quote[1] if quote else ''}"
            program.cost.verdict, program.cost.stall = words_of.strip(), max(stalls)
        finally:
            program.process.terminate()
    return program.cost


def _wait_for(client: httpx.Client) -> None:
    while True:
        with suppress(httpx.TransportError):
            client.get("/health")
            return
        time.sleep(0.05)


def _ask_health(url: str, ended: threading.Event, stalls: list[float]) -> None:
    with httpx.Client(timeout=120) as client:
        while not ended.is_set():
            begin = time.perf_counter()
            client.get(url)
            stalls.append(time.perf_counter() - begin)
            ended.wait(0.01)


COMMANDS: dict[str, Callable[[Bomb, bytes, Web, Path], Cost]] = {
    "decide": by_decide,
    "check": by_check,
    "crawl": by_crawl,
    "filter": by_filter,
    "portal": by_portal,
}


def _files(folder: Path | None) -> Iterator[Bomb]:
    yield from BOMBS
    for path in sorted(folder.iterdir()) if folder else ():
        kind, _ = mimetypes.guess_type(path.name)
        if kind and path.is_file():
            yield Bomb(path.name, kind, path.read_bytes)


def costs(folder: Path | None, only: Sequence[str]) -> None:
    """Prints a line for each file and command."""
    print("| file | bytes | command | verdict | processor | memory | workers | /health |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for bomb in _files(folder):
        body = bomb.make()
        site = {"/file": Reply(body, headers=(("Content-Type", bomb.kind),))}
        site |= {"/robots.txt": Reply(bomb.robots, headers=_PLAIN)} if bomb.robots else {}
        for name, run in COMMANDS.items():
            if not only or name in only:
                with Web({HOST: site}) as web, tempfile.TemporaryDirectory(prefix="forbear-bench-") as place:
                    print(f"| {bomb.name} | {len(body):,} | {name} | {run(bomb, body, web, Path(place))} |", flush=True)


# --- the cost for ordinary answers


def ordinary() -> None:
    """Compares decisions with and without a BoundedReader, in turns, about the same answers."""
    law = policy.load()
    light = [page for page in pages() if len(page[2]) <= LIGHT][:300]
    for what, of in (("pages of a real site", light), ("pictures", photographs()[:300])):
        with WorkerPool(1) as pool:
            reader = BoundedReader(pool)
            turns = [(_seconds(of, decide, law), _seconds(of, reader.decide, law)) for _ in range(ROUNDS + 1)][1:]
        for clock, name in ((0, "in all"), (1, "of this process's processor")):
            pairs = [(alone[clock], bounded[clock]) for alone, bounded in turns]
            alone, bounded = (statistics.median(column) / len(of) * 1e3 for column in zip(*pairs, strict=True))
            ratio = statistics.median(second / first for first, second in pairs)
            print(f"{len(of)} {what}, ms {name}: {alone:.3f} each, {bounded:.3f} within limits, ratio {ratio:.3f}")


def _seconds(
    of: Sequence[tuple[str, Any, bytes]], function: Callable[..., object], law: policy.Policy
) -> tuple[float, float]:
    robots = Capture(f"{ORIGIN}/robots.txt", 200, _PLAIN, ROBOTS)
    begin, spent = time.perf_counter(), time.process_time()
    for path, headers, body in of:
        url = ORIGIN + path
        function(Question(url), Captures([robots, Capture(url, 200, headers, body)], complete=True), law)
    return time.perf_counter() - begin, time.process_time() - spent


def main(words: list[str]) -> None:
    """Runs the measurement that the arguments name."""
    if words == ["cost"]:
        ordinary()
        return
    parser = argparse.ArgumentParser(prog="python -m bench limits", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="more files, with types by their names")
    parser.add_argument("--only", action="append", choices=COMMANDS, default=[], help="only these commands")
    chosen = parser.parse_args(words)
    costs(chosen.folder, chosen.only)
