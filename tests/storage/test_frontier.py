from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from forbear.optout.readers.url import NotAUrl
from forbear.storage.database import writing
from forbear.storage.db.records import EntryState, EntryUpdate, Link, now
from forbear.storage.db.schema import hosts
from forbear.storage.frontier import frontier, leases
from forbear.storage.frontier.frontier import FrontierEntry, FrontierStatus
from forbear.storage.frontier.process_id import is_dead, this_process

SECOND = timedelta(seconds=1)


class Frontier:
    """The frontier of one crawl; each step is a transaction of its own."""

    def __init__(self, engine: Engine, crawl: str) -> None:
        self.engine = engine
        self.crawl = crawl
        self.at = now() + 60 * SECOND  # the test's own clock, ahead of what is added meanwhile

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with writing(self.engine) as connection:
            return function(connection, *arguments)

    def add(self, *urls: str) -> int:
        added: int = self.do(frontier.add, self.crawl, [Link(url) for url in urls])
        return added

    def lease(self, owner: str, n: int, seconds: float = 30) -> list[str]:
        return [one.host for one in self.do(leases.lease_hosts, self.crawl, owner, n, self.at, seconds)]

    def take(self, host: str, limit: int = 10) -> list[FrontierEntry]:
        entries: list[FrontierEntry] = self.do(frontier.take, self.crawl, host, limit, self.at)
        return entries

    def release(self, owner: str, host: str, seconds: float = 0) -> None:
        self.do(leases.release, owner, host, self.at + seconds * SECOND, self.at)

    def settle(self, entry: FrontierEntry, state: EntryState, due: float | None = None) -> None:
        due_at = None if due is None else self.at + due * SECOND
        self.do(frontier.set_states, [(EntryUpdate(entry.id, state, due_at), None)])

    def outlook(self) -> FrontierStatus:
        outlook: FrontierStatus = self.do(frontier.status, self.crawl)
        return outlook


@pytest.fixture
def todo(engine: Engine, make: Any) -> Frontier:
    """An empty frontier."""
    return Frontier(engine, make.crawl)


def test_a_url_is_added_once(todo: Frontier) -> None:
    assert todo.add("https://a.example/", "https://A.example:443/#part", "https://a.example/x") == 2
    assert todo.add("https://a.example/x", "https://b.example/") == 1
    assert todo.do(frontier.count_states, todo.crawl) == {EntryState.WAITING: 3}


def test_many_urls_at_once(todo: Frontier) -> None:
    assert todo.add(*(f"https://h{number % 1500}.example/{number}" for number in range(3000))) == 3000
    assert len(todo.lease("one", 2000)) == 1500


def test_what_is_not_a_url_is_refused(todo: Frontier) -> None:
    with pytest.raises(NotAUrl):
        todo.add("mailto:me@a.example")


def test_shallow_before_deep_and_old_before_young(todo: Frontier) -> None:
    links = [Link("https://a.example/deep", 2), Link("https://a.example/1"), Link("https://a.example/2", 0, None, 3)]
    todo.do(frontier.add, todo.crawl, links)
    assert todo.lease("one", 9) == ["a.example"]
    entries = todo.take("a.example")
    assert [entry.url[-4:] for entry in entries] == ["le/1", "le/2", "deep"]
    assert (entries[1].redirects, entries[1].host, entries[1].found_on) == (3, "a.example", None)
    assert todo.take("a.example", 1) == entries[:1]
    assert todo.take("unknown.example") == []


def test_hosts_take_turns(todo: Frontier) -> None:
    todo.add(*(f"https://{host}.example/{number}" for host in "abc" for number in range(3)))
    served = []
    for _ in range(6):
        (host,) = todo.lease("one", 1)
        served.append(host[0])
        todo.settle(todo.take(host)[0], EntryState.GONE)
        todo.at += SECOND
        todo.release("one", host)
    assert served == ["a", "b", "c", "a", "b", "c"]


def test_a_host_is_held_by_one_and_keeps_its_pause(todo: Frontier) -> None:
    todo.add("https://a.example/1", "https://b.example/1")
    assert todo.lease("one", 1) == ["a.example"]
    assert todo.lease("two", 9) == ["b.example"]
    assert todo.lease("three", 9) == []
    assert todo.do(leases.lease_host, "two", "a.example", todo.at, 30) is None
    todo.release("two", "a.example")  # not theirs to give
    assert todo.lease("three", 9) == []
    todo.release("one", "a.example", seconds=20)
    assert todo.lease("three", 9) == []
    assert todo.outlook() == FrontierStatus(False, todo.at + 20 * SECOND)
    todo.at += 20 * SECOND
    assert todo.lease("three", 9) == ["a.example"]


def test_a_pause_holds_for_every_crawl(todo: Frontier, other_crawl: str) -> None:
    other = Frontier(todo.engine, other_crawl)
    todo.add("https://a.example/1")
    other.add("https://a.example/1", "https://b.example/")
    assert todo.lease("one", 9) == ["a.example"]
    assert other.lease("two", 9) == ["b.example"]
    todo.release("one", "a.example", seconds=5)
    assert other.lease("two", 9) == []
    other.at += 5 * SECOND
    assert other.lease("two", 9) == ["a.example"]


def test_a_lease_ends_by_itself_and_shows_that_nobody_gave_it_back(todo: Frontier) -> None:
    todo.add("https://a.example/1")
    assert todo.do(leases.lease_hosts, todo.crawl, "one", 1, todo.at, 30) == [leases.Lease("a.example", None)]
    todo.settle(todo.take("a.example")[0], EntryState.ALLOWED)
    todo.at += 20 * SECOND
    assert todo.do(leases.renew, "one", ["a.example", "b.example"], todo.at, 30) == {"a.example"}
    todo.at += 29 * SECOND
    assert todo.lease("two", 1) == []
    todo.at += SECOND
    (lease,) = todo.do(leases.lease_hosts, todo.crawl, "two", 1, todo.at, 30)
    assert lease == leases.Lease("a.example", None, orphaned=True)
    assert [entry.url for entry in todo.take("a.example")] == ["https://a.example/1"]  # it was never kept
    assert todo.do(leases.renew, "one", ["a.example"], todo.at, 30) == set()


def test_a_pause_that_a_clock_dated_into_the_future_is_over(todo: Frontier) -> None:
    ahead = todo.at + timedelta(days=400)
    assert todo.do(leases.lease_host, "one", "a.example", ahead, 30)
    todo.do(leases.release, "one", "a.example", ahead + SECOND, ahead)
    todo.add("https://a.example/1")
    assert todo.do(leases.lease_hosts, todo.crawl, "two", 1, todo.at, 30) == [leases.Lease("a.example", None)]
    todo.release("two", "a.example", 20)
    assert todo.do(leases.lease_host, "two", "a.example", todo.at, 30) == leases.Lease(
        "a.example", todo.at + 20 * SECOND
    )


def test_a_host_that_no_crawl_has_met_can_be_leased(todo: Frontier) -> None:
    assert todo.do(leases.lease_host, "one", "xn--bcher-kva.example", todo.at, 30).next_at is None
    assert todo.do(leases.lease_host, "one", "xn--bcher-kva.example", todo.at, 30) is not None
    todo.release("one", "xn--bcher-kva.example", 7)
    found = todo.do(leases.lease_host, "two", "xn--bcher-kva.example", todo.at, 30)
    assert found == leases.Lease("xn--bcher-kva.example", todo.at + 7 * SECOND)
    with todo.engine.connect() as connection:
        assert connection.execute(select(hosts.c.unicode)).scalar_one() == "bücher.example"


def test_what_is_deferred_comes_back_when_it_is_due(todo: Frontier) -> None:
    todo.add("https://a.example/1")
    todo.lease("one", 1)
    todo.settle(todo.take("a.example")[0], EntryState.DEFERRED, due=60)
    assert todo.take("a.example") == []
    todo.release("one", "a.example", 1)
    assert todo.outlook() == FrontierStatus(False, todo.at + 60 * SECOND)
    todo.at += 60 * SECOND
    assert todo.lease("one", 1) == ["a.example"]
    (entry,) = todo.take("a.example")
    assert entry.attempts == 1


def test_a_crawl_is_finished_when_nothing_waits_and_nobody_works(todo: Frontier) -> None:
    assert todo.outlook() == FrontierStatus(True, None)
    todo.add("https://a.example/1")
    assert not todo.outlook().finished
    todo.lease("one", 1)
    todo.settle(todo.take("a.example")[0], EntryState.KEPT)
    assert not todo.outlook().finished
    todo.release("one", "a.example")
    assert todo.outlook().finished
    assert todo.add("https://a.example/1") == 0
    assert todo.outlook().finished
    todo.add("https://a.example/2")
    assert not todo.outlook().finished


def test_an_estimate_is_exact_for_a_small_frontier_and_near_for_a_large_one(
    todo: Frontier, monkeypatch: pytest.MonkeyPatch
) -> None:
    todo.add(*(f"https://a.example/{number}" for number in range(600)))
    todo.lease("one", 1)
    for entry in todo.take("a.example")[:10]:
        todo.settle(entry, EntryState.KEPT)
    assert todo.do(frontier.estimate_states, todo.crawl) == {EntryState.KEPT: 10, EntryState.WAITING: 590}
    assert todo.do(frontier.estimate_states, "another") == {}
    monkeypatch.setattr(frontier, "SAMPLE", 100)
    assert 0.8 * 600 < todo.do(frontier.estimate_states, todo.crawl)[EntryState.WAITING] <= 600
    assert todo.do(frontier.count_states, todo.crawl) == {EntryState.KEPT: 10, EntryState.WAITING: 590}
    monkeypatch.setattr(frontier, "COUNTED", 599)
    assert todo.do(frontier.count_states, todo.crawl)[EntryState.WAITING] <= 600


def test_an_entry_settled_after_its_lease_was_lost_is_not_forgotten(todo: Frontier) -> None:
    todo.add("https://a.example/1")
    todo.lease("one", 1)
    (entry,) = todo.take("a.example")
    todo.settle(entry, EntryState.DEFERRED, due=-1)
    todo.release("one", "a.example")
    todo.settle(entry, EntryState.WAITING)
    assert todo.lease("one", 1) == ["a.example"]


def test_who_lost_a_lease_without_knowing_opens_nothing_that_another_has_ended(todo: Frontier) -> None:
    todo.add("https://a.example/1")
    todo.lease("one", 1)
    (entry,) = todo.take("a.example")
    todo.settle(entry, EntryState.KEPT)
    for state in (EntryState.WAITING, EntryState.ALLOWED, EntryState.DEFERRED, EntryState.EXCLUDED):
        todo.settle(entry, state)
    todo.release("one", "a.example")
    assert todo.outlook().finished
    assert todo.do(frontier.count_states, todo.crawl) == {EntryState.KEPT: 1}


def test_a_restart_need_not_wait_for_the_leases_of_the_dead(todo: Frontier, dead_process: str) -> None:
    todo.add("https://a.example/1", "https://b.example/1", "https://c.example/1")
    assert todo.lease(dead_process, 1) == ["a.example"]
    assert todo.lease("elsewhere/boot/ns:1:1", 1) == ["b.example"]
    assert todo.lease(this_process(), 1) == ["c.example"]
    assert todo.do(leases.recover, todo.at) == ["a.example"]
    (lease,) = todo.do(leases.lease_hosts, todo.crawl, "two", 9, todo.at, 30)
    assert lease == leases.Lease("a.example", None, orphaned=True)


def test_who_is_dead(dead_process: str) -> None:
    place, pid, started = this_process().split(":")
    cases = {
        this_process(): False,
        dead_process: True,
        f"{place}:{pid}:1": True,  # the number was given to another process since
        f"elsewhere:{pid}:1": False,
        f"{place}:nonsense:1": False,
        "nonsense": False,
    }
    assert {owner: is_dead(owner) for owner in cases} == cases
    assert started.isdecimal()
