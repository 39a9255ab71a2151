"""Applies the decision of a crawl to data that others collected: what is reserved, or not known, is left out.

For each item there is a row in the log before it is written or left out; the files with reservations are fetched as a
crawl would, from the same hosts' turns, or come from a snapshot, or from what the log has (``offline``).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.bot_auth import read_signer
from crawler.crawl import BadConfig, Config, begin
from crawler.files import hidden, settle
from crawler.images import Folder
from crawler.inputs import Archive, BadInput, Rows, UrlList, response_at, responses
from crawler.live import Live
from crawler.network import Guard
from crawler.operator import read_infringing, read_list, read_policy
from crawler.places import expiry
from crawler.session import Asking, Session
from optout import __version__
from optout.model import Capture, Failure, Verdict
from optout.protocols import PROTOCOLS
from optout.readers import url as urls
from optout.readers.url import NotAUrl
from storage import crawls, evidence, leases, lists
from storage.crawls import CrawlState
from storage.database import open_database
from storage.names import digest, domain_of
from storage.owners import this_process
from storage.records import CaptureRecord, Keep, new_id, now
from storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crawler.inputs import Item, Source

KINDS = ("warc", "parquet", "urls", "images")
LEASE_SECONDS = 60.0
_LISTS = frozenset({".txt", ".lst", ".urls"})
_PLACES = frozenset(place for protocol in PROTOCOLS for place in protocol.PLACES)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_TEXT = pa.string()
_REASON = pa.struct([(name, _TEXT) for name in ("protocol", "preference", "quote", "source", "where", "measure")])
REASONS = pa.schema(
    [
        ("where", _TEXT),
        ("url", _TEXT),
        ("host", _TEXT),
        ("domain", _TEXT),
        ("verdict", _TEXT),
        ("decision", _TEXT),
        ("reasons", pa.list_(_REASON)),
    ]
)
"""What was left out of a file and why; ``verdict`` is excluded, deferred, or unusable for what has no http(s) URL."""


@dataclass(frozen=True, slots=True)
class FilterConfig(Config):
    """What ``forbear filter`` was asked to do; ``out`` is the folder of what stays."""

    inputs: tuple[Path, ...] = ()
    kind: str | None = None
    url_column: str | None = None
    offline: bool = False
    snapshot: tuple[Path, ...] = ()

    def identity(self) -> dict[str, Any]:
        """Which commands are the same run, so that one goes on with what another left."""
        every = {**Config.identity(self), "command": "filter"}
        every["inputs"] = [str(path.resolve()) for path in self.inputs]
        every["snapshot"] = [str(path.resolve()) for path in self.snapshot]
        return every


@dataclass(slots=True)
class Filtered:
    """What a run did, by input: counts by verdict; ``before`` are inputs that an earlier run had done."""

    crawl: str = ""
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    protocols: Counter[str] = field(default_factory=Counter)
    before: set[str] = field(default_factory=set)
    requests: int = 0
    began: float = field(default_factory=monotonic)

    @property
    def total(self) -> Counter[str]:
        """All inputs together."""
        return sum(self.counts.values(), Counter())

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return monotonic() - self.began


class Snapshot:
    """Answers that stand in WARC files, found by their URL: robots.txt as Common Crawl publishes it, and the like."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._places: dict[bytes, tuple[Path, int, datetime]] = {}
        for path in paths:
            for url, at, offset in responses(path):
                if urls.parse(url).path in _PLACES:
                    self._places[digest(url)] = path, offset, at

    def get(self, url: str) -> CaptureRecord | None:
        """The answer, for this run alone: it is as old as the snapshot, so nobody else is to use it again."""
        found = self._places.get(digest(url))
        capture = response_at(found[0], found[1], url) if found else None
        return CaptureRecord(new_id(), found[2], None, capture) if found and capture else None


class Places(Session):
    """A session that takes files with reservations from a snapshot first, then the log, then the network."""

    def __init__(self, asking: Asking, writer: Writer, snapshot: Snapshot, *, offline: bool) -> None:
        super().__init__(asking, writer)
        self._snapshot, self._offline = snapshot, offline

    async def _stored(self, url: str) -> CaptureRecord | None:
        record = self._snapshot.get(url) or await super()._stored(url)
        if record or not self._offline:
            return record
        found = await asyncio.wrap_future(self.writer.call(lambda connection: evidence.fresh(connection, [url], _EVER)))
        if not found:
            return None
        [(capture_id, capture, _)] = found
        self._written.add(capture_id)
        return CaptureRecord(capture_id, now(), None, capture)


class Network:
    """Fetches files with reservations, each host in its turn among all processes on the database."""

    def __init__(self, live: Live | None, writer: Writer, done: Filtered, *, delay: float, most: int) -> None:
        self._live, self._writer, self._done, self._delay = live, writer, done, delay
        self._room = asyncio.Semaphore(most)
        self._owner = this_process()
        self._turns: dict[str, asyncio.Lock] = {}

    async def fetch(self, url: str) -> CaptureRecord:
        """What stands at a URL; without a network nobody asks, and nothing is known."""
        if self._live is None:
            detail = "the log has no answer from there, and --offline asks nobody"
            return CaptureRecord(new_id(), now(), None, Capture(url, error=Failure.UNASKED, memo={"detail": detail}))
        host = urls.parse(url).host
        async with self._turns.setdefault(host, asyncio.Lock()), self._room:
            capture = await self._in_turn(self._live, host, url)
        at = now()
        return CaptureRecord(new_id(), at, expiry(capture, at), capture)

    async def _in_turn(self, live: Live, host: str, url: str) -> Capture:
        for _ in range(int(LEASE_SECONDS)):
            lease = await self._call(
                lambda connection: leases.lease_host(connection, self._owner, host, now(), LEASE_SECONDS)
            )
            if lease:
                break
            await asyncio.sleep(1)
        else:
            return Capture(url, error=Failure.TIMEOUT, memo={"detail": f"another process was serving {host}"})
        try:
            pause = (lease.next_at - now()).total_seconds() if lease.next_at else 0.0
            await asyncio.sleep(max(pause, 0.0))
            self._done.requests += 1
            return await live.fetch(url)
        finally:
            later = now() + timedelta(seconds=self._delay)
            await self._call(lambda connection: leases.release(connection, self._owner, host, later, now()))

    async def _call(self, function: Callable[[Any], Any]) -> Any:
        return await asyncio.wrap_future(self._writer.call(function))


def source(config: FilterConfig, path: Path, target: Path) -> Source:
    """An input by its kind, or by its name if none is given. Raises BadInput."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    bare = [suffix for suffix in suffixes if suffix != ".gz"]
    if config.kind == "images" or (config.kind is None and path.is_dir()):
        return Folder(path, target, config.url_column)
    if config.kind == "warc" or (config.kind is None and ".warc" in suffixes):
        return Archive(path, target)
    if config.kind == "parquet" or (config.kind is None and suffixes[-1:] == [".parquet"]):
        try:
            return Rows(path, target, config.url_column)
        except pa.ArrowInvalid as error:
            raise BadInput(f"{path} is no Parquet file: {error}") from None
    if config.kind == "urls" or (config.kind is None and bare[-1:] and bare[-1] in _LISTS):
        return UrlList(path, target)
    raise BadInput(f"{path} is of no kind that its name tells: say which with --kind ({', '.join(KINDS)})")


def run(config: FilterConfig, watch: Callable[[Filtered], None] | None = None) -> Filtered:
    """Filters every input that is not done yet. Raises BadConfig, BadInput, StorageError and OSError."""
    asking_list = read_list(config.operator_list, "--operator-list") if config.operator_list else None
    policy = read_policy(config.policy, "--policy")
    engine = open_database(config.db, evidence=config.evidence)
    writer = Writer(engine)
    writer.start()
    done = Filtered()
    try:
        crawl = writer.call(lambda connection: begin(connection, config, policy)).result()
        known = writer.call(lists.current).result()
        infringing = read_infringing(config.infringing_list, "--infringing-list", known)
        asking = Asking(crawl.id, config.agent, config.use, config.profile, policy, asking_list, infringing)
        done.crawl = crawl.id
        state = CrawlState.STOPPED
        try:
            asyncio.run(_run(config, asking, writer, done, watch))
            state = CrawlState.FINISHED
        finally:
            writer.call(lambda connection: crawls.end(connection, crawl.id, state, now())).result()
    finally:
        writer.close()
        engine.dispose()
    return done


async def _run(
    config: FilterConfig, asking: Asking, writer: Writer, done: Filtered, watch: Callable[[Filtered], None] | None
) -> None:
    guard = Guard(resolve=config.resolve, allow_private=config.allow_private_networks)
    session = Places(asking, writer, Snapshot(config.snapshot), offline=config.offline)
    live = Live(
        guard,
        agent=config.agent,
        version=__version__,
        contact=config.contact,
        proxy=config.proxy,
        timeout=config.timeout,
        delay=config.delay,
        max_delay=config.max_delay or 3600.0,
        signer=read_signer(config.signing_key, config.signature_agent),
    )
    async with live:
        network = Network(None if config.offline else live, writer, done, delay=config.delay, most=config.concurrency)
        session.fetch_by(network.fetch)
        for path, name in _named(config.inputs):
            await _filter(config, path, name, session, done, watch)


def _named(inputs: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each input with its name below the folder of the output; those that share one get a number before it."""
    shared = {name for name, count in Counter(path.name for path in inputs).items() if count > 1}
    return [
        (path, f"{number:04}-{path.name}" if path.name in shared else path.name)
        for number, path in enumerate(inputs, 1)
    ]


async def _filter(
    config: FilterConfig,
    path: Path,
    name: str,
    session: Session,
    done: Filtered,
    watch: Callable[[Filtered], None] | None,
) -> None:
    kept, reasons = config.out / "kept" / name, config.out / "reasons" / f"{name}.parquet"
    identity = json.dumps(config.identity() | {"inputs": [], "snapshot": []}, sort_keys=True)
    if reasons.exists():
        about = pq.read_metadata(reasons).metadata or {}
        if about.get(b"settings", b"").decode() != identity:
            raise BadConfig(f"{config.out} holds what other settings made of {path.name}: name another folder.")
        done.counts[name] = Counter(json.loads(about[b"counts"]))
        done.before.add(name)
        return
    data = source(config, path, kept)
    counts = done.counts[name] = Counter()
    reasons.parent.mkdir(parents=True, exist_ok=True)
    part = hidden(reasons)
    with pq.ParquetWriter(part, REASONS, compression="zstd") as writer:
        batches = data.batches()
        while batch := await asyncio.to_thread(next, batches, None):
            rows = await asyncio.gather(*(_decide(session, item) for item in batch))
            left = [row for row in rows if row["verdict"] != str(Verdict.ALLOWED)]
            if left:
                writer.write_table(pa.Table.from_pylist(left, REASONS))
            for item, row in zip(batch, rows, strict=True):
                counts[row["verdict"]] += 1
                done.protocols.update({reason["protocol"] for reason in row["reasons"]})
                if row["verdict"] == str(Verdict.ALLOWED):
                    data.keep(item)
            if watch:
                watch(done)
        writer.add_key_value_metadata({"settings": identity, "counts": json.dumps(counts)})
    data.finish()
    settle(part, reasons)  # last: it says that this input is done


async def _decide(session: Session, item: Item) -> dict[str, Any]:
    """A row about an item, whose decision is committed."""
    row: dict[str, Any] = {"where": item.where, "url": item.url, "host": None, "domain": None, "decision": None}
    try:
        url = urls.parse(item.url or "")
    except NotAUrl:
        return row | {"verdict": "unusable", "reasons": []}
    page = CaptureRecord(new_id(), now(), None, item.page, Keep.QUOTED) if item.page else None
    ruling = await session.rule(item.url or "", page)
    return row | {
        "host": url.host,
        "domain": domain_of(url.host),
        "verdict": str(ruling.decision.verdict),
        "decision": ruling.id,
        "reasons": [
            {
                "protocol": reason.protocol,
                "preference": str(reason.preference),
                "quote": reason.quote,
                "source": reason.source,
                "where": reason.where,
                "measure": reason.measure,
            }
            for reason in ruling.decision.reasons
        ],
    }
