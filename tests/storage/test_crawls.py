from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, select

from forbear.optout import policy
from forbear.optout.model import Profile, Use
from forbear.storage.database import writing
from forbear.storage.db.records import now
from forbear.storage.db.schema import crawls
from forbear.storage.log.crawls import CrawlRecord, CrawlState, begin, end, latest

RECORD = CrawlRecord(
    engine="0.1.0",
    agent="ForbearBot",
    user_agent="ForbearBot/0.1.0",
    contact="mailto:crawl@operator.example",
    use=Use.TRAIN_AI,
    profile=Profile.STRICT,
    shadow=True,
    policy=policy.load(),
    configuration={"b": 1, "a": ["é"]},
)


def test_the_same_configuration_goes_on_until_it_is_finished(engine: Engine) -> None:
    at = now()
    with writing(engine) as connection:
        first = begin(connection, RECORD, at)
        assert not first.resumed
        again = begin(connection, replace(RECORD, configuration={"a": ["é"], "b": 1}, engine="0.2.0"), at)
        assert (again.id, again.resumed) == (first.id, True)
        end(connection, first.id, CrawlState.STOPPED, at + timedelta(seconds=1))
        assert begin(connection, RECORD, at).id == first.id
        end(connection, first.id, CrawlState.FINISHED, at + timedelta(seconds=2))
        new = begin(connection, RECORD, at + timedelta(seconds=3))
        assert (new.id != first.id, new.resumed) == (True, False)
        other = begin(connection, replace(RECORD, configuration={"a": 2}), at + timedelta(seconds=4))
        assert other.id not in (first.id, new.id)
        assert latest(connection) == other.id


def test_a_crawl_says_who_crawled(engine: Engine) -> None:
    at = now()
    with writing(engine) as connection:
        crawl = begin(connection, RECORD, at).id
        begin(connection, replace(RECORD, engine="0.2.0"), at)
    with engine.connect() as connection:
        row: Any = connection.execute(select(crawls).where(crawls.c.id == crawl)).one()
    assert (row.engine, row.use, row.profile, row.shadow, row.state) == ("0.2.0", "train-ai", "strict", True, "running")
    assert (row.started_at, row.finished_at, row.configuration) == (at, None, {"a": ["é"], "b": 1})
    assert row.configuration_digest == RECORD.configuration_digest


def test_nothing_began_yet(engine: Engine) -> None:
    with engine.connect() as connection:
        assert latest(connection) is None
