"""``python -m bench batch [N [WAY…]]``: decisions about a data set of N rows (1,000,000), from a snapshot of its hosts.

Each host has 100 rows on average, in random order, and the robots.txt of a well-known site or a short one; one in ten
has a tdmrep.json. The ways run one after the other, each in one process: ``arrow`` decides about a table;
``arrow-known`` repeats it with the hosts' rules in memory; ``duckdb`` writes a file through DuckDB; ``grouped`` runs
``forbear filter`` with its log; ``datatrove`` runs a task; ``datatrove-alone`` runs it without the step. Rows per
second are of processor time; elapsed time is shown beside it.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from forbear.batch import snapshot
from forbear.batch.rules import Snapshot
from forbear.batch.snapshot import About, SnapshotAnswer
from forbear.batch.table import decide_table
from forbear.optout import policy
from forbear.optout.model import Capture
from forbear.optout.protocols import PROTOCOLS

A_HOST = 100
"""Average rows per host."""
_PLAIN = (("Content-Type", "text/plain"),)
_PLACES = sorted({place for protocol in PROTOCOLS for place in protocol.PLACES})
_TDMREP = b'[{"location": "/reserved*", "tdm-reservation": 1}]'


def main(words: list[str]) -> None:
    """Prints a line for each way, or for those named after N, and checks that their counts agree."""
    rows = int(words[0].replace(",", "")) if words else 1_000_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = _make(folder, rows)
        print(f"{rows:,} rows of {made.hosts:,} hosts, {made.answers:,} answers in the snapshot, ", end="")
        print(f"{(folder / 'hosts.parquet').stat().st_size / 1e6:.1f} MB", flush=True)
        found: list[Counter[str]] = []
        with Snapshot(folder / "hosts.parquet", hosts=made.hosts) as rules:
            ways = {
                "arrow": lambda: _arrow(folder, rules),
                "arrow-known": lambda: _arrow(folder, rules),
                "duckdb": lambda: _duckdb(folder),
                "grouped": lambda: _grouped(folder),
                "datatrove": lambda: _datatrove(folder),
                "datatrove-alone": lambda: _datatrove(folder, step=False),
            }
            for name in words[1:] or ways:
                clock, processor = time.perf_counter(), _processor()
                found.append(ways[name]())
                clock, processor = time.perf_counter() - clock, _processor() - processor
                rate = f"{rows / processor:>9,.0f} rows/s"
                print(f"{name:<16} {processor:7.1f} s {rate}   {clock:7.1f} s elapsed", flush=True)
        print(", ".join(f"{count:,} {verdict}" for verdict, count in sorted(found[0].items())))
        assert all(each == found[0] for each in found if each), "the ways disagree"


def _processor() -> float:
    """Returns the processor time, in seconds, of this process and of those that it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _make(folder: Path, rows: int) -> About:
    """Makes the table ``rows.parquet`` and the snapshot ``hosts.parquet``."""
    chance = random.Random(1)
    hosts = [f"h{number}.example" for number in range(max(rows // A_HOST, 1))]
    urls = (f"https://{chance.choice(hosts)}/{_path(chance)}" for _ in range(rows))
    table = pa.table({"id": pa.array(range(rows)).cast(pa.string()), "url": list(urls)})
    pq.write_table(table.append_column("text", [["some words"] * rows]), folder / "rows.parquet")
    at = datetime.now(UTC)
    rules = policy.load()
    about = About(
        snapshot.FORMAT, at.isoformat(), "bench", rules.digest, None, None, 0, hashlib.sha256().hexdigest(), None
    )
    answers = (
        SnapshotAnswer(each, at, at + timedelta(days=1), f"c{number}")
        for number, each in enumerate(_answers(sorted(hosts)))
    )
    return snapshot.write(folder / "hosts.parquet", about, rules, (), answers)


def _path(chance: random.Random) -> str:
    top = chance.choice(("articles", "reserved", "private", "a", "tag", "search"))
    return f"{top}/{chance.randrange(10**6)}/{chance.randrange(10**6)}.html?page={chance.randrange(100)}"


def _answers(hosts: list[str]) -> Iterator[Capture]:
    files = [path.read_bytes() for path in sorted(Path("crawler/demo/demo_robots").glob("*.txt"))]
    few = b"User-agent: *\nDisallow: /private/\nDisallow: /search\nAllow: /search/1\n"
    files += [few, few + b"Content-Usage: /reserved train-ai=n\n", b"", b"User-agent: *\nDisallow:\n"]
    for number, host in enumerate(hosts):
        served = {"/robots.txt": files[number % len(files)]}
        if number % 10 == 0:
            served["/.well-known/tdmrep.json"] = _TDMREP
        for place in _PLACES:
            body = served.get(place, b"")
            yield Capture(f"https://{host}{place}", 200 if body else 404, _PLAIN, body)


def _arrow(folder: Path, rules: Snapshot) -> Counter[str]:
    found: Counter[str] = Counter()
    with pq.ParquetFile(folder / "rows.parquet") as file:
        for batch in decide_table(file.iter_batches(262_144), rules):
            found.update({each["values"]: each["counts"] for each in batch["verdict"].value_counts().to_pylist()})
    return found


def _duckdb(folder: Path) -> Counter[str]:
    decided = folder / "decided.parquet"
    with Snapshot(folder / "hosts.parquet") as rules, duckdb.connect(config={"threads": 1}) as connection:
        given = connection.cursor().sql(f"FROM '{folder}/rows.parquet'")
        connection.register("decided", decide_table(given.to_arrow_reader(262_144), rules))
        connection.execute(f"COPY (FROM decided) TO '{decided}'").fetchall()
        return Counter(dict(connection.execute(f"SELECT verdict, count(*) FROM '{decided}' GROUP BY 1").fetchall()))


def _grouped(folder: Path) -> Counter[str]:
    out = Path(tempfile.mkdtemp(dir=folder))
    words = ["filter", folder / "rows.parquet", "--snapshot", folder / "hosts.parquet", "--offline", "--grouped"]
    words += ["--out", out / "out", "--db", f"sqlite:///{out}/f.db", "--json"]
    done = subprocess.run([sys.executable, "-m", "forbear", *map(str, words)], check=True, stdout=subprocess.PIPE)
    return Counter(json.loads(done.stdout)["counts"])


def _datatrove(folder: Path, *, step: bool = True) -> Counter[str]:
    from datatrove.pipeline.readers import ParquetReader  # noqa: PLC0415 only this way needs it
    from datatrove.pipeline.writers import ParquetWriter  # noqa: PLC0415

    from forbear.batch.trove import RightsFilter  # noqa: PLC0415

    out = Path(tempfile.mkdtemp(dir=folder))
    rights = RightsFilter(str(folder / "hosts.parquet"), reasons=str(out / "reasons"))
    reader, writer = ParquetReader(str(folder), glob_pattern="rows.parquet"), ParquetWriter(str(out / "kept"))
    data = None
    for each in (reader, rights, writer) if step else (reader, writer):
        data = each(data)
    for _ in data or ():
        pass
    stats = {name: int(each.total) for name, each in rights.stats.stats.items()}
    prefix = "verdict_"
    return Counter({name.removeprefix(prefix): total for name, total in stats.items() if name.startswith(prefix)})
