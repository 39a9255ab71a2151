"""Filters tables by a snapshot of hosts, in Arrow batches, with a log row for each host and answer, not each URL.

An input is processed in parts of one or more row groups. The next run skips parts that have both files. What the log
already has of an unfinished part is found there, and not written twice.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from forbear.batch.rules import Snapshot
from forbear.batch.table import UNUSABLE, decide_column, is_text
from forbear.crawler.files import atomic_rename, part_path
from forbear.crawler.filter.config import REASONS, finished
from forbear.crawler.filter.inputs import BadInput, url_column
from forbear.crawler.filter.sources import recorded
from forbear.crawler.identity import with_complaints
from forbear.optout.case import reason_to_json
from forbear.optout.model import Verdict
from forbear.optout.readers import url as urls
from forbear.storage.db.hostnames import domain_of
from forbear.storage.db.records import DecisionRecord, RecordDecision, new_id, now
from forbear.storage.log import complaints
from forbear.storage.reads import queries
from forbear.storage.reads.queries import Filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from forbear.crawler.engine.session import DecisionContext
    from forbear.crawler.filter.config import FilterConfig, FilterResult
    from forbear.optout.model import Decision
    from forbear.storage.log.writer import Writer

ROWS = 262_144
"""The fewest rows in a part (except the last), and the most rows in memory at once."""


class _Part:
    """The two files of a part, hidden until it is finished."""

    def __init__(self, paths: tuple[Path, Path], schemas: tuple[pa.Schema, pa.Schema]) -> None:
        self._paths = paths
        self.kept, self.reasons = (
            pq.ParquetWriter(part_path(path), schema, compression="zstd")
            for path, schema in zip(paths, schemas, strict=True)
        )
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kept.close()
        self.reasons.close()

    def finish(self, settings: str) -> None:
        """Completes both; the reasons last, as they mark the part as done."""
        self.reasons.add_key_value_metadata({"settings": settings, "counts": json.dumps(self.counts)})
        self.__exit__()
        for path in self._paths:
            atomic_rename(part_path(path), path)


Group = tuple[str, str, str]
"""The key of one row in the log: origin, verdict, and reasons as JSON."""


class GroupedFilter:
    """One run over tables; decides as of now, by the policy and lists in force."""

    def __init__(self, config: FilterConfig, context: DecisionContext, writer: Writer, done: FilterResult) -> None:
        assert config.hosts
        self._config, self._crawl, self._writer, self._done = config, context.crawl, writer, done
        own = with_complaints(context.operator_list, writer.call(complaints.operator_lines).result())
        self._snapshot = Snapshot(
            config.hosts,
            agent=context.agent,
            use=context.use,
            profile=context.profile,
            policy=context.policy,
            lists=[each for each in (own, context.infringing_list) if each],
        )
        self._lists = [recorded(known) for known in self._snapshot.lists]
        self._ids: dict[Group, str] = {}

    def run(self, inputs: Sequence[tuple[Path, str]], watch: Callable[[FilterResult], None] | None = None) -> None:
        """Filters all inputs. Raises BadConfig, BadInput, BadSnapshot, StorageError and OSError."""
        try:
            rows = self._writer.call(lambda connection: list(queries.log(connection, Filter(crawl=self._crawl))))
            for row in rows.result():  # left by a run that was killed
                self._ids[urls.parse(row["url"]).origin, row["verdict"], _written(row["reasons"])] = row["id"]
            for path, name in inputs:
                self._filter(path, name, watch)
        finally:
            self._snapshot.close()

    def _filter(self, path: Path, name: str, watch: Callable[[FilterResult], None] | None) -> None:
        counts = self._done.counts[name] = Counter()
        try:
            file = pq.ParquetFile(path)
        except pa.ArrowInvalid:
            raise BadInput(f"{path} is not a Parquet file, and --grouped takes only those") from None
        with file:
            column = url_column(file.schema_arrow.names, self._config.url_column, path)
            if not is_text(kind := file.schema_arrow.field(column).type):
                raise BadInput(f"{path}: the column {column!r} has {kind}, not text, so it has no URLs")
            before = True
            for number, (groups, first) in enumerate(_parts(file)):
                part = f"part-{number:05}.parquet"
                kept, reasons = (self._config.store.out / folder / name / part for folder in ("kept", "reasons"))
                if reasons.exists():
                    counts.update(finished(self._config, path, reasons)[0])
                    continue
                before = False
                for target in (kept, reasons):
                    target.parent.mkdir(parents=True, exist_ok=True)
                batches = file.iter_batches(ROWS, row_groups=groups)
                schemas = (file.schema_arrow, REASONS)
                with _Part((kept, reasons), schemas) as out:
                    for some in self._part(batches, column, first, out):
                        counts.update(some)
                        out.counts.update(some)
                        if watch:
                            watch(self._done)
                    out.finish(self._config.settings)
            if before:
                self._done.before.add(name)

    def _part(self, batches: Iterator[pa.RecordBatch], column: str, first: int, out: _Part) -> Iterator[Counter[str]]:
        for batch in batches:
            yield self._decide(batch, column, first, out)
            first += batch.num_rows

    def _decide(self, batch: pa.RecordBatch, column: str, first: int, out: _Part) -> Counter[str]:
        """Decides about rows, commits the decisions, and only then writes which rows stay and which do not."""
        answers, index = decide_column(batch[column], self._snapshot)
        ids = self._log(answers.decisions)
        verdicts = [str(each.verdict) if each else UNUSABLE for each in answers.decisions]
        stays = pa.array([verdict == Verdict.ALLOWED for verdict in verdicts]).take(index)
        out.kept.write_batch(batch.filter(stays))
        place = pa.array(range(first, first + batch.num_rows)).filter(pa.compute.invert(stays))
        left, of = batch[column].filter(pa.compute.invert(stays)), index.filter(pa.compute.invert(stays))
        out.reasons.write_batch(_reasons(answers.decisions, verdicts, ids, place, left.cast(pa.string()), of))
        return self._count(answers.decisions, verdicts, index)

    def _count(self, decisions: list[Decision | None], verdicts: list[str], index: pa.Array) -> Counter[str]:
        found: Counter[str] = Counter()
        for each in index.value_counts():
            position, count = each["values"].as_py(), each["counts"].as_py()
            found[verdicts[position]] += count
            decision = decisions[position]
            for protocol in {reason.protocol for reason in decision.reasons} if decision else ():
                self._done.protocols[protocol] += count
        return found

    def _log(self, decisions: list[Decision | None]) -> list[str | None]:
        """Returns the ids of the log rows for the decisions, all committed."""
        ids: list[str | None] = []
        written: list[Future[int]] = []
        for decision in decisions:
            if decision is None:
                ids.append(None)
                continue
            reasons = _written([reason_to_json(reason) for reason in decision.reasons])
            group = urls.parse(decision.url).origin, str(decision.verdict), reasons
            if group not in self._ids:
                self._ids[group] = new_id()
                written.append(self._writer.submit(self._row(self._ids[group], decision)))
            ids.append(self._ids[group])
        for future in written:
            future.result()
        return ids

    def _row(self, decision_id: str, decision: Decision) -> RecordDecision:
        """Returns a row about one URL of the group, with its evidence."""
        known = self._snapshot.rests_on(decision.url)[len(self._lists) :]
        captures = (*self._lists, *map(recorded, known))
        record = DecisionRecord(
            id=decision_id,
            at=now(),
            crawl=self._crawl,
            url=decision.url,
            decision=decision,
            captures=tuple(capture.id for capture in captures),
        )
        return RecordDecision(record, captures)


def _written(reasons: list[dict[str, str]]) -> str:
    return json.dumps(reasons, sort_keys=True)


def _parts(file: pq.ParquetFile) -> Iterator[tuple[list[int], int]]:
    """Yields the row groups of each part, and the number of its first row."""
    groups: list[int] = []
    first = rows = 0
    for number in range(file.num_row_groups):
        groups.append(number)
        rows += file.metadata.row_group(number).num_rows
        if rows >= ROWS or number == file.num_row_groups - 1:
            yield groups, first
            groups, first, rows = [], first + rows, 0


def _reasons(
    decisions: list[Decision | None],
    verdicts: list[str],
    ids: list[str | None],
    place: pa.Array,
    left: pa.Array,
    index: pa.Array,
) -> pa.RecordBatch:
    """Returns rows of the file of reasons, each text once for each decision."""
    hosts = [urls.parse(each.url).host if each else None for each in decisions]
    because: list[list[dict[str, Any]]] = [
        [reason_to_json(reason) for reason in each.reasons] if each else [] for each in decisions
    ]
    where = pa.compute.binary_join_element_wise("row", place.cast(pa.string()), " ")
    by_position = (
        pa.array(hosts, pa.string()),
        pa.array([domain_of(host) if host else None for host in hosts], pa.string()),
        pa.array(verdicts, pa.string()),
        pa.array(ids, pa.string()),
        pa.array(because, REASONS.field("reasons").type),
    )
    return pa.record_batch([where, left, *(column.take(index) for column in by_position)], schema=REASONS)
