from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from forbear.optout.model import Stage, Verdict
from forbear.optout.protocols import operator
from forbear.optout.readers.url import NotAUrl
from forbear.storage.db.records import AddLinks, Link
from forbear.storage.reads.lookup import OPERATOR, Answer, DecidingWords, LookupResult, lookup

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Write = Callable[..., list[int]]


def ask(engine: Engine, asked: str) -> LookupResult | None:
    with engine.connect() as connection:
        return lookup(connection, asked)


def known(engine: Engine, asked: str) -> LookupResult:
    found = ask(engine, asked)
    assert found is not None, asked
    return found


@pytest.fixture
def seen(make: Any, write: Write) -> None:
    """Four hosts: one kept in part, one excluded, one deferred, one allowed but not kept."""
    kept = [make.decided(f"https://www.example.org/{name}", stage=Stage.PAGE, at=AT) for name in "ab"]
    write(*kept, *(make.kept(job, at=AT + DAY) for job in kept))
    write(
        make.decided("https://www.example.org/no", Verdict.EXCLUDED, at=AT + DAY),
        make.decided("https://www.example.org/no/2", Verdict.EXCLUDED, at=AT + 2 * DAY),
        make.decided("https://Bücher.example/a", Verdict.EXCLUDED, at=AT),
        make.decided("https://away.example/", Verdict.DEFERRED, at=AT, protocol="unreachable", quote="timeout"),
        make.decided("https://empty.example/", at=AT),
        AddLinks(make.crawl, (Link("https://linked.example/"),)),
    )


ANSWERS = [
    ("example.org", "domain", Answer.KEPT, {"kept": 2, "allowed": 2, "excluded": 2}),
    (" WWW.Example.ORG. ", "host", Answer.KEPT, {"kept": 2, "allowed": 2, "excluded": 2}),
    ("www.example.org", "host", Answer.KEPT, {"kept": 2, "allowed": 2, "excluded": 2}),
    ("https://www.example.org/", "host", Answer.KEPT, {"kept": 2, "allowed": 2, "excluded": 2}),
    ("https://www.example.org/a#part", "url", Answer.KEPT, {"kept": 1, "allowed": 1}),
    ("www.example.org/a", "url", Answer.KEPT, {"kept": 1, "allowed": 1}),
    ("https://www.example.org/no", "url", Answer.EXCLUDED, {"excluded": 1}),
    ("https://www.example.org/unseen", None, None, None),
    ("http://www.example.org/a", None, None, None),
    ("bücher.example", "domain", Answer.EXCLUDED, {"excluded": 1}),
    ("XN--BCHER-KVA.example", "domain", Answer.EXCLUDED, {"excluded": 1}),
    ("https://bücher.example/a", "url", Answer.EXCLUDED, {"excluded": 1}),
    ("away.example", "domain", Answer.DEFERRED, {"deferred": 1}),
    ("empty.example", "domain", Answer.ALLOWED, {"allowed": 1}),
    ("linked.example", None, None, None),  # a link was found, but nothing was decided or asked for
    ("other.example.org", None, None, None),
    ("never.example", None, None, None),
]


def test_answers(engine: Engine, seen: None) -> None:
    for asked, scope, answer, urls in ANSWERS:
        found = ask(engine, asked)
        answered = (asked, None, None, None) if found is None else (asked, found.scope, found.answer, found.urls)
        assert answered == (asked, scope, answer, urls)


def test_since_when_and_whose_words(engine: Engine, seen: None) -> None:
    found = known(engine, "example.org")
    source = "https://www.example.org/robots.txt"
    words = DecidingWords(
        Verdict.EXCLUDED, "robots", "Disallow: /no", source, "line 2", "1.3(1)(a)", AT + DAY, AT + 2 * DAY, 2
    )
    assert found.words == (words,)
    assert (found.first_seen, found.last_seen, found.since) == (AT, AT + 2 * DAY, AT + DAY)
    assert sorted(found.examples["excluded"]) == ["https://www.example.org/no", "https://www.example.org/no/2"]
    assert sorted(found.examples["kept"]) == ["https://www.example.org/a", "https://www.example.org/b"]
    page = known(engine, "https://www.example.org/no/2")
    assert (page.words, page.since, page.first_seen) == ((words,), AT + DAY, AT + 2 * DAY)


def test_names_for_people(engine: Engine, seen: None) -> None:
    assert known(engine, "xn--bcher-kva.example").unicode == "bücher.example"
    assert known(engine, "https://xn--bcher-kva.example/a").unicode == "https://bücher.example/a"


def test_the_latest_decision_of_a_url_counts(engine: Engine, make: Any, write: Write) -> None:
    url = "https://a.example/"
    write(make.decided(url, Verdict.DEFERRED, protocol="unreachable", quote="503", at=AT))
    allowed = make.decided(url, at=AT + DAY, stage=Stage.PAGE)
    write(allowed, make.kept(allowed, at=AT + DAY))
    assert known(engine, "a.example").urls == {"allowed": 1, "kept": 1}
    write(make.decided(url, Verdict.EXCLUDED, at=AT + 2 * DAY))
    write(make.decided(url, Verdict.ALLOWED, at=AT - DAY))  # late to arrive, not to happen
    found = known(engine, "a.example")
    assert (found.answer, found.urls, found.since) == (Answer.KEPT, {"excluded": 1, "kept": 1}, AT + 2 * DAY)
    assert [words.quote for words in found.words] == ["Disallow: /no", "503"]


def test_the_words_of_many_hosts_are_listed_once(engine: Engine, make: Any, write: Write) -> None:
    robots = (make.robots("https://example.org/"),)
    jobs = [make.decided(f"https://h{n}.example.org/", Verdict.EXCLUDED, captures=robots) for n in range(9)]
    write(*jobs)
    found = known(engine, "example.org")
    assert [(words.decisions, words.source) for words in found.words] == [(9, "https://example.org/robots.txt")]
    assert found.urls == {"excluded": 9}
    assert len(found.examples["excluded"]) == 3


@pytest.mark.parametrize("asked", ["", "no domain", "ftp://a.example/", "https://"])
def test_what_is_not_a_domain_or_url_is_reported(engine: Engine, asked: str) -> None:
    with pytest.raises(NotAUrl, match="write one like"):
        ask(engine, asked)


def test_the_operators_own_words_are_known_by_their_protocol() -> None:
    assert operator.NAME == OPERATOR
