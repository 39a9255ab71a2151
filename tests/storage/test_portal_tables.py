from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from forbear.optout.model import Stage, Verdict
from forbear.storage.accounts import cards, domain_verification, mails, subscriptions
from forbear.storage.database import writing
from forbear.storage.db.portal_tables import mails as mails_table
from forbear.storage.log.crawls import identities

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_card_is_a_new_version_only_when_it_changed(engine: Engine):
    with writing(engine) as connection:
        first = cards.publish(connection, {"b": [1], "a": "é"}, AT)
        assert first
        assert cards.publish(connection, {"a": "é", "b": [1]}, AT + DAY) is None
        second = cards.publish(connection, {"a": "e", "b": [1]}, AT + DAY)
        assert cards.publish(connection, {"a": "é", "b": [1]}, AT + 2 * DAY)
        third, *older = cards.versions(connection, 9)
        assert older == [second, first]
        assert third.digest == first.digest
        assert first.content == {"a": "é", "b": [1]}


def test_a_mail_is_tried_until_it_is_sent_or_given_up_and_then_forgotten(engine: Engine):
    with writing(engine) as connection:
        mails.queue(connection, "ada@a.example", "one", "text", AT)
        mails.queue(connection, "bob@b.example", "two", "text", AT)
        [one] = mails.claim(connection, AT, 1)
        mails.mark_sent(connection, one, AT)
        at = AT
        for pause in mails.PAUSES:
            [waiting] = mails.claim(connection, at, 9)
            assert mails.claim(connection, at, 9) == []
            assert (waiting.subject, waiting.body) == ("two", "text")
            mails.mark_failed(connection, waiting, at, "refused")
            assert mails.claim(connection, at + pause - timedelta(seconds=1), 9) == []
            at += pause
        [last] = mails.claim(connection, at, 9)
        mails.mark_failed(connection, last, at, "refused")
        assert mails.claim(connection, at + 999 * DAY, 9) == []
        rows = connection.execute(select(mails_table).order_by(mails_table.c.subject)).all()
        assert [(row.recipient, row.body, row.sent_at, row.error) for row in rows] == [
            ("", "", AT, None),
            ("", "", None, "refused"),
        ]


def test_only_the_reader_of_the_address_gets_mail(engine: Engine):
    with writing(engine) as connection:
        asked = subscriptions.request(connection, "ada@a.example", AT)
        assert asked
        assert subscriptions.request(connection, "ada@a.example", AT) is None
        assert subscriptions.confirmed(connection) == []
        subscriptions.confirm(connection, asked.token, AT)
        assert [active.email for active in subscriptions.confirmed(connection)] == ["ada@a.example"]
        assert subscriptions.find(connection, "nonsense") is None
        subscriptions.end(connection, asked.token)
        assert subscriptions.find(connection, asked.token) is None
        late = subscriptions.request(connection, "ada@a.example", AT)
        assert late
        assert subscriptions.request(connection, "ada@a.example", AT + subscriptions.TIME_TO_CONFIRM + DAY)
        assert subscriptions.find(connection, late.token) is None


def test_addresses_are_reported_after_proof_alone_and_until_it_ends(engine: Engine, make, write):
    page = make.decided("https://www.a.example/kept", stage=Stage.PAGE)
    write(page, make.kept(page), make.decided("https://www.a.example/no", Verdict.EXCLUDED))
    write(
        make.decided("https://a.example/no", Verdict.EXCLUDED), make.decided("https://b.example/no", Verdict.EXCLUDED)
    )
    write(make.decided("https://nota.example/no", Verdict.EXCLUDED))
    with writing(engine) as connection:
        secret, control = domain_verification.request_proof(connection, "a.example", AT)
        with pytest.raises(ValueError, match="not shown"):
            domain_verification.addresses(connection, control, "excluded", "", 9)
        domain_verification.record_result(connection, control, "https://a.example/", AT)
        proven = domain_verification.find(connection, secret, AT)
        assert proven

        def listed(of, outcome, after="", limit=9):
            return [address.url for address in domain_verification.addresses(connection, of, outcome, after, limit)]

        assert listed(proven, "excluded") == ["https://a.example/no", "https://www.a.example/no"]
        assert listed(proven, "excluded", limit=1) == ["https://a.example/no"]
        assert listed(proven, "excluded", "https://a.example/no") == ["https://www.a.example/no"]
        assert listed(proven, "kept") == ["https://www.a.example/kept"]
        with pytest.raises(ValueError, match="not shown"):
            listed(proven, "everything")
        secret, below = domain_verification.request_proof(connection, "www.a.example", AT)
        domain_verification.record_result(connection, below, "x", AT)
        assert listed(domain_verification.find(connection, secret, AT), "excluded") == ["https://www.a.example/no"]
        assert domain_verification.find(connection, secret, AT + domain_verification.TIME_OF_PROOF) is None
        assert domain_verification.find(connection, control.id, AT) is None


def test_crawlers_are_known_as_sites_met_them(engine: Engine, make, other_crawl):
    with engine.connect() as connection:
        [crawler] = identities(connection)
    assert (crawler.agent, crawler.use, crawler.contact) == ("ForbearBot", "train-ai", "https://operator.example/")
