"""Applies the decision to data that others collected, and leaves out what is reserved or cannot be known.

Each item has a row in the log before it is written or left out. Files with reservations are fetched as in a crawl, one
process at a time for each host, or come from a snapshot, or from the log (``offline``).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from forbear.crawler.crawl.run import begin
from forbear.crawler.engine.live import Live
from forbear.crawler.engine.session import DecisionContext, Session
from forbear.crawler.files import atomic_rename, part_path
from forbear.crawler.filter.archive import Archive
from forbear.crawler.filter.columnar import GroupedFilter
from forbear.crawler.filter.config import REASONS, FilterConfig, FilterResult, finished
from forbear.crawler.filter.images import Folder
from forbear.crawler.filter.inputs import BadInput, Rows, UrlList
from forbear.crawler.filter.journal import Journal
from forbear.crawler.filter.sources import Archives, FilterSession, PlaceFetcher, opened
from forbear.crawler.filter.webdataset import Shard
from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout import __version__
from forbear.optout.case import reason_to_json
from forbear.optout.model import Verdict
from forbear.optout.protocols import infringing_list, operator
from forbear.optout.readers import url as urls
from forbear.optout.readers.url import NotAUrl
from forbear.storage.database import open_database
from forbear.storage.db.hostnames import domain_of
from forbear.storage.db.records import CaptureRecord, Keep, new_id, now
from forbear.storage.log import crawls, lists
from forbear.storage.log.crawls import CrawlState
from forbear.storage.log.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from forbear.batch.rules import Snapshot
    from forbear.crawler.filter.inputs import Item, Source
    from forbear.crawler.filter.journal import LeftOut
    from forbear.optout.model import Capture

KINDS = ("warc", "parquet", "urls", "images", "webdataset")
_LISTS = frozenset({".txt", ".lst", ".urls"})


def source(config: FilterConfig, path: Path, target: Path) -> Source:
    """Opens an input by its kind, by default that of its name. Raises BadInput."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    bare = [suffix for suffix in suffixes if suffix != ".gz"]
    if config.kind == "images" or (config.kind is None and path.is_dir()):
        return Folder(path, target, config.url_column)
    if config.kind == "warc" or (config.kind is None and ".warc" in suffixes):
        return Archive(path, target)
    if config.kind == "webdataset" or (config.kind is None and suffixes[-1:] == [".tar"]):
        return Shard(path, target, config.url_column)
    if config.kind == "parquet" or (config.kind is None and suffixes[-1:] == [".parquet"]):
        try:
            return Rows(path, target, config.url_column)
        except pa.ArrowInvalid as error:
            raise BadInput(f"{path} is not a Parquet file: {error}") from None
    if config.kind == "urls" or (config.kind is None and bare[-1:] and bare[-1] in _LISTS):
        return UrlList(path, target)
    raise BadInput(f"{path} has no known file extension: name its kind with --kind ({', '.join(KINDS)})")


def run(
    config: FilterConfig,
    watch: Callable[[FilterResult], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> FilterResult:
    """Filters every unfinished input. Raises BadConfig, BadInput, StorageError and OSError.

    ``watch`` is called as it goes on, ``say`` with a sentence about each record that is broken.
    """
    with ExitStack() as ends:
        hosts = ends.enter_context(opened(config.hosts)) if config.hosts else None
        policy = hosts.policy if hosts and not config.terms.policy else config.terms.read_policy()
        engine = open_database(config.store.db, evidence=config.store.evidence)
        ends.callback(engine.dispose)
        writer = Writer(engine)
        writer.start()
        ends.callback(writer.close)
        done = FilterResult(say=say)
        crawl = writer.call(partial(begin, terms=config.terms, policy=policy, identity=config.identity())).result()
        own, infringing = _lists(config, hosts, writer)
        decision_context = config.terms.decision_context(crawl.id, policy, own, infringing)
        done.crawl = crawl.id
        state = CrawlState.STOPPED
        try:
            if config.grouped:
                GroupedFilter(config, decision_context, writer, done).run(list(_named(config.inputs)), watch)
            else:
                reader = BoundedReader(ends.enter_context(WorkerPool()))
                asyncio.run(_run(config, decision_context, writer, reader, hosts, done, watch))
            state = CrawlState.FINISHED
        finally:
            writer.call(lambda connection: crawls.end(connection, crawl.id, state, now())).result()
        return done


def _lists(config: FilterConfig, hosts: Snapshot | None, writer: Writer) -> tuple[Capture | None, Capture | None]:
    """Returns the operator's list and the list of infringing sites: as named, else from database or snapshot."""
    of_snapshot = {known.capture.url: known.capture for known in hosts.lists} if hosts else {}
    own = config.terms.read_operator_list() or of_snapshot.get(operator.LIST)
    infringing = config.terms.read_infringing_list(writer.call(lists.current).result())
    return own, infringing or of_snapshot.get(infringing_list.LIST)


async def _run(
    config: FilterConfig,
    decision_context: DecisionContext,
    writer: Writer,
    reader: BoundedReader,
    hosts: Snapshot | None,
    done: FilterResult,
    watch: Callable[[FilterResult], None] | None,
) -> None:
    archives = Archives(config.archives, lambda damage: done.note(f"--snapshot {damage.file}", damage))
    live = Live(
        config.network.guard(),
        agent=config.terms.agent,
        version=__version__,
        contact=config.terms.contact,
        proxy=config.network.proxy,
        timeout=config.network.timeout,
        delay=config.network.delay,
        max_delay=config.network.max_delay or 3600.0,
        signer=config.network.signer(),
    )
    async with live:
        source = None if config.offline else live
        fetcher = PlaceFetcher(
            source, writer, done.count_request, delay=config.network.delay, most=config.network.concurrency
        )
        session = FilterSession(
            decision_context, writer, reader, fetcher.fetch, archives, hosts, offline=config.offline
        )
        for path, name in _named(config.inputs):
            await _filter(config, path, name, session, done, watch)


def _named(inputs: Sequence[Path]) -> list[tuple[Path, str]]:
    """Yields each input with its name in the output folder; equal names get a number in front."""
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
    done: FilterResult,
    watch: Callable[[FilterResult], None] | None,
) -> None:
    kept, reasons = config.store.out / "kept" / name, config.store.out / "reasons" / f"{name}.parquet"
    log = reasons.with_name(f".{name}.journal")
    if reasons.exists():
        done.counts[name], broken = finished(config, path, reasons)
        if broken:
            done.broken[name] = broken
        done.before.add(name)
        log.unlink(missing_ok=True)
        return
    data = source(config, path, kept)
    counts = done.counts[name] = Counter()
    reasons.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(reasons)
    with (
        closing(Journal(log, {"settings": config.settings, "input": _stamp(path)}, done.crawl)) as journal,
        pq.ParquetWriter(part, REASONS, compression="zstd") as writer,
    ):
        await asyncio.to_thread(journal.open, session.writer)
        batches, earlier = data.batches(), journal.done()
        while batch := await asyncio.to_thread(next, batches, None):
            count, left = next(earlier, None) or (len(batch), await _decide(session, batch, journal))
            if count != len(batch):
                raise BadInput(f"{path} has changed since an earlier run: name another folder with --out")
            if left:
                writer.write_table(pa.Table.from_pylist(list(left.values()), REASONS))
            counts.update({str(Verdict.ALLOWED): count - len(left)} | Counter(row["verdict"] for row in left.values()))
            done.protocols.update(
                name for row in left.values() for name in {each["protocol"] for each in row["reasons"]}
            )
            for damage in (damage for item in batch for damage in item.damage):
                done.note(name, damage)
            for item in (item for place, item in enumerate(batch) if place not in left):
                data.keep(item)
            if watch:
                watch(done)
        about = {"settings": config.settings, "counts": json.dumps(+counts)}
        if name in done.broken:
            about["broken"] = json.dumps(asdict(done.broken[name]))
        writer.add_key_value_metadata(about)
    data.finish()
    atomic_rename(part, reasons)  # last, as it marks the input as done
    log.unlink()


def _stamp(path: Path) -> list[int]:
    """Identifies a file and its present state."""
    about = path.stat()
    return [about.st_size, about.st_mtime_ns]


async def _decide(session: Session, batch: Sequence[Item], journal: Journal) -> LeftOut:
    """Returns what is left out of a batch; its decisions are committed, and the batch is in the journal."""
    rows = await asyncio.gather(*(_row(session, item, journal.logged(item)) for item in batch))
    left = {place: row for place, row in enumerate(rows) if row["verdict"] != str(Verdict.ALLOWED)}
    journal.add(len(batch), left)
    return left


async def _row(session: Session, item: Item, logged: dict[str, Any] | None) -> dict[str, Any]:
    """Returns a row about an item, whose decision is committed, now or by an earlier run."""
    row: dict[str, Any] = {"where": item.where, "url": item.url, "host": None, "domain": None, "decision": None}
    try:
        url = urls.parse(item.url or "")
    except NotAUrl:
        return row | {"verdict": "unusable", "reasons": []}
    row |= {"host": url.host, "domain": domain_of(url.host)}
    if logged:
        return row | {"verdict": logged["verdict"], "decision": logged["id"], "reasons": logged["reasons"]}
    page = CaptureRecord(new_id(), now(), None, item.page, Keep.QUOTED) if item.page else None
    decided = await session.decide_and_log(item.url or "", page)
    reasons = [reason_to_json(reason) for reason in decided.decision.reasons]
    return row | {"verdict": str(decided.decision.verdict), "decision": decided.id, "reasons": reasons}
