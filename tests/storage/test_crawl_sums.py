"""Sums of each crawl: in step with the log, whatever is written or erased, and reported where they are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from forbear.optout.model import Capture, Preference, Reason, Stage, Verdict
from forbear.storage.database import reading, writing
from forbear.storage.db.records import Keep
from forbear.storage.db.schema import host_outcomes
from forbear.storage.db.sum_tables import crawl_words
from forbear.storage.proof import erasure, recount
from forbear.storage.reads import questions, removals
from forbear.storage.reads.lookup import Answer, RemovedCopy, lookup
from forbear.storage.reads.queries import Filter
from tests.storage.conftest import AT

DAY = timedelta(days=1)
LONG_AGO = AT - 9999 * DAY

Write = Callable[..., list[int]]


@pytest.fixture
def filled(make: Any, other_crawl: str, write: Write) -> Any:
    """Two crawls, hosts with several protocols, a decision with two reasons of one protocol, and a page's own words."""
    later = replace(make, crawl=other_crawl)
    two = make.decided("https://a.example/no/9", Verdict.EXCLUDED, at=AT + DAY)
    words = (
        *two.decision.decision.reasons,
        Reason("robots", Preference.DISALLOW, "Disallow: /n", "s", "l", "1.3(1)(a)"),
    )
    two = replace(two, decision=replace(two.decision, decision=replace(two.decision.decision, reasons=words)))
    write(
        make.decided("https://a.example/no/1", Verdict.EXCLUDED),
        make.decided("https://a.example/no/2", Verdict.EXCLUDED, protocol="tdmrep", measure="1.3(1)(b)"),
        two,
        make.decided("https://b.example/", Verdict.DEFERRED, protocol="unreachable", quote="503"),
        make.decided("https://b.example/yes"),
    )
    write(
        later.decided("https://a.example/no/1", Verdict.EXCLUDED, at=AT + 2 * DAY),
        later.decided("https://c.example/no/1", Verdict.EXCLUDED, at=AT + 2 * DAY),
        _page(later, "https://c.example/jane?name=doe"),
        _page(later, "https://c.example/other"),
        _page(later, "https://d.example/jane?name=doe"),
    )
    return make


def _page(make: Any, url: str) -> Any:
    page = make.robots(url, capture=Capture(url, 200, (), b"<p>"), keep=Keep.QUOTED)
    words = {"protocol": "robots-meta", "measure": "1.3(1)(b)", "quote": "noai", "where": "/meta"}
    return make.decided(url, Verdict.EXCLUDED, stage=Stage.PAGE, captures=(page,), **words)


def differences(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return [tuple(one) for one in recount.differences(connection)]


@pytest.mark.usefixtures("filled")
def test_sums_say_what_counting_says(engine: Engine, other_crawl: str) -> None:
    with engine.connect() as connection:
        for crawl in (None, other_crawl):
            for verdict in (None, *Verdict):
                summed = list(questions.measures(connection, Filter(crawl=crawl, verdict=verdict)))
                counted = list(questions.measures(connection, Filter(crawl=crawl, verdict=verdict, since=LONG_AGO)))
                assert summed == counted
        [robots, _, tdmrep, unreachable] = sorted(
            questions.measures(connection, Filter()), key=lambda row: row["protocol"]
        )
    assert (robots["decisions"], robots["hosts"]) == (4, 2)
    assert (tdmrep["decisions"], unreachable["decisions"]) == (1, 1)
    assert differences(engine) == []


TAMPERED = [
    ("UPDATE crawl_measures SET decisions = decisions + 1 WHERE crawl = ''", "crawl_measures"),
    ("UPDATE crawl_measures SET hosts = 9 WHERE protocol = 'tdmrep'", "crawl_measures"),
    ("DELETE FROM crawl_measures WHERE protocol = 'unreachable'", "crawl_measures"),
    ("DELETE FROM crawl_words WHERE host = 'b.example'", "crawl_words"),
    ("UPDATE crawl_words SET quote = 'Allow: /' WHERE host = 'c.example'", "crawl_words"),
    ("UPDATE daily_verdicts SET decisions = 0", "daily_verdicts"),
    ("UPDATE host_outcomes SET urls = urls + 1 WHERE host = 'a.example'", "host_outcomes"),
]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("statement", "table"), TAMPERED)
def test_a_sum_that_the_log_does_not_bear_out_is_reported(engine: Engine, statement: str, table: str) -> None:
    with writing(engine) as connection:
        connection.execute(text(statement))
    assert {name for name, _, _ in differences(engine)} == {table}


@pytest.mark.usefixtures("filled")
def test_words_of_a_page_that_is_erased_go_or_name_another_page(engine: Engine) -> None:
    for url in ("https://c.example/jane?name=doe", "https://d.example/jane?name=doe"):
        assert sum(erasure.by_url(engine, url, "asked for")) > 0
    with engine.connect() as connection:
        words = crawl_words.c
        found = connection.execute(select(words.host, words.source).where(words.protocol == "robots-meta")).all()
    assert [tuple(row) for row in found] == [("c.example", "https://c.example/other")]
    assert differences(engine) == []


def test_a_page_that_left_is_counted_as_one_that_was_kept(engine: Engine, make: Any, write: Write) -> None:
    kept = make.decided("https://www.a.example/p", stage=Stage.PAGE)
    write(kept, make.kept(kept))
    reserved = make.decided("https://www.a.example/p", Verdict.EXCLUDED, at=AT + DAY)
    write(reserved)
    with writing(engine) as connection:
        because = {"https://www.a.example/p": reserved.decision.id}
        assert removals.record_removals(connection, make.crawl, because, frozenset({"1.warc.gz"}), AT + 2 * DAY) == 1
        of = host_outcomes.c
        rows = {row.outcome: row for row in connection.execute(select(host_outcomes).where(of.urls > 0))}
        assert set(rows) == {"excluded", "removed"}
        assert (rows["removed"].first_at, rows["removed"].last_at) == (AT, AT + 2 * DAY)
        [copy] = questions.before_optout(connection)
        assert (copy["removed_at"], copy["kept_at"]) == ((AT + 2 * DAY).isoformat(), AT.isoformat())
        assert (copy["page"], copy["warc_file"], copy["warc_offset"]) == (kept.decision.id, "1.warc.gz", 0)
        for asked in ("a.example", "www.a.example", "https://www.a.example/p"):
            known = lookup(connection, asked)
            assert known
            assert known.answer is Answer.EXCLUDED
            assert known.urls == {"excluded": 1, "removed": 1}
            assert known.left == (RemovedCopy("https://www.a.example/p", AT, AT + 2 * DAY),)
    assert differences(engine) == []
