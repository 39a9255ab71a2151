"""``python -m bench questions``: how long questions of legal teams take on a large log, and how fast it is replayed.

    python -m bench questions [DECISIONS] [--db URL] [--rounds N]

Two crawls of the same hosts, 100 decisions a host, are written straight into the tables; a fifth of each host is
reserved by its robots.txt, and every tenth host changes its words between the crawls. Each decision is one that the
decision function makes from the captures it rests on, so a replay finds no difference. Questions about one domain are
asked of another one each time; p50 and p99 are over the rounds, those about the whole log are asked three times.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, text

from optout import policy
from optout.captures import Captures
from optout.decide import decide
from optout.model import Capture, Decision, Profile, Question, Use, Verdict
from storage import questions, schema
from storage.crawls import CrawlRecord, CrawlState, begin, end
from storage.database import open_database, writing
from storage.lookup import lookup
from storage.names import digest
from storage.queries import Filter, log
from storage.records import new_id
from storage.replay import How, replay

A_HOST = 100
DAY = timedelta(days=1)
FIRST = datetime(2026, 9, 1, tzinfo=UTC)

Rows = tuple[Table, list[dict[str, Any]]]


def fill(engine: Engine, count: int) -> list[str]:
    """Two crawls with so many decisions together; their ids."""
    with writing(engine) as connection:
        found = [begin(connection, _record(number), FIRST + number * 30 * DAY).id for number in range(2)]
    for number, crawl in enumerate(found):
        hosts = iter(range(count // 2 // A_HOST))
        while some := list(islice(hosts, 200)):
            with writing(engine) as connection:
                for table, rows in _merged(_host(crawl, number, host) for host in some):
                    connection.execute(table.insert(), rows)
        with writing(engine) as connection:
            end(connection, crawl, CrawlState.FINISHED, FIRST + number * 30 * DAY + 2 * DAY)
    with writing(engine) as connection:
        connection.execute(text("ANALYZE"))
    return found


def _record(number: int) -> CrawlRecord:
    return CrawlRecord(
        "0.1.0", "ForbearBot", "ForbearBot/0.1.0", "https://operator.example/", Use.TRAIN_AI, Profile.STANDARD, False,
        policy.load(), {"number": number},
    )  # fmt: skip


def _merged(of_hosts: Iterator[list[Rows]]) -> list[Rows]:
    tables: dict[Table, list[dict[str, Any]]] = {}
    for of_host in of_hosts:
        for table, rows in of_host:
            tables.setdefault(table, []).extend(rows)
    return [(table, rows) for table in schema.metadata.sorted_tables if (rows := tables.get(table))]


def _host(crawl: str, number: int, host: int) -> list[Rows]:
    """What a crawl leaves of a host; the sums over it are written once, by the second crawl."""
    name, at = f"www.host{host}.example", FIRST + number * 30 * DAY + timedelta(seconds=host)
    robots = b"User-agent: *\nDisallow: %s\n" % (b"/no/" if number and host % 10 == 0 else b"/no")
    known = {f"https://{name}/robots.txt": Capture(f"https://{name}/robots.txt", 200, (), robots)}
    allowed = _decided(f"https://{name}/yes/1", known, at)
    excluded = _decided(f"https://{name}/no/1", known, at)
    ids = {url: new_id() for url in known}
    rows: dict[Table, list[dict[str, Any]]] = {
        table: [] for table in (schema.decisions, schema.decision_captures, schema.reasons, schema.statements)
    }
    for page in range(A_HOST):
        decision = excluded if page % 5 == 0 else allowed
        url = f"https://{name}/{'no' if page % 5 == 0 else 'yes'}/{page}"
        _add(rows, crawl, url, name, at + timedelta(seconds=page), decision, list(ids.values()))
    found: list[Rows] = [
        (schema.captures, [_capture(crawl, ids[url], capture, at) for url, capture in known.items()]),
        *rows.items(),
    ]
    if number:
        return [*found, *_sums(name, rows[schema.decisions], excluded, at)]
    bodies = {} if host else {hashlib.sha256(body).hexdigest(): body for body in (robots, robots[:-1] + b"/\n", b"")}
    packed = [{"sha256": key, "content": zlib.compress(body), "size": len(body)} for key, body in bodies.items()]
    about = {"host": name, "unicode": name, "domain": f"host{host}.example", "first_seen": at, "last_seen": at}
    return [*found, (schema.bodies, packed), (schema.hosts, [about])]


def _decided(url: str, known: dict[str, Capture], at: datetime) -> Decision:
    """The decision; what it asks for besides answers 404, and is known from then on."""
    while True:
        result = decide(Question(url, at=at), Captures(known.values()), policy.load())
        if isinstance(result, Decision):
            return result
        known |= {place.url: Capture(place.url, 404) for place in result}


def _add(
    rows: dict[Table, list[dict[str, Any]]],
    crawl: str,
    url: str,
    host: str,
    at: datetime,
    decision: Decision,
    captures: list[str],
) -> None:
    key = new_id()
    rows[schema.decisions].append(
        {
            "id": key, "at": at, "crawl": crawl, "url": url, "canonical": url, "host": host,
            "domain": host.removeprefix("www."), "verdict": str(decision.verdict), "stage": "request",
            "engine": "0.1.0", "policy": policy.load().digest, "profile": "standard", "use": "train-ai",
            "agent": "ForbearBot",
            "verdict_standard": str(decision.verdict), "verdict_strict": str(decision.verdict),
        }
    )  # fmt: skip
    rows[schema.decision_captures] += [
        {"decision": key, "position": place, "capture": capture} for place, capture in enumerate(captures)
    ]
    for place, said in enumerate(decision.reasons):
        words = {"protocol": said.protocol, "quote": said.quote, "source": said.source, "place": said.where}
        about = {"decision": key, "position": place, "preference": str(said.preference)}
        rows[schema.reasons].append({**about, **words, "measure": said.measure})
        more = {"uses": ["train-ai"], "force": "standing", "note": ""}
        rows[schema.statements].append({**about, **words, **more})


def _capture(crawl: str, key: str, capture: Capture, at: datetime) -> dict[str, Any]:
    sha256 = hashlib.sha256(capture.body).hexdigest()
    return {
        "id": key, "crawl": crawl, "url": capture.url, "url_key": digest(capture.url), "fetched_at": at,
        "expires_at": at + DAY, "status": capture.status, "error": None, "headers": [], "body_sha256": sha256,
        "body_bytes": len(capture.body), "body": sha256, "excerpts": None,
    }  # fmt: skip


def _sums(host: str, rows: list[dict[str, Any]], excluded: Decision, at: datetime) -> list[Rows]:
    """As the writer keeps them; every tenth page that is reserved was kept by the first crawl."""
    urls = [
        {
            "key": digest(row["url"]), "url": row["url"], "host": host, "verdict": row["verdict"], "at": row["at"],
            "decision": row["id"], "first_at": at - 30 * DAY, "kept_at": at - 30 * DAY if page % 50 == 0 else None,
        }
        for page, row in enumerate(rows)
    ]  # fmt: skip
    outcomes = [
        {"host": host, "outcome": str(verdict), "urls": number, "first_at": at - 30 * DAY, "last_at": at}
        for verdict, number in ((Verdict.EXCLUDED, A_HOST // 5), (Verdict.ALLOWED, A_HOST - A_HOST // 5))
    ]
    said = excluded.reasons[0]
    words = {
        "key": digest(host), "host": host, "verdict": "excluded", "protocol": said.protocol, "quote": said.quote,
        "source": said.source, "place": said.where, "measure": said.measure, "first_at": at - 30 * DAY, "last_at": at,
        "decisions": A_HOST // 5,
    }  # fmt: skip
    return [(schema.urls, urls), (schema.host_outcomes, outcomes), (schema.host_reasons, [words])]


def _of_a_domain(domain: str) -> dict[str, Callable[[Any], object]]:
    between = Filter(domain=domain, verdict=Verdict.EXCLUDED, since=FIRST, until=FIRST + 20 * DAY)
    return {
        "lookup": lambda connection: lookup(connection, domain),
        "excluded between two dates": lambda connection: list(log(connection, between)),
        "measures": lambda connection: list(questions.measures(connection, Filter(domain=domain))),
        "before-optout": lambda connection: list(questions.before_optout(connection, domain)),
        "unreadable": lambda connection: list(questions.unreadable(connection, domain)),
        "disagreements": lambda connection: list(questions.disagreements(connection, Filter(domain=domain))),
    }


def _of_the_log(crawls: list[str]) -> dict[str, Callable[[Any], object]]:
    return {
        "measures": lambda connection: list(questions.measures(connection, Filter())),
        "changes": lambda connection: list(questions.changes(connection, *crawls)),
        "before-optout": lambda connection: sum(1 for _ in questions.before_optout(connection)),
        "unreadable": lambda connection: list(questions.unreadable(connection)),
        "disagreements": lambda connection: list(questions.disagreements(connection, Filter(crawl=crawls[1]))),
    }


def _timed(engine: Engine, question: Callable[[Any], object]) -> float:
    with engine.connect() as connection:
        start = time.perf_counter()
        question(connection)
        return 1000 * (time.perf_counter() - start)


def main(words: list[str]) -> None:
    """Prints milliseconds for each question, and rows a second of a replay."""
    parser = argparse.ArgumentParser(prog="python -m bench questions", description=__doc__)
    parser.add_argument("decisions", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--db", help="an empty database; a new SQLite file unless given")
    parser.add_argument("--rounds", type=int, default=100)
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        db = asked.db or f"sqlite:///{Path(folder) / 'bench.db'}"
        engine = open_database(db)
        start = time.monotonic()
        crawls = fill(engine, asked.decisions)
        print(f"{engine.dialect.name}: {asked.decisions:,} decisions made in {time.monotonic() - start:.0f} s")
        _ask(engine, crawls, asked.decisions, asked.rounds)
        start, some = time.monotonic(), min(asked.decisions, 100_000)
        batches = list(replay(db, Filter(limit=some), How()))
        seconds = time.monotonic() - start
        different = sum(len(batch.differences) for batch in batches)
        print(f"replay: {some:,} decisions, {different} otherwise, {some / seconds:,.0f} a second")
        engine.dispose()


def _ask(engine: Engine, crawls: list[str], decisions: int, rounds: int) -> None:
    chosen = random.Random(1)
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        domain = f"host{chosen.randrange(decisions // 2 // A_HOST)}.example"
        for name, question in _of_a_domain(domain).items():
            times.setdefault(name, []).append(_timed(engine, question))
    for name, found in times.items():
        p99 = statistics.quantiles(found, n=100, method="inclusive")[98]
        print(f"a domain:  {name:<28} p50 {statistics.median(found):10.1f} ms  p99 {p99:10.1f} ms")
    for name, question in _of_the_log(crawls).items():
        three = sorted(_timed(engine, question) for _ in range(3))
        print(f"whole log: {name:<28} p50 {three[1]:10.1f} ms  worst {three[2]:8.1f} ms")
