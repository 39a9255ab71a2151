"""What reports count, on a log: by measure, by domain, by type; and that each check sees what it looks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, update

from forbear.optout.model import Stage, Verdict
from forbear.storage.database import writing
from forbear.storage.db.schema import crawls, decisions, list_entries, policies, reasons, removals
from forbear.storage.log import complaints, lists
from forbear.storage.reads import figures
from forbear.storage.reads.figures import Withdrawn
from tests.storage.conftest import AT, Maker

Write = Callable[..., list[int]]


def found(engine: Engine, name: str) -> int | None:
    with engine.connect() as connection:
        return {check.name: check.found for check in figures.checks(connection)}[name]


@pytest.fixture
def kept(make: Maker, write: Write) -> Any:
    """Two pages of one domain and one of another that were kept, and one page that was excluded."""
    made = [
        make.decided(f"https://{host}/{n}", stage=Stage.PAGE)
        for n, host in enumerate(["a.b.example"] * 2 + ["c.example"])
    ]
    write(*made, make.decided("https://c.example/no", Verdict.EXCLUDED))
    write(*(make.kept(one, at=AT + timedelta(days=n)) for n, one in enumerate(made)))
    return made


def test_content_is_counted_by_domain_and_type_and_what_was_taken_out_does_not_count(
    engine: Engine, make: Maker, write: Write, kept: Any
) -> None:
    with engine.connect() as connection:
        some = [make.crawl]
        assert [(one.name, one.pages, one.octets) for one in figures.by_domain(connection, some)] == [
            ("b.example", 2, 18),
            ("c.example", 1, 9),
        ]
        assert [(one.name, one.pages) for one in figures.by_type(connection, some)] == [("text/html", 3)]
        assert figures.period(connection, some) == (AT, AT + timedelta(days=2))
        assert figures.by_domain(connection, ["other"]) == []
        assert figures.period(connection, ["other"]) is None
        assert figures.verdicts(connection) == {"allowed": 3, "excluded": 1}
        [served] = figures.served_measures(connection)
        assert (served.measure, served.protocol, served.verdict) == ("1.3(1)(a)", "robots", Verdict.EXCLUDED)
        assert (served.decisions, served.hosts, served.last_at) == (1, 1, AT)
    later = make.decided("https://c.example/2", Verdict.EXCLUDED)
    write(later)
    with writing(engine) as connection:
        row = {"page": kept[2].decision.id, "decision": later.decision.id, "crawl": make.crawl, "at": AT}
        connection.execute(removals.insert(), row)
    with engine.connect() as connection:
        assert figures.withdrawn(connection) == [Withdrawn("1.3(1)(a)", 1, AT)]
        assert [one.name for one in figures.by_domain(connection, [make.crawl])] == ["b.example"]
        assert figures.removed(connection, [make.crawl]) == 1


def test_crawls_for_training_that_were_no_rehearsals(engine: Engine, make: Maker, other_crawl: str) -> None:
    with writing(engine) as connection:
        connection.execute(update(crawls).where(crawls.c.id == other_crawl).values(shadow=True))
    with engine.connect() as connection:
        assert len(figures.runs(connection)) == 2
        assert [run.id for run in figures.runs(connection, use="train-ai")] == [make.crawl]
        assert figures.runs(connection, use="search") == []


def without_reasons(connection: Connection, kept: Any) -> None:
    connection.execute(delete(reasons))


def not_allowed(connection: Connection, kept: Any) -> None:
    connection.execute(update(decisions).where(decisions.c.id == kept[0].decision.id).values(verdict="excluded"))


def at_another_stage(connection: Connection, kept: Any) -> None:
    connection.execute(update(decisions).where(decisions.c.id == kept[0].decision.id).values(stage="request"))


def no_policy(connection: Connection, kept: Any) -> None:
    connection.execute(delete(policies))


def no_contact(connection: Connection, kept: Any) -> None:
    connection.execute(update(crawls).values(contact=""))


def overdue(connection: Connection, kept: Any) -> None:
    notice = complaints.Notice("Ada", "ada@a.example", "", "All of it", ("a.example",), "It is kept.", True)
    complaints.receive(connection, notice, AT - timedelta(days=400))


def waiting(connection: Connection, kept: Any) -> None:
    issue = lists.Issue("denmark", "1.csv", date(2026, 1, 1), True, b"1", [])
    lists.import_list(connection, issue, [lists.ListedSite("github.io", "DK", "A", "B", None, "shared hosting")], AT)


@pytest.mark.parametrize(
    ("name", "breaks", "count"),
    [
        ("no reason without a quotation", without_reasons, 1),
        ("no page without a row", not_allowed, 1),
        ("no page without a row", at_another_stage, 1),
        ("each decision's policy is on record", no_policy, 4),
        ("each crawl can be reached", no_contact, 1),
        ("complaints are handled in time", overdue, 1),
        ("lists of infringing sites are settled", waiting, 1),
    ],
)
def test_each_check_sees_what_it_looks_for(
    engine: Engine, kept: Any, name: str, breaks: Callable[[Connection, Any], None], count: int
) -> None:
    assert found(engine, name) == 0
    with writing(engine) as connection:
        breaks(connection, kept)
    assert found(engine, name) == count


def test_an_entry_that_was_let_in_waits_no_more(engine: Engine) -> None:
    with writing(engine) as connection:
        waiting(connection, None)
        connection.execute(update(list_entries).values(accepted_at=AT, accepted_by="x", accepted_why="y"))
    assert found(engine, "lists of infringing sites are settled") == 0


def test_a_log_without_a_checkpoint_is_covered_by_none(engine: Engine, kept: Any) -> None:
    assert (found(engine, "a checkpoint covers the log") or 0) > 0
