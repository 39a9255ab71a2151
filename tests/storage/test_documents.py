"""Documents on record: each version once, and the way from a row of the log to what explained its rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select

from forbear.optout import policy
from forbear.storage.database import writing
from forbear.storage.db.schema import chain, events
from forbear.storage.log import documents

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_from_a_row_to_its_documents(engine: Engine) -> None:
    rules, other = policy.load().digest, "0" * 64
    with writing(engine) as connection:
        for day, (digest, explains) in enumerate([("a" * 64, rules), ("b" * 64, other), ("c" * 64, rules)]):
            text = {"title": digest}
            at = NOW + timedelta(days=day)
            assert documents.issue(connection, "policy", digest, text, policy=explains, at=at)
    with engine.connect() as connection:
        of_row = [one for one in documents.issued(connection, "policy") if one.policy == rules]
        assert [(one.digest[0], one.document["title"][0]) for one in of_row] == [("a", "a"), ("c", "c")]
        leaves = select(events.c.id).join(chain, (chain.c.ref == events.c.id) & (chain.c.kind == "event"))
        assert len(connection.scalars(leaves).all()) == 3


def test_the_version_that_was_issued_last_is_not_issued_again(engine: Engine) -> None:
    with writing(engine) as connection:
        for digest, new in (("a", True), ("a", False), ("b", True), ("a", True)):
            assert documents.issue(connection, "policy", digest, {}, policy="", at=NOW) is new
        assert documents.issue(connection, "policy-summary", "a", {}, policy="", at=NOW)
        assert documents.latest(connection, "coverage") is None
