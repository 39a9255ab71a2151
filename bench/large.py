"""Makes a log of any size for measurements, by writing rows straight into the tables.

The log has two crawls of the same hosts, with 100 decisions per host. The decision function makes each decision from
its captures, so a replay finds no difference. Most hosts reserve 15 of their 100 pages in robots.txt; by the second
crawl, a tenth words that differently and reserves 5 more pages. One host in 20 reserves the pages in tdmrep.json while
its robots.txt allows the use, and the robots.txt of one in 50 cannot be read. The first crawl kept ten pages per host,
and those 5 of that tenth.

Three things keep the log small: it has no chain, only decisions about the first 1,000 hosts refer to all their
captures (the others only to robots.txt), and the files of the sites are few and stored once.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Table, text

from bench import crawl_sums
from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question, Use, Verdict
from forbear.storage.database import writing
from forbear.storage.db import partitions, schema, sum_tables
from forbear.storage.db.hostnames import digest
from forbear.storage.log import rollups
from forbear.storage.log.crawls import CrawlRecord, CrawlState, begin, end

A_HOST = 100
"""Decisions about a host in each crawl."""

WHOLE = 1_000
"""Hosts whose decisions refer to all their captures."""

BETWEEN = timedelta(days=30)
"""The time from one crawl to the next."""

FIRST = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)

_HOST = "www.host.example"
_AT_ONCE = 500
_FILLED = (
    schema.captures, schema.decisions, schema.decision_captures, schema.reasons, schema.statements, schema.gaps,
    schema.pages, schema.urls, schema.host_outcomes, schema.host_reasons,
)  # fmt: skip

Rows = dict[Table, list[tuple[Any, ...]]]


def fill(engine: Engine, count: int) -> list[str]:
    """Fills an empty database with two crawls of this many decisions together, and returns their ids."""
    with writing(engine) as connection:
        partitions.make(connection, FIRST, datetime.now(UTC))
        found = [begin(connection, _record(number), FIRST + number * BETWEEN).id for number in range(2)]
    hosts = range(count // 2 // A_HOST)
    with _unindexed(engine):
        with _filling(engine) as put:
            put(_shared(hosts))
        for number, crawl in enumerate(found):
            made = _CrawlRows(crawl, number, engine.dialect.name == "sqlite")
            for start in range(0, len(hosts), _AT_ONCE):
                with _filling(engine) as put:
                    put(made.hosts(hosts[start : start + _AT_ONCE]))
            with writing(engine) as connection:
                end(connection, crawl, CrawlState.FINISHED, FIRST + number * BETWEEN + 2 * DAY)
                made.sum_up(connection)
    with writing(engine) as connection:
        crawl_sums.count(connection)
        connection.execute(text("ANALYZE"))
    return found


def name_of(host: int) -> str:
    """Returns the registrable domain of a host."""
    return f"host{host}.example"


def _record(number: int) -> CrawlRecord:
    return CrawlRecord(
        "0.1.0", "ForbearBot", "ForbearBot/0.1.0", "https://operator.example/", Use.TRAIN_AI, Profile.STANDARD, False,
        policy.load(), {"number": number},
    )  # fmt: skip


@contextmanager
def _unindexed(engine: Engine) -> Iterator[None]:
    """Drops the indexes during the block: creating them afterwards is much faster than maintaining them."""
    indexes = [index for table in _FILLED for index in table.indexes]
    with writing(engine) as connection:
        for index in indexes:
            index.drop(connection)
    yield
    with writing(engine) as connection:
        for index in indexes:
            index.create(connection)


@contextmanager
def _filling(engine: Engine) -> Iterator[Any]:
    """Opens a transaction without foreign keys and disk flushes, and yields a function that inserts rows."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as outside:
        raw: Any = outside.connection.driver_connection
        if engine.dialect.name == "postgresql":
            raw.execute(
                "SET session_replication_role = replica"
            )  # needs a superuser; disables the triggers of foreign keys
            with raw.transaction():
                yield lambda rows: [_copy(raw, table, some) for table, some in rows.items() if some]
            raw.execute("SET session_replication_role = origin")
        else:
            for setting in ("foreign_keys = OFF", "synchronous = OFF", "cache_size = -500000"):
                raw.execute(f"PRAGMA {setting}")
            raw.execute("BEGIN")
            yield lambda rows: [_insert(raw, table, some) for table, some in rows.items() if some]
            raw.execute("COMMIT")
            raw.execute("PRAGMA foreign_keys = ON")


def _copy(raw: Any, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    with raw.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _insert(raw: Any, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    raw.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(rows[0]))})", rows)


def _shared(hosts: range) -> Rows:
    """Makes the rows of hosts, and of the content of their files."""
    seen = FIRST.isoformat(timespec="microseconds")
    contents = {capture.body for site in range(A_HOST) for n in range(2) for capture in _site(site, n)[0].values()}
    return {
        schema.bodies: [
            (hashlib.sha256(body).hexdigest(), packed := zlib.compress(body), len(body), len(packed), None)
            for body in sorted(contents)
        ],
        schema.hosts: [
            (f"www.{name_of(host)}", f"www.{name_of(host)}", name_of(host), seen, seen, None, None, None)
            for host in hosts
        ],
    }


@cache
def _site(kind: int, number: int) -> tuple[dict[str, Capture], dict[str, Decision]]:
    """Returns the captures by URL and the decisions by path of one of a hundred kinds of host, in a crawl."""
    robots = "Disallow: /no/\nDisallow: /new/" if number and kind % 10 == 0 else "Disallow: /no"
    rights = b"[]"
    if kind % 20 == 3:
        robots, rights = "Content-Usage: train-ai=y", b'[{"location": "/no/*", "tdm-reservation": 1}]'
    served = {"/robots.txt": f"User-agent: *\n{robots}\n".encode(), "/.well-known/tdmrep.json": rights}
    status = 503 if kind % 50 == 7 else 200
    known: dict[str, Capture] = {}

    def decide_path(path: str) -> Decision:
        while True:
            question = Question(f"https://{_HOST}{path}", at=FIRST)
            result = decide(question, Captures(known.values()), policy.load())
            if isinstance(result, Decision):
                return result
            for place in result:
                body = served.get(place.url.removeprefix(f"https://{_HOST}"))
                known[place.url] = Capture(place.url, 404 if body is None else status, (), body or b"")

    decisions = {path: decide_path(f"/{path}/1") for path in ("no", "new", "yes")}
    return known, decisions


def _path(page: int) -> str:
    return "yes" if page % 5 else "new" if page % 20 == 15 else "no"


@dataclass
class _CrawlRows:
    """Makes the rows of one crawl, host by host, with times in the form that the driver takes."""

    crawl: str
    number: int
    as_text: bool
    verdicts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, ...]] = field(default_factory=Counter)
    protocol_hosts: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    kept: dict[str, list[int]] = field(default_factory=dict)
    made: int = 0

    def hosts(self, some: range) -> Rows:
        """Makes the rows of these hosts."""
        rows: Rows = {table: [] for table in _FILLED}
        for host in some:
            self._host(rows, host)
        return rows

    def sum_up(self, connection: Connection) -> None:
        """Writes the totals over the crawl, as the writer does."""
        rollups.count(connection, sum_tables.daily_verdicts, [(*key, count) for key, count in self.verdicts.items()])
        rollups.count(connection, sum_tables.daily_reasons, [(*key, count) for key, count in self.reasons.items()])
        rollups.count_protocol_hosts(connection, self.protocol_hosts)
        rollups.count(connection, sum_tables.domain_bytes, [(domain, *sums) for domain, sums in self.kept.items()])

    def _id(self, at: datetime) -> str:
        """Makes a UUIDv7 of that time."""
        self.made += 1
        since = f"{int(at.timestamp() * 1000):012x}"
        return f"{since[:8]}-{since[8:]}-7000-8{self.number:03x}-{self.made:012x}"

    def _time(self, at: datetime) -> Any:
        return at.isoformat(timespec="microseconds") if self.as_text else at

    def _host(self, rows: Rows, host: int) -> None:
        domain, at = name_of(host), FIRST + self.number * BETWEEN + timedelta(seconds=host)
        name, (known, decisions) = f"www.{domain}", _site(host % A_HOST, self.number)
        captures = []
        for url, capture in known.items():
            captures.append(self._id(at))
            rows[schema.captures].append(self._capture(captures[-1], url.replace(_HOST, name), capture, at))
        whole = captures if host < WHOLE else captures[:1]
        last, counts = [], Counter[str]()
        for page in range(A_HOST):
            path = _path(page)
            decision, when = decisions[path], at + timedelta(milliseconds=page * 10)
            key, url, time = self._id(when), f"https://{name}/{path}/{page}", self._time(when)
            verdict = str(decision.verdict)
            rows[schema.decisions].append(self._decision(key, time, url, name, domain, decision))
            rows[schema.decision_captures] += [(key, place, capture) for place, capture in enumerate(whole)]
            self._add_words(rows, key, name, decision)
            counts[verdict] += 1
            last.append((url, verdict, time, key, decision))
            if not self.number and self._keeps(host, page, decision):
                place = (f"{host // 1000}.warc.gz", page * 9999, 9999)
                rows[schema.pages].append((key, self.crawl, url, time, *place, "0" * 64, "text/html", 20000))
                sums = self.kept.setdefault(domain, [0, 0])
                sums[0] += 1
                sums[1] += 20000
        self._add_totals(host, name, at, counts, decisions)
        if self.number:
            self._add_urls(rows, host, name, last)

    def _keeps(self, host: int, page: int, decision: Decision) -> bool:
        reserved_later = _path(page) == "new" and host % 10 == 0
        return decision.verdict is Verdict.ALLOWED and (reserved_later or page % 20 in (1, 2))

    def _capture(self, key: str, url: str, capture: Capture, at: datetime) -> tuple[Any, ...]:
        sha256 = hashlib.sha256(capture.body).hexdigest()
        times = self._time(at), self._time(at + DAY)
        about = (capture.status, None, "[]", sha256, len(capture.body), sha256, None)
        return (key, self.crawl, url, digest(url), *times, *about)

    def _decision(self, key: str, time: Any, url: str, name: str, domain: str, decision: Decision) -> tuple[Any, ...]:
        verdicts = [str(decision.verdicts[profile]) for profile in Profile]
        about = ("request", None, None, None, "0.1.0", policy.load().digest, "standard", "train-ai", "ForbearBot")
        return (key, time, self.crawl, url, url, name, domain, str(decision.verdict), *about, *verdicts)

    def _add_words(self, rows: Rows, key: str, name: str, decision: Decision) -> None:
        for place, one in enumerate(decision.reasons):
            words = (key, place, one.protocol, one.quote, one.source.replace(_HOST, name), one.where)
            rows[schema.reasons].append((*words, str(one.preference), one.measure))
        for place, read in enumerate(decision.statements):
            words = (key, place, read.protocol, read.quote, read.source.replace(_HOST, name), read.where)
            uses = json.dumps(sorted(map(str, read.uses)))
            rows[schema.statements].append((*words, str(read.preference), uses, str(read.force), read.note))
        for place, gap in enumerate(decision.gaps):
            words = (key, place, gap.protocol, gap.quote, gap.source.replace(_HOST, name), gap.where)
            defers = json.dumps(sorted(map(str, gap.defers)))
            rows[schema.gaps].append((*words, gap.detail.replace(_HOST, name), defers))

    def _add_totals(
        self, host: int, name: str, at: datetime, counts: Counter[str], decisions: dict[str, Decision]
    ) -> None:
        day = rollups.day_of(at)
        for verdict, count in counts.items():
            self.verdicts[day, self.crawl, verdict, "request"] += count
        for page in range(A_HOST):
            decision = decisions[_path(page)]
            for one in decision.reasons:
                cause = one.quote if one.protocol == rollups.UNREACHABLE else ""
                self.reasons[day, self.crawl, str(decision.verdict), one.protocol, one.measure, cause] += 1
        for decision in decisions.values():
            for read in decision.statements:
                pair = read.protocol, str(read.preference)
                self.protocol_hosts[digest(*pair, name)] = pair

    def _add_urls(self, rows: Rows, host: int, name: str, last: list[tuple[Any, ...]]) -> None:
        """Adds the state of every URL of a host after the second crawl, and the sums over it."""
        began = FIRST + timedelta(seconds=host)
        before = _site(host % A_HOST, 0)[1]
        counts, reasons, kept = Counter[str](), Counter[tuple[Any, ...]](), 0
        for page, (url, verdict, time, key, decision) in enumerate(last):
            first = began + timedelta(milliseconds=page * 10)
            keeps = self._keeps(host, page, before[_path(page)])
            kept += keeps
            times = self._time(first), self._time(first) if keeps else None
            rows[schema.urls].append((digest(url), url, name, verdict, time, key, *times))
            counts[verdict] += 1
            for some in (decision, before[_path(page)]):
                reasons.update((str(some.verdict), one) for one in some.reasons)
        first, newest = self._time(began), last[-1][2]
        counts["kept"] = kept
        rows[schema.host_outcomes] += [
            (name, outcome, count, first, newest) for outcome, count in counts.items() if count
        ]
        for (verdict, one), count in reasons.items():
            source = one.source.replace(_HOST, name)
            words = (one.protocol, one.quote, source, one.where, one.measure)
            key = digest(name, verdict, one.protocol, one.quote, source, one.where)
            rows[schema.host_reasons].append((key, name, verdict, *words, first, newest, count))
