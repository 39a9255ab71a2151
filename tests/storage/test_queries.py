from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, event

from forbear.optout import policy
from forbear.optout.model import Stage, Verdict
from forbear.optout.readers.url import NotAUrl
from forbear.storage.db.records import CaptureRecord, RecordDecision
from forbear.storage.reads.queries import Filter, log

AT = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
HOUR = timedelta(hours=1)

ROWS: list[tuple[str, Verdict, dict[str, Any]]] = [
    ("https://example.org/", Verdict.ALLOWED, {}),
    ("https://www.example.org/a", Verdict.EXCLUDED, {}),
    ("https://notexample.org/", Verdict.EXCLUDED, {"protocol": "tdmrep", "measure": "1.3(1)(b)"}),
    ("https://bücher.example/a%5Fb/c", Verdict.EXCLUDED, {"protocol": "robots-meta", "measure": "1.3(1)(b)"}),
    ("https://bücher.example/A_B/c", Verdict.ALLOWED, {"stage": Stage.PAGE}),
    ("https://news.bbc.co.uk/x", Verdict.DEFERRED, {"protocol": "unreachable"}),
    ("https://sport.bbc.co.uk/x", Verdict.ALLOWED, {}),
    ("https://a.sport.bbc.co.uk/x", Verdict.ALLOWED, {}),
    ("https://192.0.2.1/", Verdict.ALLOWED, {}),
    ("http://localhost:8080/", Verdict.ALLOWED, {}),
]

FILTERS = [
    ("all", Filter(), range(10)),
    ("registrable domain", Filter("example.org"), [0, 1]),
    ("without subdomains", Filter("example.org", subdomains=False), [0]),
    ("a host of it", Filter("www.example.org"), [1]),
    ("a host and below", Filter("sport.bbc.co.uk"), [6, 7]),
    ("a host alone", Filter("sport.bbc.co.uk", subdomains=False), [6]),
    ("public suffix of two labels", Filter("bbc.co.uk"), [5, 6, 7]),
    ("domain never seen", Filter("example.com"), []),
    ("U-labels", Filter("Bücher.example"), [3, 4]),
    ("A-labels", Filter("xn--bcher-kva.example"), [3, 4]),
    ("a pasted URL", Filter("https://www.example.org/some?page"), [1]),
    ("an address", Filter("192.0.2.1"), [8]),
    ("a single label", Filter("localhost"), [9]),
    ("URL prefix", Filter(url_prefix="https://bücher.example/a"), [3]),
    ("URL prefix, case counts", Filter(url_prefix="https://bücher.example/A"), [4]),
    ("URL prefix, wildcards mean nothing", Filter(url_prefix="https://bücher.example/_"), []),
    ("URL prefix, whole host", Filter(url_prefix="https://bücher.example/"), [3, 4]),
    ("URL prefix, no scheme", Filter(url_prefix="www.example.org/a"), [1]),
    ("URL prefix, other scheme", Filter(url_prefix="http://www.example.org/a"), []),
    ("protocol", Filter(protocol="tdmrep"), [2]),
    ("protocol of a failure", Filter(protocol="unreachable"), [5]),
    ("measure", Filter(measure="1.3(1)(b)"), [2, 3]),
    ("protocol and measure", Filter(protocol="robots", measure="1.3(1)(b)"), []),
    ("excluded", Filter(verdict=Verdict.EXCLUDED), [1, 2, 3]),
    ("deferred", Filter(verdict=Verdict.DEFERRED), [5]),
    ("stage", Filter(stage=Stage.PAGE), [4]),
    ("since, that moment too", Filter(since=AT + 7 * HOUR), [7, 8, 9]),
    ("until, that moment no more", Filter(until=AT + 2 * HOUR), [0, 1]),
    ("since and until", Filter(since=AT + HOUR, until=AT + 2 * HOUR), [1]),
    ("the newest", Filter(limit=2), [8, 9]),
    ("the newest of some", Filter(verdict=Verdict.EXCLUDED, limit=2), [2, 3]),
    ("none", Filter(limit=0), []),
    ("another crawl", Filter(crawl="none"), []),
    ("all together", Filter("example.org", True, "https://www.example.org/", "robots", "1.3(1)(a)"), [1]),
]


@pytest.fixture
def written(make: Any, write: Callable[..., list[int]]) -> list[RecordDecision]:
    """The rows above, an hour between them; written in another order than they happened."""
    jobs = [make.decided(url, verdict, at=AT + i * HOUR, **more) for i, (url, verdict, more) in enumerate(ROWS)]
    write(*reversed(jobs))
    return jobs


def test_filters(engine: Engine, written: list[RecordDecision]) -> None:
    for name, wanted, expected in FILTERS:
        with engine.connect() as connection:
            found = [row["id"] for row in log(connection, wanted)]
        assert (name, found) == (name, [written[index].decision.id for index in expected])


def test_a_crawl_alone(engine: Engine, make: Any, other_crawl: str, write: Callable[..., list[int]]) -> None:
    jobs = [make.decided("https://a.example/"), type(make)(other_crawl).decided("https://a.example/")]
    write(*jobs)
    with engine.connect() as connection:
        assert [row["id"] for row in log(connection, Filter(crawl=other_crawl))] == [jobs[1].decision.id]


def test_a_row_has_the_shape_of_the_command_line(engine: Engine, make: Any, written: list[RecordDecision]) -> None:
    robots: CaptureRecord = written[1].captures[0]
    with engine.connect() as connection:
        (row,) = log(connection, Filter("www.example.org"))
    assert row == {
        "id": written[1].decision.id,
        "at": "2026-03-01T11:00:00+00:00",
        "crawl": make.crawl,
        "url": "https://www.example.org/a",
        "host": "www.example.org",
        "domain": "example.org",
        "verdict": "excluded",
        "reasons": [
            {
                "protocol": "robots",
                "preference": "disallow",
                "quote": "Disallow: /no",
                "source": robots.capture.url,
                "where": "line 2",
                "measure": "1.3(1)(a)",
            }
        ],
        "stage": "request",
        "status": None,
        "content_sha256": None,
        "bytes": None,
        "engine": "0.1.0",
        "policy": policy.load().digest,
        "verdict_standard": "excluded",
        "verdict_strict": "excluded",
    }


@pytest.mark.parametrize(
    "wanted", [Filter("no domain"), Filter(url_prefix="https://exam"), Filter(url_prefix="ftp://a/")]
)
def test_what_is_not_a_domain_or_url_is_reported(engine: Engine, wanted: Filter) -> None:
    with engine.connect() as connection, pytest.raises(NotAUrl):
        list(log(connection, wanted))


def test_a_long_log_is_read_in_parts(engine: Engine, make: Any, write: Callable[..., list[int]]) -> None:
    write(*(make.decided(f"https://a.example/{number}", Verdict.EXCLUDED) for number in range(1200)))
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, sql, *_: statements.append(sql))
    with engine.connect() as connection:
        rows = log(connection, Filter())
        next(rows)
        before = len(statements)
        rest = list(rows)
    assert len(rest) == 1199
    assert all(len(row["reasons"]) == 1 for row in rest)
    assert len(statements) - before == 2  # the reasons of the second and the third five hundred
