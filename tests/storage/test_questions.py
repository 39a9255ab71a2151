"""What legal teams ask, each question on a log of known content; on both systems."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
from sqlalchemy import Engine, text

from forbear.optout.model import AI_USES, Capture, Preference, Stage, Statement, Verdict
from forbear.storage.database import StorageError, reading_only, writing
from forbear.storage.db import views
from forbear.storage.log.crawls import CrawlState, end
from forbear.storage.reads import columns, questions, redact
from forbear.storage.reads.queries import Filter, log
from tests.storage.conftest import AT

Write = Callable[..., list[int]]

DAY = timedelta(days=1)


def asked(engine: Engine, name: str, *arguments: Any) -> list[dict[str, Any]]:
    """The rows of an answer, whose columns are as they are published."""
    with engine.connect() as connection:
        function = {"log": log}.get(name) or getattr(questions, name.replace("-", "_"))
        found = list(function(connection, *arguments))
    assert all(tuple(row) == columns.SHAPES[name].names for row in found)
    return found


def test_by_measure(engine: Engine, make: Any, write: Write) -> None:
    write(
        make.decided("https://a.example/no/1", Verdict.EXCLUDED),
        make.decided("https://b.example/no/2", Verdict.EXCLUDED, at=AT + DAY),
        make.decided("https://b.example/x", Verdict.EXCLUDED, protocol="tdmrep", measure="1.3(1)(b)"),
        make.decided("https://b.example/yes"),
    )
    first, second = asked(engine, "measures", Filter())
    assert (first["measure"], first["protocol"], first["decisions"], first["hosts"]) == ("1.3(1)(a)", "robots", 2, 2)
    assert (first["first_at"], first["last_at"]) == (AT.isoformat(), (AT + DAY).isoformat())
    assert (second["measure"], second["protocol"], second["verdict"]) == ("1.3(1)(b)", "tdmrep", "excluded")
    assert [row["decisions"] for row in asked(engine, "measures", Filter(until=AT + DAY))] == [1, 1]
    assert asked(engine, "measures", Filter(domain="c.example")) == []


def test_pages_kept_before_they_were_reserved(engine: Engine, make: Any, write: Write) -> None:
    kept = [make.decided(f"https://{name}.example/p", stage=Stage.PAGE) for name in ("www.a", "b", "c")]
    write(*kept, *(make.kept(one) for one in kept))
    write(
        make.decided("https://www.a.example/p", Verdict.EXCLUDED, at=AT + DAY),
        make.decided("https://c.example/other", Verdict.EXCLUDED, at=AT + DAY),
        make.decided("https://d.example/p", Verdict.EXCLUDED),
    )
    [row] = asked(engine, "before-optout")
    assert (row["url"], row["domain"]) == ("https://www.a.example/p", "a.example")
    assert (row["kept_at"], row["excluded_at"]) == (AT.isoformat(), (AT + DAY).isoformat())
    assert row["reasons"][0]["quote"] == "Disallow: /no"
    assert asked(engine, "before-optout", "a.example") == [row]
    assert asked(engine, "before-optout", "www.a.example") == [row]
    assert asked(engine, "before-optout", "b.example") == []


def test_robots_txt_that_could_not_be_read(engine: Engine, make: Any, write: Write) -> None:
    failed = {"protocol": "unreachable", "quote": "503", "where": "status"}
    write(
        make.decided("https://a.example/1", Verdict.DEFERRED, **failed),
        make.decided("https://a.example/2", Verdict.DEFERRED, at=AT + DAY, **failed),
        make.decided("https://b.example/", Verdict.EXCLUDED),
    )
    [row] = asked(engine, "unreadable")
    assert (row["host"], row["failure"], row["decisions"]) == ("a.example", "503", 2)
    assert (row["source"], row["last_at"]) == ("https://a.example/robots.txt", (AT + DAY).isoformat())
    assert asked(engine, "unreadable", "b.example") == []


def test_protocols_that_disagree(engine: Engine, make: Any, write: Write) -> None:
    def stated(job: Any, protocol: str, preference: Preference) -> Any:
        words = Statement(
            protocol, preference, "Content-Signal: ai-train=yes", "https://a.example/robots.txt", "line 1", AI_USES
        )
        decision = replace(job.decision.decision, statements=(*job.decision.decision.statements, words))
        return replace(job, decision=replace(job.decision, decision=decision))

    write(
        stated(make.decided("https://a.example/1", Verdict.EXCLUDED), "content-signal", Preference.ALLOW),
        stated(make.decided("https://a.example/2", Verdict.EXCLUDED), "robots", Preference.ALLOW),
        stated(make.decided("https://a.example/3", Verdict.EXCLUDED), "content-signal", Preference.UNKNOWN),
        make.decided("https://a.example/4"),
    )
    [row] = asked(engine, "disagreements", Filter())
    assert (row["url"], row["allowed_by"], row["reserved_by"]) == ("https://a.example/1", "content-signal", "robots")
    assert (row["allowed_quote"], row["reserved_quote"]) == ("Content-Signal: ai-train=yes", "Disallow: /no")


def test_what_changed_between_two_crawls(engine: Engine, make: Any, other_crawl: str, write: Write) -> None:
    later = replace(make, crawl=other_crawl)

    def robots(host: str, body: bytes, days: int = 0) -> tuple[Any, ...]:
        at = AT + days * DAY
        return (make.robots(f"https://{host}/", body, fetched_at=at, expires_at=at + DAY),)

    old = {
        "same.example": b"Disallow: /a\nDisallow: /b",
        "changed.example": b"Disallow: /a",
        "withdrawn.example": b"Disallow: /a",
        "gone.example": b"Disallow: /a",
    }
    new = {"same.example": old["same.example"], "changed.example": b"Disallow: /b", "new.example": b"Disallow: /b"}
    write(
        *(
            make.decided(f"https://{host}/", Verdict.EXCLUDED, quote="Disallow: /a", captures=robots(host, body))
            for host, body in old.items()
        )
    )
    write(make.decided("https://new.example/"))
    for name in ("seen", "not-seen-again"):
        write(make.decided(f"https://pages.example/{name}", Verdict.EXCLUDED, quote=f"noai {name}", captures=()))
    with writing(engine) as connection:
        end(connection, make.crawl, CrawlState.FINISHED, AT + DAY)
    write(
        *(
            later.decided(
                f"https://{host}/",
                Verdict.EXCLUDED,
                quote="Disallow: /b",
                at=AT + 2 * DAY,
                captures=robots(host, body, 2),
            )
            for host, body in new.items()
        ),
        later.decided("https://withdrawn.example/", at=AT + 2 * DAY, captures=robots("withdrawn.example", b"", 2)),
        later.decided("https://pages.example/seen", at=AT + 2 * DAY, captures=()),
        later.decided("https://unmet.example/", Verdict.EXCLUDED, at=AT + 2 * DAY),
    )
    found = asked(engine, "changes", make.crawl, other_crawl)
    assert [(row["host"], row["change"], row["quote_then"], row["quote_now"]) for row in found] == [
        ("changed.example", "changed", "Disallow: /a", "Disallow: /b"),
        ("new.example", "new", None, "Disallow: /b"),
        ("pages.example", "withdrawn", "noai seen", None),
        ("withdrawn.example", "withdrawn", "Disallow: /a", None),
    ]
    with pytest.raises(StorageError, match="There is no crawl 'none'"):
        asked(engine, "changes", make.crawl, "none")


@pytest.mark.parametrize("name", columns.SHAPES)
def test_the_schema_is_published(name: str) -> None:
    published = files("forbear.storage.reads").joinpath("published", f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(published) == columns.schema(name)


def test_metadata_for_datasette_is_published_and_agrees_with_the_database(engine: Engine) -> None:
    published = json.loads(
        files("forbear.storage.reads").joinpath("published", "datasette.json").read_text(encoding="utf-8")
    )
    assert published == views.datasette()
    tables = published["databases"]["forbear"]["tables"]
    with engine.connect() as connection:
        for name, about in tables.items():
            found = connection.execute(text(f"SELECT * FROM {name} WHERE 1 = 0")).keys()
            assert set(about["columns"]) == set(found), name
    assert tables.keys() == views.VIEWS.keys() | {table.name for table in views.TABLES}


def test_views_have_the_columns_that_are_explained(engine: Engine) -> None:
    with engine.connect() as connection:
        for name, view in views.VIEWS.items():
            assert list(view.columns) == list(connection.execute(text(f"SELECT * FROM {name} WHERE 1 = 0")).keys())


REFUSED = [
    "DELETE FROM decisions",
    "UPDATE decisions SET verdict = 'allowed'",
    "DROP VIEW log_decisions",
    "CREATE TABLE mine (x INTEGER)",
    "SELECT 1; DELETE FROM decisions",
    "COMMIT; DELETE FROM decisions",
    "WITH gone AS (DELETE FROM decisions RETURNING id) SELECT * FROM gone",
    "ATTACH DATABASE '/tmp/other.db' AS other",
    "PRAGMA query_only = OFF",
    "SET TRANSACTION READ WRITE",
    "SELECT nothing FROM log_decisions",
    "nonsense",
    "",
]


@pytest.mark.parametrize("query", REFUSED)
def test_sql_reads_and_nothing_else(engine: Engine, make: Any, write: Write, query: str) -> None:
    write(make.decided("https://a.example/no", Verdict.EXCLUDED))
    refused = r"^(The query failed: .+|Only SELECT statements are allowed)\.$"
    with pytest.raises(StorageError, match=refused), reading_only(engine) as connection:
        list(views.run_select(connection, query).rows)
    with reading_only(engine) as connection:
        answer = views.run_select(connection, "SELECT domain, verdict, quote FROM log_reasons;")
        assert (list(answer.columns), list(map(tuple, answer.rows))) == (
            ["domain", "verdict", "quote"],
            [("a.example", "excluded", "Disallow: /no")],
        )


def test_the_database_can_be_written_to_after_it_was_asked(engine: Engine, make: Any, write: Write) -> None:
    with reading_only(engine) as connection:
        list(views.run_select(connection, "SELECT 1").rows)
    write(make.decided("https://a.example/"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/p", "https://a.example/p"),
        ("https://a.example/p?", "https://a.example/p?"),
        ("https://a.example/p?name=Jane&q=", "https://a.example/p?name=redacted&q="),
        ("https://a.example/p?a=1;b=2#c=3", "https://a.example/p?a=redacted;b=redacted#redacted"),
        ("https://a.example/p?jane", "https://a.example/p?redacted"),
        ("https://a.example/p?x=a=b", "https://a.example/p?x=redacted"),
        ("https://jane:secret@a.example:8443/", "https://redacted@a.example:8443/"),
        ("https://a.example/u/jane.doe@mail.example/x", "https://a.example/u/redacted/x"),
        ("https://a.example/u/jane%40mail.example", "https://a.example/u/redacted"),
        ("https://a.example/@jane", "https://a.example/@jane"),
        ("operator:list", "operator:list"),
        ("", ""),
    ],
)
def test_what_may_name_a_person_is_taken_out(url: str, shown: str) -> None:
    assert redact.url(url) == shown
    assert redact.url(shown) == shown


def test_a_row_is_redacted_in_its_reasons_too(engine: Engine, make: Any, write: Write) -> None:
    page = Capture("https://a.example/p?user=jane", 200, (), b"Disallow: /no")
    job = make.decided(page.url, Verdict.EXCLUDED, captures=(make.robots(page.url, capture=page),))
    write(job)
    [row] = redact.rows(columns.LOG, asked(engine, "log", Filter()))
    assert row["url"] == row["reasons"][0]["source"] == "https://a.example/p?user=redacted"
    assert row["reasons"][0]["quote"] == "Disallow: /no"
