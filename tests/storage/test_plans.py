from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from forbear.optout.model import Verdict
from forbear.storage.database import writing
from forbear.storage.db.records import EntryState, EntryUpdate, Link, now
from forbear.storage.frontier import frontier, leases
from forbear.storage.log import evidence
from forbear.storage.reads import questions, removals
from forbear.storage.reads.lookup import lookup
from forbear.storage.reads.queries import Filter, log

# What must not take longer when millions of rows are there reads through an index, and sorts nothing of that size.
BIG = (
    "frontier", "decisions", "captures", "urls", "reasons", "statements", "host_reasons", "queues", "pages",
    "crawl_words", "measure_hosts", "mine", "theirs",
)  # fmt: skip

# What may be sorted: a row or two for a host, the captures of a few places, what LIMIT left, what one or two protocols
# decided.
FEW = ("FROM host_outcomes", "captures.url_key IN", "anon_1", "reasons.protocol = ?", "reasons.protocol IN")


def work(connection: Connection, crawl: str) -> None:
    at = now() + timedelta(hours=1)
    leases.recover(connection, at)
    for lease in leases.lease_hosts(connection, crawl, "one", 9, at, 30):
        for entry in frontier.take(connection, crawl, lease.host, 9, at):
            frontier.set_states(connection, [(EntryUpdate(entry.id, EntryState.DEFERRED, at), None)])
        leases.renew(connection, "one", [lease.host], at, 30)
        leases.release(connection, "one", lease.host, at, at)
    frontier.status(connection, crawl)
    evidence.fresh(connection, ["https://a.example/robots.txt"], at)


def ask(connection: Connection, crawl: str) -> None:
    for asked in ("a.example", "sub.a.example", "https://a.example/1"):
        lookup(connection, asked)
    list(log(connection, Filter("a.example")))
    list(log(connection, Filter(crawl=crawl, limit=9)))
    list(log(connection, Filter(since=now(), limit=9)))
    list(log(connection, Filter(protocol="tdmrep")))


def leave(connection: Connection, crawl: str) -> None:
    removals.record_removals(
        connection, crawl, {"https://a.example/1": "of a recheck"}, frozenset({"warc/1.warc.gz"}), now()
    )
    removals.files_with(connection, ["0" * 64])
    removals.pending(connection)
    removals.remaining_pages(connection, "warc/1.warc.gz")
    removals.end_of_file(connection, "warc/1.warc.gz")


def ask_for_legal_teams(connection: Connection, crawl: str) -> None:
    for wanted in (Filter(), Filter(crawl=crawl), Filter("a.example")):
        list(questions.measures(connection, wanted))
    list(questions.changes(connection, crawl, crawl))
    for domain in ("a.example", "www.a.example"):
        list(questions.before_optout(connection, domain))
        list(questions.unreadable(connection, domain))
        list(questions.disagreements(connection, Filter(domain)))


def statements_of(
    engine: Engine, make: Any, write: Callable[..., list[int]], part: Callable[[Connection, str], None]
) -> list[tuple[str, Any]]:
    """What is asked of the database, with its parameters."""
    links = tuple(Link(f"https://{host}.example/{number}") for host in "ab" for number in range(20))
    write(*(make.decided(link.url, Verdict.EXCLUDED, links=(link,)) for link in links))
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        asked.append((statement, parameters[0] if many else parameters))

    event.listen(engine, "before_cursor_execute", note)
    with writing(engine) as connection:
        part(connection, make.crawl)
    event.remove(engine, "before_cursor_execute", note)
    return asked


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("part", [work, ask, ask_for_legal_teams, leave])
def test_nothing_that_is_asked_often_reads_a_whole_table(
    engine: Engine, make: Any, write: Callable[..., list[int]], part: Callable[[Connection, str], None]
) -> None:
    asked = statements_of(engine, make, write, part)
    plans = []
    with engine.connect() as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans += [(row.detail, statement) for row in plan]
    assert len(plans) > 10
    for detail, statement in plans:
        assert not detail.startswith(tuple(f"SCAN {table}" for table in BIG)), (detail, statement)
        if not any(few in statement for few in FEW):
            assert "TEMP B-TREE FOR ORDER BY" not in detail, (detail, statement)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("part", [ask, ask_for_legal_teams])
def test_nothing_that_is_asked_often_has_no_index_on_postgresql(
    engine: Engine, make: Any, write: Callable[..., list[int]], part: Callable[[Connection, str], None]
) -> None:
    """Small tables are read whole there, so that is forbidden: what is read whole all the same has no index."""
    asked = statements_of(engine, make, write, part)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET enable_seqscan = off")
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
                for table in BIG:
                    assert not re.search(rf"Seq Scan on {table}\b", plan), (plan, statement)
