from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from sqlalchemy import Connection, Engine, func, select

from forbear.storage.accounts import accounts, attempts
from forbear.storage.accounts.accounts import Role
from forbear.storage.accounts.attempts import FREE, FREE_CODES, FREE_TOGETHER, KNOWN, LONGEST, LONGEST_TOGETHER, MEMORY
from forbear.storage.database import writing
from forbear.storage.db import account_tables

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with writing(engine) as connection:
        yield connection


def tries(connection: Connection, client: str, at: datetime, how: str = "wrong", name: str = "grace") -> bool:
    """Whether an attempt is checked; ``how`` it goes then: right, wrong, or code (the password is right)."""
    admitted = attempts.begin_attempt(connection, name, client, at)
    if admitted:
        attempts.finish_attempt(connection, name, client, at, succeeded=how == "right", knew=how != "wrong")
    return admitted


def test_a_client_waits_longer_with_each_failure_and_others_do_not(connection):
    at, waits = AT, []
    for _ in range(FREE):
        assert tries(connection, "192.0.2.1", at)
    for _ in range(8):
        wait = next(wait for wait in range(0, 1000, 30) if tries(connection, "192.0.2.1", at + wait * SECOND))
        at += wait * SECOND
        waits.append(wait)
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    assert LONGEST == 900 * SECOND
    assert tries(connection, "192.0.2.2", at)
    assert tries(connection, "192.0.2.1", at, name="ada")
    assert not tries(connection, "192.0.2.1", at + SECOND)
    assert tries(connection, "192.0.2.1", at + MEMORY)
    assert tries(connection, "192.0.2.1", at + MEMORY)  # what went before is forgotten


def test_what_a_client_did_before_it_signed_in_does_not_count_after(connection):
    for _ in range(FREE - 1):
        assert tries(connection, "192.0.2.1", AT)
    assert tries(connection, "192.0.2.1", AT, "right")
    assert [tries(connection, "192.0.2.1", AT) for _ in range(FREE + 1)] == [True] * FREE + [False]


def strangers(connection: Connection, count: int, at: datetime, how: str = "wrong") -> int:
    """How many of so many attempts, each from a client of its own, are checked."""
    return sum(tries(connection, f"stranger {at} {number}", at, how) for number in range(count))


def test_guesses_from_many_addresses_are_bounded_and_lock_out_no_address_that_signed_in(connection):
    assert tries(connection, "192.0.2.1", AT, "right")
    assert strangers(connection, 300, AT) == FREE_TOGETHER
    assert not tries(connection, "198.51.100.1", AT, "right")  # it looks like the others
    assert tries(connection, "192.0.2.1", AT, "right")
    day = [AT + number * timedelta(minutes=10) for number in range(1, 6 * 24)]
    assert 24 <= sum(strangers(connection, 1, at) for at in day) <= 29
    assert tries(connection, "192.0.2.1", day[-1], "right")


def test_an_address_is_a_stranger_again_after_a_while(connection):
    assert tries(connection, "192.0.2.1", AT, "right")
    assert tries(connection, "192.0.2.2", AT + SECOND, "right")
    later = AT + KNOWN
    strangers(connection, FREE_TOGETHER, later)
    assert not tries(connection, "192.0.2.1", later)
    assert tries(connection, "192.0.2.2", later)


def test_codes_are_guessed_less_often_by_who_has_the_password(connection):
    assert strangers(connection, 50, AT, "code") == FREE_CODES
    assert tries(connection, "192.0.2.1", AT + LONGEST_TOGETHER, "right")
    assert tries(connection, "192.0.2.1", AT + LONGEST_TOGETHER, "right")


def test_many_at_the_same_time_are_no_more_than_one_after_the_other(engine):
    with writing(engine) as connection:
        accounts.add(connection, "grace", Role.LEGAL, "a long enough password", AT)

    def admitted(number: int) -> bool:
        with writing(engine) as connection:
            return attempts.begin_attempt(connection, "grace", f"192.0.2.{number % 4}", AT)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(admitted, range(48))) == FREE_CODES  # till it is known what they had


def test_a_code_is_taken_once_where_two_come_at_the_same_time(engine, monkeypatch):
    monkeypatch.setattr(accounts, "_hasher", PasswordHasher.from_parameters(CHEAPEST))
    with writing(engine) as connection:
        account = accounts.add(connection, "grace", Role.LEGAL, "a long enough password", AT)
        connection.execute(account_tables.accounts.update().values(enrolled_at=AT))
        known = accounts.credentials(connection, "grace")
    checked = accounts.check(known, "a long enough password", pyotp.TOTP(account.totp).at(AT), AT)
    signed_in = []
    for _ in range(2):
        with writing(engine) as connection:
            signed_in.append(accounts.sign_in(connection, known, checked, "a long enough password"))
    assert [one is not None for one in signed_in] == [True, False]


def test_what_counts_no_more_is_removed(connection):
    tries(connection, "192.0.2.1", AT)
    tries(connection, "192.0.2.2", AT, "right")
    tries(connection, "192.0.2.2", AT)
    tries(connection, "192.0.2.3", AT, name="ada")
    for at, left in ((AT + MEMORY - SECOND, 3), (AT + MEMORY, 1), (AT + KNOWN - SECOND, 1), (AT + KNOWN, 0)):
        attempts.expire(connection, at)
        assert connection.scalar(select(func.count()).select_from(account_tables.attempts)) == left
    tries(connection, "192.0.2.1", AT)
    attempts.forget(connection, "grace")
    assert connection.scalar(select(func.count()).select_from(account_tables.attempts)) == 0
